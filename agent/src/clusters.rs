//! Every cluster that is deployed to, each with one task that assesses what its watches say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_shared::application::ApplicationName;

use crate::assess;
use crate::cluster::{Cluster, ClusterConfig};
use crate::config::Config;
use crate::context::Context;

/// Clusters by the name that applications use.
#[derive(Default)]
pub struct Clusters(Mutex<BTreeMap<String, (ClusterConfig, Cluster)>>);

/// The name of a cluster in the agent.
pub fn name(of: Option<&str>, config: &Config) -> String {
    find(of, config).name
}

/// The `[[cluster]]` of that name, else a context of the kubeconfig; the first `[[cluster]]` where none is named, else the
/// kubeconfig's current context.
fn find(of: Option<&str>, config: &Config) -> ClusterConfig {
    let named = match of {
        Some(name) => config.cluster.iter().find(|cluster| cluster.name == name),
        None => config.cluster.first(),
    };
    named.cloned().unwrap_or_else(|| ClusterConfig::named(of))
}

/// Whether an application that names this cluster goes where it went before.
pub fn is_same(of: Option<&str>, before: &Config, now: &Config) -> bool {
    find(of, before) == find(of, now)
}

impl Clusters {
    /// Lets go of clusters whose configuration is another now; who asks next gets them anew.
    pub fn configure(&self, config: &Config) {
        self.lock().retain(|_, (before, _)| {
            find(Some(before.name.as_str()), config) == *before || find(None, config) == *before
        });
    }

    /// The cluster that an application names; it is begun with the first who asks.
    pub fn get(&self, of: Option<&str>, context: &Arc<Context>) -> Cluster {
        let wanted = find(of, &context.config());
        let mut clusters = self.lock();
        let (_, cluster) = clusters.entry(wanted.name.clone()).or_insert_with(|| {
            let cluster = Cluster::new(wanted.clone());
            tokio::spawn(assess::assess(context.clone(), cluster.clone()));
            (wanted, cluster)
        });
        cluster.clone()
    }

    /// Every cluster.
    pub fn all(&self) -> Vec<Cluster> {
        self.lock().values().map(|(_, cluster)| cluster.clone()).collect()
    }

    /// An application is no longer operated: its objects are no longer watched.
    pub fn forget(&self, application: &ApplicationName) {
        self.all().iter().for_each(|cluster| cluster.forget(application));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (ClusterConfig, Cluster)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
