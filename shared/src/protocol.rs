//! The wire: HTTP/1.1 with JSON over a Unix socket; routes, requests, answers, watch records, version, limits.
//!
//! List, then watch, as Kubernetes users know it. So `curl --unix-socket $XDG_RUNTIME_DIR/quarterdeck/agent.sock
//! http://qd/v1/state | jq` is a client.
//!
//! | method and path, below `/v1` | query, body | answer | role |
//! | --- | --- | --- | --- |
//! | GET `/version` | | [`VersionAnswer`] | viewer |
//! | GET `/state` | | [`State`] | viewer |
//! | GET `/watch` | `since`, `epoch` | NDJSON [`WatchRecord`]; 410: list again | viewer |
//! | GET `/environments/ADDRESS/diff` | `revision` (a commit, branch or tag) | [`DiffAnswer`] | viewer |
//! | GET `/environments/ADDRESS/manifests` | `revision` | [`ManifestsAnswer`] | viewer |
//! | GET `/environments/ADDRESS/object` | `group`, `kind`, `namespace`, `name` | [`ManifestsAnswer`] of the live object | viewer |
//! | GET `/environments/ADDRESS/history` | `limit` | `[`[`SyncRecord`](crate::event::SyncRecord)`]`, newest first | viewer |
//! | GET `/environments/ADDRESS/commits` | `limit` | `[`[`CommitAnswer`]`]` of the deploy branch below its path, newest first | viewer |
//! | GET `/environments/ADDRESS/logs` | `pod`, `container`, `follow`, `tail`, `since_seconds`, `previous` | NDJSON [`LogRecord`], all pods where none is named | viewer |
//! | GET `/runs` | `application`, `limit` | `[`[`RunStatus`](crate::snapshot::RunStatus)`]`, newest first | viewer |
//! | GET `/runs/ID` | | [`RunStatus`](crate::snapshot::RunStatus) | viewer |
//! | GET `/runs/ID/log` | `follow` | NDJSON [`LogRecord`] | viewer |
//! | GET `/events` | `application`, `environment`, `limit`, `before` (an id) | `[`[`EventRecord`](crate::event::EventRecord)`]`, newest first | viewer |
//! | GET `/log` | `follow`, `tail` | NDJSON [`LogRecord`] of the agent itself | viewer |
//! | GET `/doctor` | | `[`[`Check`]`]` | viewer |
//! | POST `/environments/ADDRESS/sync` | [`SyncRequest`] | [`Accepted`] | operator |
//! | POST `/applications/NAME/refresh` | | [`Accepted`]: poll its repositories now | operator |
//! | POST `/applications/NAME/build`, `…/push` | [`DeliverRequest`] | [`Accepted`] with the run | operator |
//! | POST `/environments/ADDRESS/rollback` | [`RollbackRequest`] | [`Accepted`] with the revision | operator |
//! | POST `/environments/ADDRESS/unpin`, `…/resume` | | [`Accepted`] | operator |
//! | POST `/environments/ADDRESS/suspend` | [`SuspendRequest`] | [`Accepted`] | operator |
//! | POST `/runs/ID/cancel` | | [`Accepted`] | operator |
//!
//! ADDRESS is `APPLICATION/ENVIRONMENT`, or `APPLICATION` where it has one environment; with several the answer is 409 and
//! lists them.
//!
//! A `POST` without a body is one with the defaults. Where the environment is `protected`, sync, rollback, unpin and
//! resume require role `approver`. Every answer that is not 2xx is an [`ErrorAnswer`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::EnvironmentId;
use crate::change::{Action, Plan};
use crate::id::{Prefix, RunId, SyncId};
use crate::resource::ResourceRef;
use crate::revision::{CommitId, Revision};
use crate::snapshot::{Key, Object};

/// The version of the wire. A console and an agent understand each other where these are equal; fields may be added
/// within a version, and unknown fields are ignored by both.
pub const WIRE_VERSION: u32 = 1;

/// Each answer names the wire's version in this header.
pub const WIRE_HEADER: &str = "x-quarterdeck-wire";

/// A request body is a few names and a reason; 64 KiB is a hundred times that.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A watch sends a bookmark this often where nothing changes, in seconds.
pub const BOOKMARK_SECONDS: u64 = 10;

/// A console that heard nothing for this long calls its state stale, in seconds: two bookmarks and some grace.
pub const STALE_SECONDS: u64 = 25;

/// Watch records are kept for this many changes; a client that asks from before answers 410 and lists again.
/// Each change is a key and a number, so the whole is below 1 MB.
pub const WATCH_CHANGES_KEPT: usize = 16_384;

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

/// `GET /v1/version`.
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

/// `GET /v1/state`: all objects, and the revision of the state they are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Grows with every change; a new life of the agent begins with another [`State::epoch`].
    pub revision: u64,
    /// Names one life of the agent; a revision means something only within it.
    pub epoch: String,
    /// Every object under its key.
    pub objects: BTreeMap<Key, Object>,
}

