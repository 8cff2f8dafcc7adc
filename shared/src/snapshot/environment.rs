//! An environment of an application: how it is, what is done to it, and where it comes from and goes to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::EnvironmentId;
use crate::event::SyncRecord;
use crate::revision::Revision;
use crate::status::{Health, Phase, SyncStatus};

mod deletion;
mod held;
mod progress;
mod rendered;
mod tested;
mod unseen;

pub use self::deletion::Deletion;
pub use self::held::{Hold, Pending, Pin};
pub use self::progress::{Awaited, AwaitedHook, Progress};
pub use self::rendered::RenderedFrom;
pub use self::tested::ChartTests;
pub use self::unseen::{Cover, Known, Unseen};

/// An environment as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentStatus {
    /// Which.
    pub environment: EnvironmentId,
    /// Whether the cluster is as git says.
    pub sync: SyncStatus,
    /// As healthy as its worst object.
    pub health: Health,
    /// What the cluster runs: the revision of the last sync that was applied.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// The images that its manifests name.
    #[serde(default)]
    pub images: Vec<String>,
    /// Whether syncing is stopped on purpose.
    pub suspended: bool,
    /// One line that says why it is as it is; empty where all is well.
    #[serde(default)]
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Since when sync and health are as they are.
    pub since: Timestamp,
    /// What of it cannot be seen at the moment; empty where everything that it stands on is seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<Unseen>,
    /// Sync and health as they were last known, where [`EnvironmentStatus::unseen`] makes one of them Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known: Option<Known>,
    /// What git says now: the commit that the deploy branch or tag, or the pin, resolves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Revision>,
    /// Why and by whom it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Hold>,
    /// Why and by whom it is pinned, and to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Commits of what it follows that it does not run, where it is held or waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// What is being done to its cluster right now, and how far that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The last thing that happened to it, in a word or two: "sync ✔" is drawn from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAction>,
    /// The newest sync; its changes are fetched on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<SyncRecord>,
    /// The newest run of the tests of its chart; absent where nobody asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Box<ChartTests>>,
    /// The newest deletion of its objects; absent where nobody asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Box<Deletion>>,
    /// Objects that differ from their manifests.
    #[serde(default)]
    pub drifted: u32,
    /// Objects that its manifests name.
    #[serde(default)]
    pub resources: u32,
    /// Where its manifests came from when it was last looked at; absent before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<RenderedFrom>,
    /// Where it comes from and goes to, for people.
    pub spec: SpecSummary,
}

/// The last thing that happened to an application or an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAction {
    /// `build`, `push`, `promote` of an application; `sync`, `rollback`, `drift`, `test`, `delete`, `suspend`, `resume` of an environment.
    pub what: String,
    /// How it went.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
}

/// Where an environment comes from and goes to, without what could be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecSummary {
    /// The deploy repository, redacted.
    pub repository: String,
    /// The folder of the manifests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The chart of a registry or chart repository that is deployed, and which versions of it:
    /// `podinfo 6.x of oci://registry.example/charts`. Empty where the manifests are in the deploy repository.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chart: String,
    /// The other sources of its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSummary>,
    /// The cluster by its name in the agent.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// Automatic, prune, self-heal.
    pub automatic: bool,
    /// What left git is deleted.
    pub prune: bool,
    /// Drift is reverted.
    pub self_heal: bool,
    /// Changing it manually requires role `approver`.
    #[serde(default)]
    pub protected: bool,
}

/// Another source of an environment's files, without what could be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// What paths call it, behind a `$`.
    pub name: String,
    /// Its repository, redacted, or its artifact.
    pub repository: String,
    /// What of it is taken: a branch, a tag, a range. Empty where that is the default branch, or what its artifact says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub follows: String,
    /// The folder of it that is taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Whether promotions are written into it, and not into the environment's own repository.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_promoted: bool,
}

impl SourceSummary {
    /// `values: ssh://forge.example/ops/values.git main, teams/shop (promotions)`, for people.
    pub fn describe(&self) -> String {
        let Self { name, repository, follows, path, is_promoted } = self;
        let promotions = if *is_promoted { " (promotions)" } else { "" };
        let follows = if follows.is_empty() { String::new() } else { format!(" {follows}") };
        let path = if path.is_empty() { String::new() } else { format!(", {path}") };
        format!("{name}: {repository}{follows}{path}{promotions}")
    }
}
