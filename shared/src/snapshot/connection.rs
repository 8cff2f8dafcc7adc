//! What the agent talks to: repositories, clusters, the engine, registries and forges.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
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
    /// The API of a forge.
    Forge,
}

impl ConnectionKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Engine => "engine",
            Self::Registry => "registry",
            Self::Forge => "forge",
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
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Since when it is so.
    pub since: Timestamp,
}
