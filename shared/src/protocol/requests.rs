//! What a command asks for, and the answer to one that was accepted. A field that is absent has its default; an unknown one is
//! refused, so that no word of a person is lost.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{RunId, SyncId};
use crate::resource::ResourceRef;
use crate::revision::Revision;

/// The body of [`SYNC`](crate::routes::SYNC).
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

/// The body of [`BUILD`](crate::routes::BUILD) and of [`PUSH`](crate::routes::PUSH).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverRequest {
    /// A tag, branch or commit of the code repository; its default branch where absent.
    pub reference: Option<String>,
    /// Build again although the images of that commit are there.
    pub rebuild: bool,
}

/// The body of [`ROLLBACK`](crate::routes::ROLLBACK), which pins to an earlier revision until [`UNPIN`](crate::routes::UNPIN).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackRequest {
    /// A sync (`12` or its whole id), or a commit (whole or at least 7 digits); the revision before the present one where absent.
    pub to: Option<String>,
    /// In the person's words.
    pub reason: String,
}

/// The body of [`SUSPEND`](crate::routes::SUSPEND).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspendRequest {
    /// In the person's words.
    pub reason: String,
}

/// The body of [`TEST`](crate::routes::TEST).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestRequest {
    /// Only the tests of these names; all where empty.
    pub only: Vec<String>,
    /// Each has to be done within so many seconds; the `hook_timeout` of the environment where absent.
    pub timeout_seconds: Option<u64>,
}

/// The body of [`DELETE`](crate::routes::DELETE).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeleteRequest {
    /// Leave out the hooks of its chart.
    pub skip_hooks: bool,
}

/// The body of [`RECEIVED`](crate::routes::RECEIVED).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceivedRequest {
    /// The git directory that was pushed to: absolute, with its links followed.
    pub directory: PathBuf,
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
    /// What tells the run of tests from others, for test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Timestamp>,
    /// What tells the deletion from others, for delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Timestamp>,
}
