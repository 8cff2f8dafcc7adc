//! The console's own log, shown by the library that collects it, which also keeps where the reader is in it. It makes the
//! lines harmless itself: cells never hold control characters.

use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use serde::{Deserialize, Serialize};
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerWidget};

use crate::effect::{Effect, OwnLog};
use crate::keymap::{Binding, Command, Root};
use crate::log_collector;
use crate::model::World;
use crate::paint::painter::Painter;
use crate::screen::Screen;
use crate::screen::turn::Turn;
use crate::status_style::Tone;

/// It has only the keys that mean the same everywhere.
pub const KEYS: &[Binding] = &[];

/// The console's own log.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConsoleLog;

impl Screen for ConsoleLog {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn root(&self) -> Option<Root> {
        Some(Root::ConsoleLog)
    }

    fn title(&self, _world: &World) -> String {
        "console log".to_owned()
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let to = match command {
            Command::Up | Command::HalfUp | Command::PageUp => OwnLog::PageUp,
            Command::Down | Command::HalfDown | Command::PageDown => OwnLog::PageDown,
            Command::Bottom => OwnLog::End,
            // It is as new as it can be.
            Command::Refresh => return true,
            _ => return false,
        };
        turn.effects.push(Effect::OwnLog(to));
        true
    }

    /// Draws the newest lines, or those that were scrolled to.
    fn draw(&self, painter: &mut Painter, _world: &World, area: Rect) {
        let theme = painter.theme;
        let widget = TuiLoggerWidget::default()
            .style_error(theme.tone(Tone::Bad))
            .style_warn(theme.tone(Tone::Warning))
            .style_info(theme.tone(Tone::Plain))
            .style_debug(theme.tone(Tone::Quiet))
            .style_trace(theme.tone(Tone::Quiet))
            .output_separator(' ')
            .output_timestamp(Some("%H:%M:%S".to_owned()))
            .output_level(Some(TuiLoggerLevelOutput::Long))
            .output_target(true)
            .output_file(false)
            .output_line(false);
        log_collector::with_state(|state| widget.state(state).render(area, painter.buffer()));
        // Lines come without a message of their own.
        let soon = painter.now().saturating_add(log_collector::SHOWN_WITHIN);
        painter.changes_at(soon.unwrap_or(jiff::Timestamp::MAX));
    }
}
