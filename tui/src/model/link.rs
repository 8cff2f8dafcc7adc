//! How things stand between the console and the agent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How things stand with the agent, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where it stands.
    pub state: LinkState,
    /// When the agent was last heard of.
    pub heard: Timestamp,
    /// Whether there ever was a state: from then on the screen keeps the last one.
    pub loaded: bool,
}

/// Where the link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// What is on screen is what is so.
    Live,
    /// The agent does not answer; the console keeps trying.
    Lost {
        /// How many attempts failed in a row.
        attempts: u32,
        /// Why the last one failed.
        problem: Problem,
    },
    /// An agent answers that speaks another wire; the console keeps trying, for it may be replaced.
    Incompatible {
        /// What is wrong, and what to do.
        problem: Problem,
    },
}

impl Link {
    /// Before the first attempt.
    pub fn new(now: Timestamp) -> Self {
        Self { state: LinkState::Connecting, heard: now, loaded: false }
    }

    /// Whether what is on screen is what is so.
    pub fn is_live(&self) -> bool {
        self.state == LinkState::Live
    }
}

/// What went wrong, for people: what and why, and what to do next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was tried and why it failed.
    pub message: String,
    /// What to do next, a line each; may be empty.
    pub hints: Vec<String>,
}
