//! Every cluster that is deployed to, each with one task that assesses what its watches say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quarterdeck_core::health::rules::Rules;
use quarterdeck_shared::application::EnvironmentId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::health::HealthRule;
use crate::config::{self, Config};
use quarterdeck_kubernetes::{Cluster, ClusterConfig};
use quarterdeck_system::identity::Identity;
use tracing::Instrument as _;

/// Clusters by the name that environments use.
#[derive(Default)]
pub struct Clusters(Mutex<Known>);

#[derive(Default)]
struct Known {
    present: BTreeMap<String, Present>,
    /// Assessments of clusters that were let go. What comes under the same name waits for their end, so that what they
    /// take back is not what it told.
    ending: BTreeMap<String, JoinHandle<()>>,
}

struct Present {
    config: ClusterConfig,
    /// What its objects are judged by.
    health: Vec<HealthRule>,
    cluster: Cluster,
    /// Ends its assessment.
    stop: CancellationToken,
    assessed: JoinHandle<()>,
}

/// The name of a cluster in the agent.
pub fn name(of: Option<&str>, config: &Config) -> String {
    find(of, config).name
}

/// Says of the name of a cluster whether it leads to the same cluster as this one, as far as the configuration tells.
pub fn same_as<'a>(one: Option<&'a str>, config: &'a Config) -> impl Fn(Option<&str>) -> bool + 'a {
    let here = find(one, config);
    move |other| {
        let leads_there = |there: ClusterConfig| {
            let leads = |cluster: &ClusterConfig| (cluster.kubeconfig.clone(), cluster.context.clone());
            there.name == here.name || (here.context.is_some() && leads(&there) == leads(&here))
        };
        other == one || leads_there(find(other, config))
    }
}

/// The `[[cluster]]` of that name, else a context of the kubeconfig; the first `[[cluster]]` where none is named, else the
/// kubeconfig's current context.
fn find(of: Option<&str>, config: &Config) -> ClusterConfig {
    let named = match of {
        Some(name) => config.cluster.iter().find(|cluster| cluster.name == name),
        None => config.cluster.first(),
    };
    let found = named.cloned().unwrap_or_else(|| ClusterConfig::named(of));
    // Another label leads to no other cluster.
    ClusterConfig { labels: BTreeMap::new(), ..found }
}

/// Whether an environment that names this cluster goes where it went before.
pub fn is_same(of: Option<&str>, before: &Config, now: &Config) -> bool {
    find(of, before) == find(of, now)
}

/// The rules of a configuration; ours alone for one that was not checked.
fn rules(config: &Config) -> Arc<Rules> {
    Arc::new(config::health::rules(&config.health).unwrap_or_default())
}

impl Clusters {
    /// Lets go of clusters whose configuration is another now; who asks next gets them anew. What the others refused is
    /// tried again: who reloads may have changed permissions.
    pub fn configure(&self, config: &Config) {
        let Known { present, ending } = &mut *self.lock();
        let stays = |known: &Present| {
            // Other rules judge all objects anew.
            known.health == config.health
                && (find(Some(known.config.name.as_str()), config) == known.config
                    || find(None, config) == known.config)
        };
        for (name, known) in std::mem::take(present) {
            if stays(&known) {
                present.insert(name, known);
            } else {
                known.stop.cancel();
                ending.insert(name, known.assessed);
            }
        }
        present.values().for_each(|present| present.cluster.try_again());
    }

    /// The cluster that an environment names. The first who asks begins it: what it is given as `monitor` runs until the
    /// cluster is let go or `stop` says so.
    pub fn get<A: Future<Output = ()> + Send + 'static>(
        &self,
        of: Option<&str>,
        config: &Config,
        identity: &Identity,
        stop: &CancellationToken,
        assess: impl FnOnce(Cluster, CancellationToken) -> A,
    ) -> Cluster {
        let wanted = find(of, config);
        let Known { present, ending } = &mut *self.lock();
        let known = present.entry(wanted.name.clone()).or_insert_with(|| {
            let cluster = Cluster::judging(wanted.clone(), identity.clone(), rules(config));
            let stop = stop.child_token();
            let before = ending.remove(&wanted.name);
            let assessment = assess(cluster.clone(), stop.clone());
            let assessed = tokio::spawn(
                async move {
                    if let Some(before) = before {
                        // It ends by itself, or did so badly: there is nothing more to wait for.
                        let _ = before.await;
                    }
                    assessment.await;
                }
                .instrument(tracing::error_span!("cluster", cluster = %wanted.name)),
            );
            Present { config: wanted, health: config.health.clone(), cluster, stop, assessed }
        });
        known.cluster.clone()
    }

    /// Every cluster.
    pub fn all(&self) -> Vec<Cluster> {
        self.lock().present.values().map(|present| present.cluster.clone()).collect()
    }

    /// An environment is no longer operated: its objects are no longer watched.
    pub fn forget(&self, environment: &EnvironmentId) {
        self.all().iter().for_each(|cluster| cluster.forget(environment));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
