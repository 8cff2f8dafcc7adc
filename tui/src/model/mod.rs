//! What the model of the console is made of: the world as the agent tells it, and the parts of which screens are made
//! (tables, trees, logs, documents), with where the reader is in them. The whole is [`crate::console::Model`].
//!
//! Invariants: the model never imports what draws it; nothing in it knows a clock (the time is a field that messages set);
//! a selection is kept by the identity of what is selected, never by its place on the screen.

pub mod capabilities;
pub mod link;
pub mod store;
pub mod subject;

pub mod geometry;
pub mod viewport;

pub mod diff;
pub mod log;
pub mod packages;
pub mod records;
pub mod summary;
pub mod table;
pub mod text;
pub mod tree;

pub mod fetched;
pub mod timeline;

pub mod act;
pub mod destination;
pub mod overlay;
pub mod toast;

#[cfg(test)]
pub(crate) mod fixture;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quarterdeck_shared::protocol::Role;
use serde::{Deserialize, Serialize};

use crate::model::capabilities::Capabilities;
use crate::model::link::Link;
use crate::model::store::Store;

/// What is so, and on what it is shown. Screens look at it, and never change it.
#[derive(Debug, Serialize, Deserialize)]
pub struct World {
    /// The time, as the last message told it.
    pub now: Timestamp,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What the terminal can show.
    pub capabilities: Capabilities,
    /// Where the reader is, for the times of lines; UTC until it is said.
    #[serde(skip, default = "utc")]
    pub zone: TimeZone,
    /// How things stand with the agent.
    pub link: Link,
    /// What the reader may do, as the agent said.
    pub role: Option<Role>,
    /// The agent's objects.
    pub fleet: Store,
}

impl World {
    /// Before anything is known of the agent.
    pub fn new(now: Timestamp, size: (u16, u16), capabilities: Capabilities) -> Self {
        Self { now, size, capabilities, zone: utc(), link: Link::new(now), role: None, fleet: Store::default() }
    }
}

fn utc() -> TimeZone {
    TimeZone::UTC
}
