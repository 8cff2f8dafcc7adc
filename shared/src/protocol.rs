//! The wire: HTTP/1.1 with JSON over a Unix socket; requests, answers, watch records, version, limits. What is asked where is
//! in [`routes`](crate::routes), each route with its role, its query and its answer; what a query holds in
//! [`queries`](crate::queries).
//!
//! List, then watch, as Kubernetes users know it. So `curl --unix-socket $XDG_RUNTIME_DIR/quarterdeck/agent.sock
//! http://qd/v1/state | jq` is a client.

mod adoption;
mod answers;
mod records;
mod requests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::adoption::{AdoptedObject, AdoptionAnswer, HeldBy, HolderAnswer};
pub use self::answers::{
    ChartTest, Check, CheckResult, CommitAnswer, DeletionAnswer, DiffAnswer, GcAnswer, GcItem, GcKind, HealthLine,
    ImageAnswer, ImageState, ManifestsAnswer, ObjectDiff, Package, PackagesAnswer, TestsAnswer,
};
pub use self::records::{LogRecord, WatchRecord};
pub use self::requests::{
    Accepted, DeleteRequest, DeliverRequest, ReceivedRequest, RollbackRequest, SuspendRequest, SyncRequest, TestRequest,
};
use crate::id::Prefix;
use crate::snapshot::{Key, Object};

/// The version of the wire. A console and an agent understand each other where these are equal; fields may be added
/// within a version, and unknown fields are ignored by both.
pub const WIRE_VERSION: u32 = 1;

/// Each answer names the wire's version in this header.
pub const WIRE_HEADER: &str = "x-quarterdeck-wire";

/// Packages of an image in an answer: a large distribution with a desktop has some 5,000.
pub const PACKAGES_MAX: usize = 20_000;

/// A request body is a few names and a reason; 64 KiB is a hundred times that.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A watch sends a bookmark this often where nothing changes, in seconds.
pub const BOOKMARK_SECONDS: u64 = 10;

/// A console that heard nothing for this long calls its state stale, in seconds: two bookmarks and some grace.
pub const STALE_SECONDS: u64 = 25;

/// Watch records are kept for this many changes; a client that asks from before answers 410 and lists again.
/// Each change is a key and a number, so the whole is below 1 MB.
pub const WATCH_CHANGES_KEPT: usize = 16_384;

/// Rows of history, runs and events where a query does not say how many.
pub const ROWS: usize = 100;

/// Rows of history, runs and events that one answer holds at most.
pub const ROWS_MAX: usize = 1_000;

/// Where a user's agent listens: `$XDG_RUNTIME_DIR/quarterdeck/agent.sock`, else `/tmp/quarterdeck-UID/agent.sock`.
pub fn user_socket(runtime_dir: Option<&Path>, uid: u32) -> PathBuf {
    match runtime_dir {
        Some(dir) => dir.join("quarterdeck/agent.sock"),
        None => PathBuf::from(format!("/tmp/quarterdeck-{uid}/agent.sock")),
    }
}

/// Where an agent listens that runs as a system service.
pub const SYSTEM_SOCKET: &str = "/run/quarterdeck/agent.sock";

/// What a peer may do. Ordered: each may do what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Build, push, sync, roll back, suspend and resume.
    Operator,
    /// The same for environments that are `protected`.
    Approver,
}

impl Role {
    /// The word for it, as in the configuration and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }
}

/// The answer of [`VERSION`](crate::routes::VERSION).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionAnswer {
    /// [`WIRE_VERSION`] of the agent.
    pub wire: u32,
    /// The agent's version.
    pub agent: String,
    /// Process id.
    pub pid: u32,
    /// When it began.
    pub started: Timestamp,
    /// What the ids of its history begin with.
    pub history: Prefix,
    /// What the asking peer may do.
    pub role: Role,
}

/// The answer of [`STATE`](crate::routes::STATE): all objects, and the revision of the state they are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Grows with every change; a new life of the agent begins with another [`State::epoch`].
    pub revision: u64,
    /// Names one life of the agent; a revision means something only within it.
    pub epoch: String,
    /// Every object under its key.
    pub objects: BTreeMap<Key, Object>,
}

/// Every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// `not_found`, `forbidden`, `bad_request`, `conflict`, `gone`, `unavailable`, `internal`.
    pub error: String,
    /// What was tried and why it failed.
    pub message: String,
    /// What to do next; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}
