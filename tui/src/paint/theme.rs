//! Colours by meaning. They are the terminal's own sixteen, so that the console looks at home in any palette, dark or
//! light; one accent leads the eye; and nothing is said by colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::model::capabilities::Capabilities;
use crate::status_style::Tone;

/// The styles of a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    capabilities: Capabilities,
}

impl Theme {
    /// The styles of what the terminal can show.
    pub fn new(capabilities: Capabilities) -> Self {
        Self { capabilities }
    }

    /// How a tone is drawn. Without colours, weight tells the strong tones from the quiet ones.
    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Good => self.coloured(Color::Green, Modifier::empty()),
            Tone::Busy => self.coloured(Color::LightBlue, Modifier::empty()),
            Tone::Warning => self.coloured(Color::Yellow, Modifier::BOLD),
            Tone::Bad => self.coloured(Color::Red, Modifier::BOLD),
        }
    }

    /// What leads the eye: a key to press, the mark of the selection.
    pub fn accent(&self) -> Style {
        self.coloured(Color::Cyan, Modifier::BOLD)
    }

    /// The name of what is selected.
    pub fn selected(&self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// The key of a line of YAML.
    pub fn key(&self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty())
    }

    /// Lines between parts.
    pub fn line(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What was so when it was last seen, and cannot be looked at now.
    pub fn stale(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What a search found.
    pub fn found(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What goes, in a diff.
    pub fn removed(&self) -> Style {
        self.coloured(Color::Red, Modifier::empty())
    }

    /// What comes, in a diff.
    pub fn added(&self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// The part of a line that differs, over [`Theme::removed`] or [`Theme::added`].
    pub fn differs(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The name of one of many who write a log: a thin colour each, as far as colours go.
    pub fn lane(&self, lane: u16) -> Style {
        const LANES: [Color; 6] =
            [Color::Cyan, Color::Magenta, Color::Green, Color::Yellow, Color::LightBlue, Color::LightMagenta];
        self.coloured(LANES[usize::from(lane) % LANES.len()], Modifier::empty())
    }

    fn coloured(&self, colour: Color, without: Modifier) -> Style {
        if self.capabilities.colour { Style::new().fg(colour) } else { Style::new().add_modifier(without) }
    }
}
