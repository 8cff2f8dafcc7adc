//! The snapshot: every object that a console can see, each under its key. `GET /v1/state` is all of it.

mod read;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::ApplicationName;
use crate::artifact::Artifact;
use crate::event::{Cause, SyncRecord};
use crate::resource::ResourceRef;
use crate::revision::{CommitId, Revision};
use crate::status::{Health, Phase, Stage, SyncStatus};

/// Where an object of the snapshot is: `application/shop`, `pod/prod/shop/shop-7b46-x9k`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Box<str>);

impl Key {
    /// Where an application is.
    pub fn application(name: &ApplicationName) -> Self {
        Self(format!("application/{name}").into())
    }

    /// Of the agent itself.
    pub fn agent() -> Self {
        Self("agent".into())
    }

    /// Where a run is.
    pub fn run(id: RunId) -> Self {
        Self(format!("run/{id}").into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a run, as people type it: counts up over all applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One object that a console can see.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind")]
pub enum Object {
    /// The agent itself; one.
    Agent(AgentStatus),
    /// An application of the configuration.
    Application(Box<ApplicationStatus>),
    /// A repository that is polled.
    Repository(RepositoryStatus),
    /// A cluster, an engine or a registry that the agent talks to.
    Connection(ConnectionStatus),
    /// A run that is queued, running or among the newest of its application.
    Run(Box<RunStatus>),
    /// An object in a cluster that we applied, or that such an object owns (a pod is a [`Object::Pod`]).
    Resource(Box<ResourceStatus>),
    /// A pod that an applied object owns.
    Pod(Box<PodStatus>),
}

impl Object {
    /// The key it lies under; fixed for its life.
    pub fn key(&self) -> Key {
        let text = match self {
            Self::Agent(_) => "agent".to_owned(),
            Self::Application(a) => return Key::application(&a.name),
            Self::Repository(r) => format!("repository/{}", r.address),
            Self::Connection(c) => format!("connection/{}/{}", c.to.word(), c.name),
            Self::Run(r) => return Key::run(r.id),
            Self::Resource(r) => format!("resource/{}/{}", r.application, r.resource),
            Self::Pod(p) => format!("pod/{}/{}/{}", p.cluster, p.namespace, p.name),
        };
        Key(text.into())
    }
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its version.
    pub version: String,
    /// The machine it runs on.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// When it began.
    pub started: Timestamp,
    /// Where its configuration is.
    pub configuration: String,
    /// Why the newest configuration is not in force; absent where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_error: Option<String>,
    /// Why the history cannot be written, which stops the work; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_error: Option<String>,
    /// A line for everyone who looks, from the configuration: which environment this is, what is a stand-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// An application as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationStatus {
    /// Its name.
    pub name: ApplicationName,
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
    /// Since when sync and health are as they are.
    pub since: Timestamp,
    /// What git says now: the commit that the deploy branch or tag, or the pin, resolves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Revision>,
    /// Why and by whom it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Hold>,
    /// Why and by whom it is pinned, and to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// What is being done to its cluster right now: "planning", "applying 3 of 12".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// The last thing that happened to it, in a word or two: "sync ✔" is drawn from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAction>,
    /// The newest sync; its changes are fetched on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<SyncRecord>,
    /// The newest image of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Objects that differ from their manifests.
    #[serde(default)]
    pub drifted: u32,
    /// Objects that its manifests name.
    #[serde(default)]
    pub resources: u32,
    /// Where it comes from and goes to, for people.
    pub spec: SpecSummary,
}

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

/// A pin: held at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which.
    pub revision: Revision,
    /// Why and by whom.
    #[serde(flatten)]
    pub hold: Hold,
}

/// The last thing that happened to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAction {
    /// `build`, `push`, `promote`, `sync`, `rollback`, `drift`, `suspend`, `resume`.
    pub what: String,
    /// How it went.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
}

/// Where an application comes from and goes to, without what could be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecSummary {
    /// The code repository, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The image, without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The deploy repository, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The folder of the manifests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The cluster by its name in the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Automatic, prune, self-heal.
    pub automatic: bool,
    /// What left git is deleted.
    pub prune: bool,
    /// Drift is reverted.
    pub self_heal: bool,
    /// Changing it by hand asks for the approver's role.
    #[serde(default)]
    pub protected: bool,
}

