//! What keeps an environment from following git, and what waits in git meanwhile.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EnvironmentStatus;
use crate::event::Cause;
use crate::revision::Revision;

/// A hold: why and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// In the person's words; may be empty.
    pub reason: String,
    /// Who.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
}

impl Hold {
    /// `suspended by alice: maintenance`, of what the hold does.
    pub fn describe(&self, done: &str) -> String {
        let by = format!("{done} by {}", self.cause.describe());
        if self.reason.is_empty() { by } else { format!("{by}: {}", self.reason) }
    }
}

/// A pin: held at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which.
    pub revision: Revision,
    /// Why and by whom.
    #[serde(flatten)]
    pub hold: Hold,
}

/// Commits of the branch or tag that an environment follows and does not run, since it is held or waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How many change it; counted up to [`Pending::MAX`].
    pub commits: u32,
    /// The newest commit of the branch or tag.
    pub newest: Revision,
}

impl Pending {
    /// Of no use to a person beyond this, and each costs a look at two trees.
    pub const MAX: u32 = 100;

    /// `2 commits wait, newest main@e13ff48`.
    pub fn describe(&self) -> String {
        let newest = self.newest.short();
        match self.commits {
            1 => format!("1 commit waits, newest {newest}"),
            Self::MAX.. => format!("{} or more commits wait, newest {newest}", Self::MAX),
            commits => format!("{commits} commits wait, newest {newest}"),
        }
    }
}

impl EnvironmentStatus {
    /// Whether it stays as it is on purpose.
    pub fn is_held(&self) -> bool {
        self.suspended || self.pin.is_some()
    }

    /// `pinned to e5f6a7b by root: bad release`, `suspended by alice: month end`, or both; empty where it is not held.
    pub fn held(&self) -> String {
        let suspended = self.suspension.as_ref().filter(|_| self.suspended).map(|hold| hold.describe("suspended"));
        let pinned =
            self.pin.as_ref().map(|pin| pin.hold.describe(&format!("pinned to {}", pin.revision.short_content())));
        suspended.into_iter().chain(pinned).collect::<Vec<_>>().join("; ")
    }
}
