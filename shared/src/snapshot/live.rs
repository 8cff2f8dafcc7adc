//! What is in a cluster: objects that were applied, what they own, and pods.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::EnvironmentId;
use crate::resource::ResourceRef;
use crate::status::{Health, SyncStatus};

/// An object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Whose.
    pub environment: EnvironmentId,
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
    /// Which health rule spoke, where it is not the agent's own for a kind of Kubernetes: `cert-manager.io/Certificate`,
    /// `configuration: example.com/Shop`, `generic`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The object that owns it; absent for what has a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ResourceRef>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PodStatus {
    /// Whose.
    pub environment: EnvironmentId,
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
    /// It as an object of Kubernetes.
    pub fn resource(&self) -> ResourceRef {
        ResourceRef::new("", "Pod", Some(&self.namespace), &self.name)
    }

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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
