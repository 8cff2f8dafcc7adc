//! Events: the closed list of all that can happen, in the past tense, each with who or what caused it.
//!
//! An event is kept in the history and may change the snapshot. What is merely observed (a pod's phase, a poll without
//! news) is no event: it changes the snapshot and is forgotten with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{ApplicationName, EnvironmentId, EnvironmentName, EnvironmentSourceName, SourceName};
use crate::artifact::Artifact;
use crate::change::Change;
use crate::id::{EventId, RunId, SyncId};
use crate::resource::ResourceRef;
use crate::revision::{CommitId, Revision};
use crate::status::{Health, Phase, StageKind, SyncStatus};

/// An event as the history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Which.
    pub id: EventId,
    /// When it happened, by the agent's clock.
    pub at: Timestamp,
    /// Whom it concerns; absent for the agent, a repository, a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationName>,
    /// Which environment of it; absent where it is about its delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// Who or what caused it.
    pub cause: Cause,
    /// What happened.
    pub event: Event,
}

impl EventRecord {
    /// Whether it came after another one, which may be of the history that was here before: a restored or new one counts
    /// under a prefix of its own, and then the time decides.
    pub fn is_after(&self, other: &Self) -> bool {
        if self.id.history == other.id.history { self.id > other.id } else { self.at > other.at }
    }
}

/// Who or what caused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// The agent itself: its start, its timer, what it observed.
    Agent,
    /// A person at a console, known by the peer of the socket.
    Person {
        /// User id.
        uid: u32,
        /// User name, or the id where it has none.
        name: String,
    },
    /// A tag of the code repository.
    Tag {
        /// Without `refs/tags/`.
        tag: String,
        /// What it points at, peeled.
        commit: CommitId,
    },
    /// A new commit of a branch of the code repository.
    Branch {
        /// Without `refs/heads/`.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
    /// A new commit of a merge request of the code repository.
    MergeRequest {
        /// The number that the forge gave it.
        number: u64,
        /// The commit.
        commit: CommitId,
    },
    /// A new tag of an image that the application follows.
    ImageTag {
        /// Registry and repository.
        image: String,
        /// The tag.
        tag: String,
    },
    /// A new commit of the deploy repository.
    Commit {
        /// The branch or tag, and the commit.
        revision: Revision,
    },
    /// Somebody changed the cluster.
    Drift {
        /// The first object that was seen to differ.
        resource: ResourceRef,
        /// The field manager that changed it, where the API server tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager: Option<String>,
    },
    /// The configuration was changed.
    Configuration,
}

impl Cause {
    /// A few words: `tag build-1.4.0`, `alice`, `drift of Deployment/shop`.
    pub fn describe(&self) -> String {
        match self {
            Self::Agent => "agent".to_owned(),
            Self::Person { name, .. } => name.clone(),
            Self::Tag { tag, .. } => format!("tag {tag}"),
            Self::Branch { branch, .. } => format!("branch {branch}"),
            Self::MergeRequest { number, .. } => format!("merge request {number}"),
            Self::ImageTag { image, tag } => format!("image {image}:{tag}"),
            Self::Commit { revision } => format!("commit {}", revision.short()),
            Self::Drift { resource, manager: Some(manager) } => format!("drift of {} by {manager}", resource.short()),
            Self::Drift { resource, manager: None } => format!("drift of {}", resource.short()),
            Self::Configuration => "configuration".to_owned(),
        }
    }
}

/// What a sync was, from its request to its end. Kept in the history; the newest rides in the snapshot without changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncRecord {
    /// Which.
    pub id: SyncId,
    /// Whose.
    pub environment: EnvironmentId,
    /// To what.
    pub revision: Revision,
    /// The part of the environment that it was about; absent where it was about all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// A digest of all manifests of the revision: two revisions with the same one are the same to the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// Why.
    pub cause: Cause,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// `2 configured, 9 unchanged`, or why it failed in the server's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The images that the manifests name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What it did, without the unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// The objects that a sync of a part was about. Such a sync says nothing of the others, and prunes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The first of them, at most [`Part::NAMED_MAX`].
    pub named: Vec<ResourceRef>,
    /// How many.
    pub count: u32,
    /// Of how many that the manifests name.
    pub of: u32,
}

