//! What a person can ask the agent to do: what a question asks about, what is sent when it is answered, and what its
//! failure is told of. One wish from the key to the wire.

use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::protocol::{DeliverRequest, RollbackRequest, SuspendRequest, SyncRequest};
use quarterdeck_shared::snapshot::RunId;
use serde::{Deserialize, Serialize};

/// A command to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Make the cluster equal to git.
    Sync(EnvironmentId, SyncRequest),
    /// Build the images.
    Build(ApplicationName, DeliverRequest),
    /// Push the images.
    Push(ApplicationName, DeliverRequest),
    /// Hold at an earlier revision.
    Rollback(EnvironmentId, RollbackRequest),
    /// Follow git again.
    Unpin(EnvironmentId),
    /// Run the tests of its chart.
    Test(EnvironmentId),
    /// Stop syncing.
    Suspend(EnvironmentId, SuspendRequest),
    /// Go on syncing.
    Resume(EnvironmentId),
    /// Poll its repositories now.
    Refresh(ApplicationName),
    /// Stop a run.
    Cancel(RunId),
    /// Queue a run that has ended once more.
    Retry(RunId),
    /// Let a run of a fork's code run.
    Allow(RunId),
}

impl Act {
    /// What is asked for, for the message that tells of its failure: `sync of shop/prod`.
    pub fn describe(&self) -> String {
        match self {
            Self::Sync(id, _) => format!("sync of {id}"),
            Self::Build(name, _) => format!("build of {name}"),
            Self::Push(name, _) => format!("push of {name}"),
            Self::Rollback(id, _) => format!("rollback of {id}"),
            Self::Unpin(id) => format!("unpin of {id}"),
            Self::Test(id) => format!("test of {id}"),
            Self::Suspend(id, _) => format!("suspend of {id}"),
            Self::Resume(id) => format!("resume of {id}"),
            Self::Refresh(name) => format!("refresh of {name}"),
            Self::Cancel(run) => format!("cancel of run {}", run.number),
            Self::Retry(run) => format!("retry of run {}", run.number),
            Self::Allow(run) => format!("permission of run {}", run.number),
        }
    }

    /// The same with the words that were typed for it: what is to be built, or why it is done.
    pub fn with_text(mut self, words: &str) -> Self {
        match &mut self {
            Self::Build(_, request) | Self::Push(_, request) => {
                request.reference = (!words.is_empty()).then(|| words.to_owned());
            }
            Self::Rollback(_, request) => request.reason = words.to_owned(),
            Self::Suspend(_, request) => request.reason = words.to_owned(),
            Self::Sync(..)
            | Self::Unpin(_)
            | Self::Test(_)
            | Self::Resume(_)
            | Self::Refresh(_)
            | Self::Cancel(_)
            | Self::Retry(_)
            | Self::Allow(_) => {}
        }
        self
    }
}