/// A repository as it was at its last poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryStatus {
    /// Redacted address.
    pub address: String,
    /// The last poll that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polled: Option<Timestamp>,
    /// When it is polled next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_poll: Option<Timestamp>,
    /// Branches seen.
    pub branches: u32,
    /// Tags seen.
    pub tags: u32,
    /// Why the last poll failed, and how many failed in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Failed polls in a row.
    #[serde(default)]
    pub failures: u32,
}

/// What a connection goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// A Kubernetes API server.
    Cluster,
    /// A Docker or Podman engine.
    Engine,
    /// An OCI registry.
    Registry,
}

impl ConnectionKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Engine => "engine",
            Self::Registry => "registry",
        }
    }
}

/// A cluster, engine or registry that the agent talks to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Which of them.
    pub to: ConnectionKind,
    /// Its name in the configuration, or its address.
    pub name: String,
    /// Whether it answered last time.
    pub reachable: bool,
    /// What it says it is: `Kubernetes v1.35.4`, `Docker 28.2.2, BuildKit`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
}

/// A run: the delivery of one application for one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Its number.
    pub id: RunId,
    /// Whose.
    pub application: ApplicationName,
    /// What it is to reach.
    pub goal: RunGoal,
    /// Why it exists.
    pub cause: Cause,
    /// The git tag that named it, or what a person asked for.
    pub reference: String,
    /// The commit that is delivered.
    pub commit: CommitId,
    /// The first line of its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Where it stands.
    pub phase: Phase,
    /// Its steps, in order.
    pub stages: Vec<Stage>,
    /// When the trigger was seen.
    pub queued: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// One line: what came out, or why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The image, once built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The commit that wrote it into the manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<CommitId>,
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunGoal {
    /// The image is built.
    Build,
    /// The image is in the registry, and in the manifests where promotion is on.
    Push,
}

impl RunGoal {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Push => "push",
        }
    }
}

/// An object in a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Whose.
    pub application: ApplicationName,
    /// Which.
    pub resource: ResourceRef,
    /// Whether it is as its manifest; Synced for what has no manifest of its own (a ReplicaSet).
    pub sync: SyncStatus,
    /// How it is.
    pub health: Health,
    /// Why, where it is not well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// A few words for people: `2 of 3 updated`, `:80 → 3 endpoints`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The object that owns it; absent for what has a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ResourceRef>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodStatus {
    /// Whose.
    pub application: ApplicationName,
    /// The cluster by its name in the agent.
    pub cluster: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The ReplicaSet, StatefulSet, DaemonSet or Job that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ResourceRef>,
    /// As `kubectl get pods` says: `Running`, `ContainerCreating`, `CrashLoopBackOff`, `Terminating`.
    pub status: Box<str>,
    /// How it is.
    pub health: Health,
    /// Why, where it is not well: exit code and last log line, pull error.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Box<str>,
    /// Its containers, init containers first.
    pub containers: Vec<ContainerStatus>,
    /// The node it is on.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub node: Box<str>,
    /// Its address.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub ip: Box<str>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl PodStatus {
    /// Ready and all containers, without init containers: `(1, 2)`.
    pub fn ready(&self) -> (usize, usize) {
        let main = self.containers.iter().filter(|c| !c.init);
        (main.clone().filter(|c| c.ready).count(), main.count())
    }

    /// Restarts of all containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|c| c.restarts).sum()
    }
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its name.
    pub name: Box<str>,
    /// As the pod's spec names it.
    pub image: Box<str>,
    /// `running`, `waiting: ImagePullBackOff`, `terminated: exit 1`.
    pub state: Box<str>,
    /// Whether its readiness probe passed.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether it runs before the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
}