impl Part {
    /// Objects named one by one: a line for people, and it rides in the snapshot. What was done to each is in the changes.
    pub const NAMED_MAX: usize = 20;

    /// A part of `of` objects.
    pub fn new<'a>(objects: impl ExactSizeIterator<Item = &'a ResourceRef>, of: usize) -> Self {
        let count = objects.len() as u32;
        Self { named: objects.take(Self::NAMED_MAX).cloned().collect(), count, of: of as u32 }
    }

    /// `1 of 3 objects of main@1f3c2a9 applied`.
    pub fn applied(&self, revision: &Revision) -> String {
        format!("{} of {} objects of {} applied", self.count, self.of, revision.short())
    }
}

/// All that can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The agent began its work.
    AgentStarted {
        /// Its version.
        version: String,
        /// How many runs and syncs the last life of the agent left in the middle.
        interrupted: u64,
    },
    /// The agent was told to stop and did.
    AgentStopped,
    /// A changed configuration is in force.
    ConfigurationReloaded {
        /// A line a change.
        changes: Vec<String>,
    },
    /// A changed configuration is bad; the one before stays in force.
    ConfigurationRefused {
        /// Where and what.
        message: String,
    },
    /// Other applications of a source are in force.
    ApplicationSourceRead {
        /// The source.
        source: SourceName,
        /// The commit that they are of.
        commit: CommitId,
        /// A line a change.
        changes: Vec<String>,
    },
    /// A source of applications is wrong; those of before stay in force.
    ApplicationSourceRefused {
        /// The source.
        source: SourceName,
        /// Commit, file and line of each problem, and what it is.
        message: String,
    },
    /// The objects of an environment that left a source of applications are deleted.
    EnvironmentPruned {
        /// The source.
        source: SourceName,
        /// The environment.
        environment: EnvironmentId,
        /// How many objects were deleted.
        deleted: u64,
        /// Those that stay, each with why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<String>,
    },
    /// The objects of an environment that left a source are not deleted yet; it is tried again.
    EnvironmentNotPruned {
        /// The source.
        source: SourceName,
        /// The environment.
        environment: EnvironmentId,
        /// Why.
        message: String,
        /// What to do; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hint: String,
    },
    /// The socket was not where the agent listened, and it listens there again.
    SocketRemade {
        /// Where.
        path: String,
        /// What became of the one before.
        why: String,
    },
    /// The history was restored from a backup, before the agent began.
    HistoryRestored {
        /// The file.
        from: String,
        /// The newest event that it holds: what came later is not known any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state_of: Option<Timestamp>,
    },
    /// What nobody needs any more was deleted from the agent's machine.
    Cleaned {
        /// Images on the engine.
        images: u64,
        /// Mirrors of repositories that are not in the configuration.
        mirrors: u64,
        /// Archives of charts that nothing deploys.
        #[serde(default)]
        charts: u64,
        /// Tags of merge requests in registries.
        #[serde(default)]
        tags: u64,
        /// Bytes of all; images may share some of them with what stays.
        bytes: u64,
    },
    /// A request was refused: a role is required.
    RequestDenied {
        /// Method and path.
        request: String,
    },

    /// Tags appeared, moved or went.
    TagsChanged {
        /// Redacted address.
        repository: String,
        /// Names of new and moved tags, bounded to 20.
        changed: Vec<String>,
        /// Which of these were elsewhere before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        moved: Vec<String>,
        /// How many went.
        deleted: u64,
    },
    /// Most tags of an application's code repository went in one listing: it was emptied, made anew, or is being
    /// restored. Those that come back at the same objects are not run again.
    TagsLost {
        /// Redacted address.
        repository: String,
        /// How many went.
        lost: u64,
        /// How many there were.
        of: u64,
    },
    /// A repository, cluster, engine or registry could not be reached.
    ConnectionLost {
        /// `repository ssh://…`, `cluster prod`, `engine default`, `registry registry.example`.
        to: String,
        /// In its words.
        message: String,
    },
    /// It could be reached again.
    ConnectionRestored {
        /// As above.
        to: String,
    },
    /// A cluster turned out to be another than before, or to have been set back: what was known of it is dropped, and
    /// everything in it is compared anew.
    ClusterReplaced {
        /// Its name in the agent.
        cluster: String,
        /// What became of it: `was set back to an older state`, `is another cluster now`.
        message: String,
    },

    /// A trigger made a run.
    RunQueued {
        /// Which.
        run: RunId,
    },
    /// A run of a fork's code got the permission that it waited for.
    RunAllowed {
        /// Which.
        run: RunId,
    },
    /// A stage of a run began or ended.
    StageChanged {
        /// Which run.
        run: RunId,
        /// Which stage.
        stage: StageKind,
        /// To which environment, of a promotion.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<EnvironmentName>,
        /// Where it stands now.
        phase: Phase,
        /// One line.
        message: String,
    },
    /// A run ended.
    RunFinished {
        /// Which.
        run: RunId,
        /// How.
        phase: Phase,
        /// One line.
        message: String,
    },
    /// The images of a commit were built.
    ImageBuilt {
        /// Which.
        artifact: Artifact,
    },
    /// The images of a commit were pushed.
    ImagePushed {
        /// Which, with their digests.
        artifact: Artifact,
    },
    /// An artifact was written into the manifests.
    ImagePromoted {
        /// What the manifests say now.
        images: Vec<String>,
        /// The commit in the deploy repository.
        commit: CommitId,
        /// The source of the environment whose repository that is, where it is not the environment's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<EnvironmentSourceName>,
    },

    /// The deploy branch or tag resolved to another commit.
    RevisionChanged {
        /// To this.
        revision: Revision,
        /// The commit before is none of its ancestors: the branch was force-pushed, or the tag was moved elsewhere.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rewritten: bool,
    },
    /// A sync began.
    SyncStarted {
        /// Which.
        sync: SyncId,
        /// To what.
        revision: Revision,
    },
    /// A sync ended.
    SyncFinished {
        /// Which.
        sync: SyncId,
        /// How.
        phase: Phase,
        /// What it did, or why not.
        message: String,
    },
    /// A live object was seen to differ from its manifest, and is left so: by a suspension, by a policy, or since it is
    /// fought over. Drift that is reverted is told by its sync.
    DriftFound {
        /// Which; one of them where several differ.
        resources: Vec<ResourceRef>,
    },
    /// Synced, OutOfSync or Unknown: it is another than before.
    SyncStatusChanged {
        /// Before.
        from: SyncStatus,
        /// Now.
        to: SyncStatus,
        /// Why.
        message: String,
    },
    /// The health of an environment is another than before.
    HealthChanged {
        /// Before.
        from: Health,
        /// Now.
        to: Health,
        /// Why.
        message: String,
    },
    /// Another agent operates the environment too, or did until this one took over.
    OperatedElsewhere {
        /// The name of its host.
        host: String,
        /// When it last wrote, by its clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Timestamp>,
        /// This agent took over; else both are at work.
        taken_over: bool,
    },
    /// Syncing was stopped on purpose.
    Suspended {
        /// In the person's words.
        reason: String,
    },
    /// Syncing goes on.
    Resumed,
    /// The environment is held at a revision.
    Pinned {
        /// Which.
        revision: Revision,
        /// In the person's words.
        reason: String,
    },
    /// The environment follows git again.
    Unpinned,
    /// All objects of an environment were deleted, but for what the message says: a person wanted that.
    ObjectsDeleted {
        /// How many are gone.
        objects: u32,
        /// `12 deleted, 1 hook done`, and what is left.
        message: String,
    },
    /// Objects of an environment were to be deleted, and not all of them were.
    DeletionFailed {
        /// Why.
        message: String,
        /// What to do; empty where nothing is known that helps.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hint: String,
    },
    /// The tests of the chart of an environment ended: a person wanted that.
    Tested {
        /// What was deployed.
        revision: Revision,
        /// How they ended.
        phase: Phase,
        /// `2 passed`, or why not.
        message: String,
        /// What to do; empty where nothing is known that helps.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hint: String,
    },
    /// Objects that other controllers held became the environment's: a person wanted that.
    Adopted {
        /// How many.
        objects: u32,
        /// Who held them: `Argo CD Application argocd/shop`.
        from: Vec<String>,
    },
    /// Objects that other controllers hold did not become the environment's, or not all.
    AdoptionFailed {
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
}
