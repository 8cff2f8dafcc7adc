//! Which clusters there are: what a person writes below `[[cluster]]`, and what is taken where nothing is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name that stands for the service account of the pod that the agent runs in.
pub const IN_CLUSTER: &str = "in-cluster";

/// The name of the kubeconfig's current context, where an environment names no cluster.
pub const CURRENT_CONTEXT: &str = "current-context";

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// As environments name it. `in-cluster` is the service account of the agent's own pod.
    pub name: String,
    /// The kubeconfig; `$KUBECONFIG` (a list), else `~/.kube/config`, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The context. Where absent, the one that is called like the cluster; in a kubeconfig that is named here, its current
    /// one where none is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// By these a template of an application source selects it; nothing else looks at them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Send the credentials of its user over plain http to another machine, too. Without it such a server is refused.
    #[serde(default)]
    pub insecure: bool,
    /// Requests in flight at once, watches aside. At 16 an API server on two cores does as many a second as it ever
    /// does (1,000 applies: 2.9 s on 1 connection, 1.7 s on 4, 1.3 s on 8, 1.2 s on 32).
    #[serde(default = "default_max_concurrent_requests")]
    pub max_concurrent_requests: usize,
    /// A request that is not answered after this many seconds has failed. A webhook may take 30 of them.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
}

fn default_max_concurrent_requests() -> usize {
    16
}

fn default_timeout_seconds() -> u64 {
    35
}

impl ClusterConfig {
    /// A cluster that is called like a context of the default kubeconfig, as environments may name one without any
    /// `[[cluster]]` entry; the current context where they name none.
    pub fn named(name: Option<&str>) -> Self {
        Self {
            name: name.unwrap_or(CURRENT_CONTEXT).to_owned(),
            kubeconfig: None,
            context: None,
            labels: BTreeMap::new(),
            insecure: false,
            max_concurrent_requests: default_max_concurrent_requests(),
            timeout_seconds: default_timeout_seconds(),
        }
    }
}
