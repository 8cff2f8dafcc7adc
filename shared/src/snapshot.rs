//! The snapshot: every object that a console can see, each under its key. `GET /v1/state` is all of it.

mod application;
mod configuration;
mod connection;
mod environment;
mod followed;
mod live;
mod read;
mod run;
mod scan;
mod source;
mod test;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::application::ApplicationStatus;
pub use self::configuration::ConfigurationStatus;
pub use self::connection::{ConnectionKind, ConnectionStatus, RepositoryStatus};
pub use self::environment::{
    Awaited, AwaitedHook, ChartTests, Cover, Deletion, EnvironmentStatus, Hold, Known, LastAction, Pending, Pin,
    Progress, RenderedFrom, SourceSummary, SpecSummary, Unseen,
};
pub use self::followed::{FollowState, FollowedImage, FollowedIn};
pub use self::live::{ContainerStatus, PodStatus, ResourceStatus};
pub use self::run::{Permission, RunGoal, RunStatus};
pub use self::scan::{ScanResult, SeverityCount, VULNERABILITIES_MAX, Vulnerability};
pub use self::source::{ApplicationSourceStatus, DefinedIn};
pub use self::test::{Cases, FAILURES_MAX, FailedCase, TestResult};
use crate::application::{ApplicationName, EnvironmentId, SourceName};
pub use crate::id::RunId;
use crate::resource::ResourceRef;

/// Where an object of the snapshot is: `application/shop`, `pod/prod/shop/shop-7b46-x9k`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Box<str>);

impl Key {
    /// Where an application is.
    pub fn application(name: &ApplicationName) -> Self {
        Self(format!("application/{name}").into())
    }

    /// Where an environment is.
    pub fn environment(id: &EnvironmentId) -> Self {
        Self(format!("environment/{id}").into())
    }

    /// Of the agent itself.
    pub fn agent() -> Self {
        Self("agent".into())
    }

    /// Where a run is.
    pub fn run(id: RunId) -> Self {
        Self(format!("run/{id}").into())
    }

    /// Where a repository is, by its redacted address.
    pub fn repository(address: &str) -> Self {
        Self(format!("repository/{address}").into())
    }

    /// Where a connection is, by its name in the agent.
    pub fn connection(to: ConnectionKind, name: &str) -> Self {
        Self(format!("connection/{}/{name}", to.word()).into())
    }

    /// Where a source of applications is.
    pub fn application_source(name: &SourceName) -> Self {
        Self(format!("source/{name}").into())
    }

    /// Where an image is that an application follows.
    pub fn followed(application: &ApplicationName, image: &str) -> Self {
        Self(format!("followed/{application}/{image}").into())
    }

    /// Where an object of an environment is.
    pub fn resource(environment: &EnvironmentId, resource: &ResourceRef) -> Self {
        Self(format!("resource/{environment}/{resource}").into())
    }

    /// Where a pod is; the cluster by its name in the agent.
    pub fn pod(cluster: &str, namespace: &str, name: &str) -> Self {
        Self(format!("pod/{cluster}/{namespace}/{name}").into())
    }

    /// Whether a pod is there.
    pub fn is_pod(&self) -> bool {
        self.0.starts_with("pod/")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    /// An environment of an application.
    Environment(Box<EnvironmentStatus>),
    /// A repository that is polled.
    Repository(RepositoryStatus),
    /// A cluster, an engine or a registry that the agent talks to.
    Connection(ConnectionStatus),
    /// A source of applications beside the configuration.
    ApplicationSource(ApplicationSourceStatus),
    /// An image that an application follows.
    FollowedImage(Box<FollowedImage>),
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
        match self {
            Self::Agent(_) => Key::agent(),
            Self::Application(a) => Key::application(&a.name),
            Self::Environment(e) => Key::environment(&e.environment),
            Self::Repository(r) => Key::repository(&r.address),
            Self::Connection(c) => Key::connection(c.to, &c.name),
            Self::ApplicationSource(s) => Key::application_source(&s.name),
            Self::FollowedImage(f) => Key::followed(&f.application, &f.image),
            Self::Run(r) => Key::run(r.id),
            Self::Resource(r) => Key::resource(&r.environment, &r.resource),
            Self::Pod(p) => Key::pod(&p.cluster, &p.namespace, &p.name),
        }
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
    /// The part of its configuration that is in git; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_in_git: Option<Box<ConfigurationStatus>>,
    /// Why the history cannot be written, which stops the work; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_error: Option<String>,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub history_hint: String,
    /// A line for everyone who looks, from the configuration: where this is, what is a stand-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
}
