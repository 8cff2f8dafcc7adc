//! The handle of a cluster, and what it answers at once.

mod adoption;
mod listing;
mod planning;
mod removal;
mod sight;
mod sync;

use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::queries::LogQuery;
use quarterdeck_shared::resource::{Inventory, ResourceRef};

use crate::cache::{Judge, ObjectCache};
use crate::classes::Classes;
use crate::config::ClusterConfig;
use crate::discovery::{Cache, Kinds};
use crate::inventory::{Inventories, OtherAgent};
use crate::link::Link;
use crate::logs::Logs;
use crate::objects::Objects;
use crate::observe::Observer;
use crate::options::Options;
use crate::problem::ApiProblem;
use crate::pull_secrets::MadePullSecrets;
use crate::strays::Strays;
use crate::watch::Watches;
use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::render::release::Capabilities;
use quarterdeck_core::sync::confidential::Confidential;
use quarterdeck_core::sync::mask;
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_core::yaml;
use quarterdeck_system::identity::Identity;

pub use self::adoption::Adoption;
pub use self::removal::Removed;

/// A cluster.
#[derive(Clone)]
pub struct Cluster(pub(super) Arc<Inner>);

/// What all handles of it share.
pub(super) struct Inner {
    pub(super) config: ClusterConfig,
    pub(super) objects: Objects,
    pub(super) inventories: Arc<Inventories>,
    pub(super) strays: Strays,
    pub(super) pull_secrets: Arc<MadePullSecrets>,
    pub(super) cache: Arc<ObjectCache>,
    pub(super) watches: Watches,
}

impl Cluster {
    /// A handle. Nothing is read and nobody is asked yet.
    pub fn new(config: ClusterConfig) -> Self {
        Self::with_identity(config, Identity::default())
    }

    /// The same, for an agent that puts its mark on the inventories.
    pub fn with_identity(config: ClusterConfig, me: Identity) -> Self {
        Self::judging(config, me, Arc::default())
    }

    /// The same, for an agent that judges objects by the rules of its configuration.
    pub fn judging(config: ClusterConfig, me: Identity, rules: Arc<Rules>) -> Self {
        let kinds = Arc::new(Cache::default());
        let cache = Arc::new(ObjectCache::new(
            &config.name,
            Judge { rules, kinds: kinds.clone(), classes: Classes::default() },
        ));
        let objects = Objects::new(&config, Arc::new(Link::new(cache.clone())), kinds);
        let inventories = Arc::new(Inventories::new(me));
        let watches = Watches::new(objects.clone(), cache.clone(), inventories.clone());
        let (strays, pull_secrets) = (Strays::default(), Arc::default());
        Self(Arc::new(Inner { config, objects, inventories, strays, pull_secrets, cache, watches }))
    }

    /// Its name in the agent.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// Whether both are handles of the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// `Kubernetes v1.35.4`: asks the cluster, and so tells whether it is there.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn version(&self) -> Result<String, ApiProblem> {
        Ok(format!("Kubernetes {}", self.0.objects.requests.version().await?))
    }

    /// The cluster as charts see it, with these kinds.
    ///
    /// # Errors
    /// Where it cannot be asked for its version.
    pub async fn capabilities(&self, kinds: &Kinds) -> Result<Capabilities, ApiProblem> {
        let version = self.0.objects.requests.version().await?;
        Ok(Capabilities { kube_version: Some(version), api_versions: kinds.api_versions() })
    }

    /// The kinds that it knows: what the renderer needs to fill in namespaces. Asked once and kept.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn kinds(&self) -> Result<Arc<Kinds>, ApiProblem> {
        self.0.objects.kinds().await
    }

    /// The kinds as they are now, for who misses one: of those that are kept, where they are sure to be that or were asked for
    /// a moment ago. A person who asks is never told of those that are kept for sure.
    ///
    /// # Errors
    /// As [`Cluster::kinds`].
    pub async fn kinds_again(&self, for_a_person: bool) -> Result<Arc<Kinds>, ApiProblem> {
        match self.0.watches.uses().are_covered() && !for_a_person {
            true => self.kinds().await,
            false => self.0.objects.kinds_newer().await,
        }
    }

    /// What the environment applied here and may prune; where that was lost, made anew from what is remembered of it.
    ///
    /// # Errors
    /// Where it cannot be read; it is never taken for empty.
    pub async fn inventory(
        &self,
        environment: &EnvironmentId,
        namespace: &str,
        memory: &Memory,
    ) -> Result<Inventory, ApiProblem> {
        let held = self.0.inventories.read(&self.0.objects, environment, namespace).await?;
        Ok(self.remade(environment, namespace, held, !memory.is_empty(), memory).await?.inventory)
    }

    /// Another agent that was noticed as the operator of an environment, once.
    pub fn other_agent(&self, environment: &EnvironmentId, namespace: &str) -> Option<OtherAgent> {
        self.0.inventories.news(environment, namespace)
    }

    /// The logs of an environment's pods.
    pub fn logs(&self, environment: &EnvironmentId, query: LogQuery) -> Logs {
        Logs::read(self.0.objects.clone(), self.0.cache.clone(), environment.clone(), query)
    }

    /// A live object as it is, for who reads settings in it and shows nothing of them; none where it is not there.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub async fn object(&self, resource: &ResourceRef) -> Result<Option<serde_json::Value>, ApiProblem> {
        self.0.objects.get(resource, None).await
    }

    /// A live object as YAML, with the values of Secrets and what is confidential masked, and without managed fields; none where it
    /// is not there.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub async fn live_yaml(
        &self,
        resource: &ResourceRef,
        confidential: Option<&Confidential>,
    ) -> Result<Option<String>, ApiProblem> {
        let Some(mut object) = self.0.objects.get(resource, None).await? else { return Ok(None) };
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        mask::mask(&mut object, confidential);
        Ok(Some(yaml::write(&object)))
    }

    pub(super) fn observer<'a>(&'a self, environment: &'a EnvironmentId, options: &'a Options) -> Observer<'a> {
        Observer { objects: &self.0.objects, cache: &self.0.cache, environment, options, shows: false }
    }
}
