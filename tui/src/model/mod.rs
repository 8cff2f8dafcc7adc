//! Where the reader is, beside the snapshot of what is so. All of it can be written as JSON and read again, so that a
//! bug on somebody's screen can be replayed.
//!
//! Invariants: the model never imports the view; nothing in it knows a clock (the time is a field that messages set);
//! a selection is kept by the identity of what is selected, never by its place on the screen.

pub mod fleet;
pub mod link;
pub mod look;

pub mod geometry;
pub mod viewport;

pub mod diff;
pub mod log;
pub mod records;
pub mod screen;
pub mod table;
pub mod text;
pub mod tree;

pub mod fetched;
pub mod timeline;

pub mod act;
pub mod overlay;
pub mod toast;

pub mod sound;

#[cfg(test)]
pub(crate) mod fixture;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quarterdeck_shared::protocol::Role;
use serde::{Deserialize, Serialize};

use crate::keymap::Kind;
use crate::model::fleet::Fleet;
use crate::model::link::Link;
use crate::model::look::Look;
use crate::model::overlay::Overlay;
use crate::model::screen::{Screen, Shelf};
use crate::model::toast::Toast;

/// All that the console knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    /// The time, as the last message told it.
    pub now: Timestamp,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What the terminal can show.
    pub look: Look,
    /// Where the reader is, for the times of lines; UTC until it is said.
    #[serde(skip, default = "utc")]
    pub zone: TimeZone,
    /// How things stand with the agent.
    pub link: Link,
    /// What the reader may do, as the agent said.
    pub role: Option<Role>,
    /// The agent's objects.
    pub fleet: Fleet,
    /// The screens, one over the other; never empty.
    pub screens: Vec<Screen>,
    /// Top views that were left, as they were.
    pub shelf: Shelf,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// What is told for a few seconds.
    pub toasts: Vec<Toast>,
    /// The last number given to a screen or a request. Each is used once.
    pub numbers: u64,
}

impl Model {
    /// A console that has just begun: no agent, the list of applications, nothing in it.
    pub fn new(now: Timestamp, size: (u16, u16), look: Look) -> Self {
        let mut model = Self {
            now,
            size,
            look,
            zone: utc(),
            link: Link::new(now),
            role: None,
            fleet: Fleet::default(),
            screens: Vec::new(),
            shelf: Shelf::default(),
            overlay: None,
            toasts: Vec::new(),
            numbers: 0,
        };
        let first = model.number();
        model.screens.push(Screen::applications(first));
        model
    }

    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The screen that is seen.
    pub fn screen(&self) -> &Screen {
        self.screens.last().expect("there is always a screen: back never leaves the last one")
    }

    /// The screen that is seen.
    pub fn screen_mut(&mut self) -> &mut Screen {
        self.screens.last_mut().expect("there is always a screen: back never leaves the last one")
    }

    /// What kind of screen is seen.
    pub fn kind(&self) -> Kind {
        self.screen().place.kind()
    }
}

fn utc() -> TimeZone {
    TimeZone::UTC
}