/// A line of `GET /v1/watch?since=REV&epoch=EPOCH` (NDJSON). 410 tells the client to list again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchRecord {
    /// The object is now so.
    Put {
        /// The state's revision with it.
        revision: u64,
        /// Where it lies.
        key: Key,
        /// What it is.
        object: Box<Object>,
    },
    /// The object is gone.
    Del {
        /// The state's revision without it.
        revision: u64,
        /// Where it lay.
        key: Key,
    },
    /// All up to this revision has been sent.
    Bookmark {
        /// Which.
        revision: u64,
    },
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

/// `POST /v1/environments/ADDRESS/sync`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncRequest {
    /// Prune what left git also where the policy does not.
    pub prune: bool,
    /// Compare every object with the cluster also where nothing is known to have changed.
    pub full: bool,
    /// Only these objects; all where empty. A sync of some prunes nothing, and leaves the revision of the environment as it was.
    pub only: Vec<ResourceRef>,
    /// What left git and is deleted although something lives in it, or another environment may want it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune_anyway: Vec<ResourceRef>,
}

/// `POST /v1/applications/NAME/build` and `…/push`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverRequest {
    /// A tag, branch or commit of the code repository; its default branch where absent.
    pub reference: Option<String>,
    /// Build again although the images of that commit are there.
    pub rebuild: bool,
}

/// `POST /v1/environments/ADDRESS/rollback`: pins to an earlier revision. `…/unpin` takes the pin away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackRequest {
    /// A sync (`12` or its whole id), or a commit (whole or at least 7 digits); the revision before the present one where absent.
    pub to: Option<String>,
    /// In the person's words.
    pub reason: String,
}

/// `POST /v1/environments/ADDRESS/suspend`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspendRequest {
    /// In the person's words.
    pub reason: String,
}

/// The answer to a request that was taken: the work goes on and shows in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// What will happen, for people.
    pub message: String,
    /// The run that was made, for build and push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The revision, for rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The newest sync when the request was taken; one that answers it has a higher number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_sync: Option<SyncId>,
}

/// `GET /v1/environments/ADDRESS/diff[?revision=…]`: the plan, and both sides of what differs as YAML, secrets masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffAnswer {
    /// Whose.
    pub environment: EnvironmentId,
    /// What a sync would do.
    pub plan: Plan,
    /// What differs, in the order of the plan.
    pub objects: Vec<ObjectDiff>,
}

/// Both sides of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDiff {
    /// Which.
    pub resource: ResourceRef,
    /// What a sync would do to it.
    pub action: Action,
    /// As it is in the cluster; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// As it would be after a sync; absent where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
}

/// `GET /v1/environments/ADDRESS/manifests[?revision=…]` and `…/object?…`: YAML with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestsAnswer {
    /// What was rendered; absent for a live object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Documents, in the order in which they are applied.
    pub yaml: String,
}

/// A commit of the deploy repository, for choosing what to roll back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitAnswer {
    /// Its id.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// Which lines of an environment's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LogQuery {
    /// Only this pod.
    pub pod: Option<String>,
    /// Only containers of this name.
    pub container: Option<String>,
    /// Go on as lines come, and as pods join.
    #[serde(default)]
    pub follow: bool,
    /// Only the last lines of each container.
    pub tail: Option<u64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<u64>,
    /// The log of the container before its last restart.
    #[serde(default)]
    pub previous: bool,
}

/// A line of a run's log, a pod's log or the agent's own (NDJSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LogRecord {
    /// One line, without its newline and without control sequences.
    Line {
        /// When it was written, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// `pod/container`, the stage of a run, or the target of an agent's line.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        from: Box<str>,
        /// The text.
        text: Box<str>,
    },
    /// Lines are missing here.
    Gap {
        /// How many, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<u64>,
        /// Why.
        reason: Box<str>,
    },
    /// The agent has something to say about the stream: a pod joined, a container ended, a stream was taken up again.
    Notice {
        /// What.
        text: Box<str>,
    },
}

/// The way a check of `qd doctor` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Well.
    Good,
    /// It works, but.
    Warning,
    /// It does not.
    Bad,
}

/// A line of `GET /v1/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `git ssh://…`, `engine`, `registry …`, `cluster prod`, `renderer kustomize`.
    pub name: String,
    /// How it went.
    pub result: CheckResult,
    /// What was found.
    pub message: String,
    /// What to do; empty where all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// `qd-agent health -o json`, a line an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLine {
    /// `Deployment`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// How it is.
    pub health: crate::status::Health,
    /// Why; empty where there is nothing to say.
    pub reason: String,
    /// Which rule spoke: `built in: apps/Deployment`, `cert-manager.io/Certificate`, `configuration: …`, `generic`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}
