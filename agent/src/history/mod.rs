//! History: what happened, kept over restarts. SQLite beside the mirrors; logs of runs as files beside it.
//!
//! One thread writes (the journal's); others read on connections of their own, which write-ahead logging allows.
//!
//! Invariant: while the agent runs nothing but SQLite opens the files of the database, not even to set a mode: the locks
//! of a process on a file go with the first descriptor that it closes, and any other program that looks at the history
//! then removes what was not yet brought into it.

pub mod error;
pub mod logs;
pub mod sqlite;

pub mod clock;
pub mod numbers;
pub mod place;

use std::collections::BTreeMap;

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::event::{Cause, SyncRecord};
use quarterdeck_shared::id::{Prefix, TypedId};
use quarterdeck_shared::protocol::SyncRequest;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, RunStatus};
use serde::{Deserialize, Serialize};

use quarterdeck_core::trigger::SeenRefs;

/// An environment as it is kept: its status, and the two halves of its message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRow {
    /// As consoles see it.
    pub status: EnvironmentStatus,
    /// Why it is not Synced.
    pub sync_message: String,
    /// What to do about that.
    #[serde(default)]
    pub sync_hint: String,
    /// Why it is not Healthy.
    pub health_message: String,
}

/// What is said of an id that another history gave, and that this one, which gives ids with `own`, does not hold.
pub fn foreign(what: &str, id: TypedId, own: Prefix) -> Option<String> {
    let is_foreign = id.history.is_some_and(|history| history != own);
    is_foreign.then(|| format!("{what} {id} belongs to another history: the ids of this agent begin with {own}"))
}

/// Whom an event concerns.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// The agent, a repository, a cluster.
    Agent,
    /// The delivery of an application.
    Application(ApplicationName),
    /// An environment.
    Environment(EnvironmentId),
}

impl About {
    /// The application, and the environment of it.
    pub fn parts(&self) -> (Option<&ApplicationName>, Option<&EnvironmentName>) {
        match self {
            Self::Agent => (None, None),
            Self::Application(name) => (Some(name), None),
            Self::Environment(id) => (Some(&id.application), Some(&id.environment)),
        }
    }
}

impl From<&ApplicationName> for About {
    fn from(name: &ApplicationName) -> Self {
        Self::Application(name.clone())
    }
}

impl From<&EnvironmentId> for About {
    fn from(id: &EnvironmentId) -> Self {
        Self::Environment(id.clone())
    }
}

/// What the last life of the agent left.
#[derive(Debug, Default)]
pub struct Left {
    /// Every application that ever was.
    pub applications: BTreeMap<ApplicationName, ApplicationStatus>,
    /// Every environment that ever was.
    pub environments: BTreeMap<EnvironmentId, EnvironmentRow>,
    /// Runs that are not ended, and the newest of each application.
    pub runs: Vec<RunStatus>,
    /// Syncs that are not ended.
    pub open_syncs: Vec<SyncRecord>,
    /// The highest number of a run.
    pub last_run: u64,
    /// The highest number of a sync.
    pub last_sync: u64,
}

/// What a forge knows of a run, and what it is yet to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatuses {
    /// The commit whose statuses they are.
    pub commit: CommitId,
    /// The tag or branch that the run is of.
    pub reference: Option<String>,
    /// By context the state that it knows, in its own words.
    pub known: BTreeMap<String, String>,
    /// By context the state that it does not know yet, and the line beside it.
    pub owed: BTreeMap<String, (String, String)>,
}

/// Our comment on a merge request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// What the forge calls it; absent where none is known.
    pub id: Option<u64>,
    /// A digest of the text that it shows; empty where it shows none yet.
    pub shown: String,
}

/// Which refs of a code repository need no thought any more.
#[derive(Debug, Clone, PartialEq)]
pub struct RefsSeen {
    /// The repository they were seen at.
    pub repository: String,
    /// With what they pointed at.
    pub refs: SeenRefs,
}

/// A sync that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What exactly.
    pub request: SyncRequest,
    /// Who.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
    /// Whether the environment first makes its own what other controllers hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
}

/// What comes after an adoption that a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adoption {
    /// Nothing: no sync was asked for.
    Alone,
    /// The sync that was asked for as well.
    BeforeSync,
}
