//! What is asked for on demand, beside the state: diffs, manifests, commits, checks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{ApplicationName, EnvironmentId, SbomFormat};
use crate::change::{Action, Plan};
use crate::resource::ResourceRef;
use crate::revision::{CommitId, Revision};
use crate::snapshot::{ChartTests, RenderedFrom};
use crate::status::{Health, Phase};

/// The answer of [`DIFF`](crate::routes::DIFF): the plan, and both sides of what differs as YAML, secrets masked.
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

/// The answer of [`MANIFESTS`](crate::routes::MANIFESTS) and of [`OBJECT`](crate::routes::OBJECT): YAML with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestsAnswer {
    /// What was rendered; absent for a live object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Where they came from; absent for a live object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<RenderedFrom>,
    /// Documents, in the order in which they are applied.
    pub yaml: String,
    /// What a person should know of the render: what was left out, warnings of the renderer. Empty for a live object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is in one image of a run, by the list that was attached to it when it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagesAnswer {
    /// The image with its digest.
    pub image: String,
    /// In which format the list is; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SbomFormat>,
    /// The key that an environment of the application requires and that signed the list; absent where none is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Packages in the list; it may have more than are answered.
    pub total: usize,
    /// The packages, by name; at most [`PACKAGES_MAX`](crate::protocol::PACKAGES_MAX).
    pub packages: Vec<Package>,
    /// Why there is no list; empty where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A package in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// What it is called: `libssl3`.
    pub name: String,
    /// Its version; empty where none is told.
    pub version: String,
    /// Its kind, as package URLs call it: `deb`, `golang`, `npm`; empty where none is told.
    pub kind: String,
    /// Its license, as an SPDX expression where it is one; empty where none is told.
    pub license: String,
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

/// Whether a registry has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It has it.
    Present,
    /// It answers, and does not have it: a retention rule or a person deleted it, or it never was there.
    Missing,
    /// It did not say.
    Unknown,
}

impl ImageState {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// An image of the last syncs, for choosing what to roll back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageAnswer {
    /// As the manifests named it.
    pub image: String,
    /// Whether its registry has it.
    pub state: ImageState,
    /// Why that is unknown; empty where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// The answer of [`TESTS`](crate::routes::TESTS): the newest run of the tests of an environment's chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestsAnswer {
    /// Whose.
    pub environment: EnvironmentId,
    /// The run.
    pub run: ChartTests,
    /// Each test, in the order in which they run; empty where the agent was restarted since.
    pub tests: Vec<ChartTest>,
}

/// The answer of [`DELETION`](crate::routes::DELETION): what a deletion of all objects of an environment would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeletionAnswer {
    /// Whose.
    pub environment: EnvironmentId,
    /// The objects, and the steps with the hooks of its chart.
    pub plan: Plan,
    /// Why the hooks of its chart are not known; empty where they are. A deletion is refused then, unless it leaves them out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub no_hooks: String,
}

/// One test of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartTest {
    /// The object that is run.
    pub resource: ResourceRef,
    /// The lowest runs first.
    pub weight: i64,
    /// How it ended; one that a failed test came before is skipped.
    pub phase: Phase,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Why it failed; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The last lines that it wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
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

/// One line of the answer of [`DOCTOR`](crate::routes::DOCTOR).
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

/// What can be deleted, and for what it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GcKind {
    /// An image on the engine's disk.
    Image,
    /// The mirror of a repository.
    Mirror,
    /// The archive of a chart.
    Chart,
    /// A tag of a merge request in a registry.
    Tag,
}

impl GcKind {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Mirror => "mirror",
            Self::Chart => "chart",
            Self::Tag => "tag",
        }
    }
}

/// Something that the agent made on its machine, or for a merge request in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcItem {
    /// What it is.
    pub kind: GcKind,
    /// An image's name, or its id where it has none; the redacted address of a mirror's repository; a chart with its
    /// version; an image in a registry with its tag.
    pub name: String,
    /// Of which application, of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationName>,
    /// From which commit it was built, of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// When an image was built, or a mirror last changed.
    pub at: Timestamp,
    /// Bytes on the disk; images may share some of them. None of what is in a registry.
    pub bytes: u64,
    /// Why it stays; absent where nobody needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// What the agent made on its machine and for merge requests in registries, and what of it nobody needs any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcAnswer {
    /// What nobody needs first, then by age.
    pub items: Vec<GcItem>,
    /// What could not be looked at, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Check>,
}

impl GcAnswer {
    /// What nobody needs.
    pub fn unneeded(&self) -> impl Iterator<Item = &GcItem> {
        self.items.iter().filter(|item| item.kept.is_none())
    }
}

/// `qd-agent health -o json`, a line an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLine {
    /// `Deployment`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Why; empty where there is nothing to say.
    pub reason: String,
    /// Which rule spoke: `built in: apps/Deployment`, `cert-manager.io/Certificate`, `configuration: …`, `generic`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}
