//! What a cluster can do for us: plan and execute a sync, tell what an object looks like, say what changed, give logs.
//!
//! ```text
//! plan:     desired + memory -> observe (dry runs, only what is needed) -> sync::plan (pure) -> PlannedSync
//! execute:  inventory -> kinds, namespaces -> rest -> prunes -> inventory
//! ```
//!
//! A [`Cluster`] is a handle: it is made without a request, and cloning it is free. Every request has a deadline, and
//! a bounded number of them is in flight. Not here: what a sync does (that is [`crate::sync::plan`]), how well an object
//! is ([`crate::health`]), and when to sync.
//!
//! Invariant: nothing is written but by server-side apply as the field manager `quarterdeck`, and nothing is deleted
//! but what is in the inventory, carries our label and still has the uid that was seen.

mod config;
mod problem;

mod apply;
mod held;
mod observe;

mod inventory;

mod changes;
mod interest;
mod live;
mod stream;
mod watch;
mod words;

mod log_merge;
mod log_source;
mod logs;

mod kube;

mod caller;
mod discovery;

mod access;
mod connection;
mod exec;
mod kubeconfig;
mod proxy;

use std::sync::Arc;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::protocol::ObjectDiff;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use serde_json::Value;

use crate::cluster::apply::{Executor, Write};
use crate::cluster::caller::get;
use crate::cluster::inventory::Inventories;
use crate::cluster::kube::Objects;
use crate::cluster::live::{Expect, Live};
use crate::cluster::observe::Observer;
use crate::cluster::watch::Watches;
use crate::sync::manifest::Manifest;
use crate::sync::plan::{self, Ended, Memory, Observed, Refusal, Remembered};
use crate::sync::{content, mask};
use crate::yaml;

pub use crate::cluster::apply::{Executed, PlannedSync, Progress};
pub use crate::cluster::changes::ClusterChange;
pub use crate::cluster::config::{CURRENT_CONTEXT, ClusterConfig, IN_CLUSTER};
pub use crate::cluster::discovery::{Kind, Kinds};
pub use crate::cluster::inventory::INVENTORY_LABEL;
pub use crate::cluster::logs::{LogQuery, Logs};
pub use crate::cluster::problem::{ApiProblem, Class};

/// How a sync is to be planned and executed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The application's namespace: where its inventory is.
    pub namespace: String,
    /// Make that namespace where it is not there.
    pub create_namespace: bool,
    /// Delete what left git.
    pub prune: bool,
    /// Compare every object, whatever is remembered.
    pub force: bool,
    /// `desired` holds only some objects of the application: touch nothing else.
    pub partial: bool,
}

/// Why a cluster did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// It could not be asked, or it did not answer.
    #[error(transparent)]
    Api(#[from] ApiProblem),
    /// It refuses objects of the plan; nothing was applied.
    #[error("{application} is not applied: {}", list(.refusals))]
    Refused {
        /// Whose.
        application: ApplicationName,
        /// Each object that is refused, and why.
        refusals: Vec<Refusal>,
    },
}

impl ClusterError {
    /// What to do next; empty where the message says it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Api(problem) => problem.hint(),
            Self::Refused { refusals, .. } => refusals.first().map_or("", |refusal| &refusal.hint),
        }
    }

    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Api(problem) if problem.class.is_transient())
    }
}

/// The first three: a line for people, the whole is in the plan.
fn list(refusals: &[Refusal]) -> String {
    let shown: Vec<String> = refusals.iter().take(3).map(ToString::to_string).collect();
    let more = refusals.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join("; "))
}

/// A cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    config: ClusterConfig,
    objects: Objects,
    inventories: Inventories,
    live: Arc<Live>,
    watches: Watches,
}

impl Cluster {
    /// A handle. Nothing is read and nobody is asked yet.
    pub fn new(config: ClusterConfig) -> Self {
        let objects = Objects::new(&config);
        let live = Arc::new(Live::new(&config.name));
        let watches = Watches::new(objects.clone(), live.clone());
        Self(Arc::new(Inner { config, objects, inventories: Inventories::default(), live, watches }))
    }

    /// Its name in the agent.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// `Kubernetes v1.35.4`: asks the cluster, and so tells whether it is there.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn version(&self) -> Result<String, ApiProblem> {
        let answer = self.0.objects.caller.json("ask for the version", get("/version")).await?;
        Ok(format!("Kubernetes {}", answer["gitVersion"].as_str().unwrap_or("of unknown version")))
    }

    /// The kinds that it knows: what the renderer needs to fill in namespaces. Asked once and kept.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn kinds(&self) -> Result<Arc<Kinds>, ApiProblem> {
        self.0.objects.kinds().await
    }

    /// What the application applied here and may prune.
    ///
    /// # Errors
    /// Where it cannot be read; it is never taken for empty.
    pub async fn inventory(&self, application: &ApplicationName, namespace: &str) -> Result<Inventory, ApiProblem> {
        self.0.inventories.read(&self.0.objects, application, namespace).await
    }

    /// Plans a sync to these objects, which are in the order in which they are applied. Writes nothing.
    ///
    /// # Errors
    /// Where the cluster could not be asked. What it refuses is in [`PlannedSync::refusals`].
    pub async fn plan(
        &self,
        application: &ApplicationName,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<PlannedSync, ClusterError> {
        let planned = self.look(application, desired, memory, options).await?.0;
        self.0.live.expect(application, expectations(&planned));
        Ok(planned)
    }

    /// Plans, and gives both sides of what differs as YAML with the values of Secrets masked. Writes nothing, and how
    /// objects should be stays as it was: who looks at another revision does not want it yet.
    ///
    /// # Errors
    /// As [`Cluster::plan`].
    pub async fn diff(
        &self,
        application: &ApplicationName,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<(PlannedSync, Vec<ObjectDiff>), ClusterError> {
        let (planned, observed) = self.look(application, desired, memory, options).await?;
        let mut sides = Vec::new();
        for change in &planned.changes {
            let seen = || desired.iter().zip(&observed).find(|(manifest, _)| manifest.resource == change.resource);
            let (live, desired) = match (change.action, seen()) {
                (Action::Unchanged | Action::Skip, _) => continue,
                (Action::Prune, _) => (self.0.objects.get(&change.resource, None).await?.map(|o| masked(&o)), None),
                (_, Some((_, Observed::Predicted { predicted, live }))) => {
                    (live.as_deref().map(masked), Some(masked(predicted)))
                }
                (_, Some((manifest, _))) => (None, Some(masked(&manifest.object))),
                (_, None) => continue,
            };
            sides.push(ObjectDiff { resource: change.resource.clone(), action: change.action, live, desired });
        }
        Ok((planned, sides))
    }

    async fn look(
        &self,
        application: &ApplicationName,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<(PlannedSync, Vec<Observed>), ClusterError> {
        let before = self.inventory(application, &options.namespace).await?;
        let observer = self.observer(application, options);
        let observed = observer.desired(desired, memory).await?;
        let candidates = if options.partial { Vec::new() } else { plan::candidates(desired, &before) };
        let left = observer.left(candidates).await?;
        let decided = plan::plan(&plan::Inputs {
            application,
            desired,
            observed: &observed,
            inventory: &before,
            left: &left,
            prune: options.prune,
            partial: options.partial,
        });
        let remembered = |(place, live): &(usize, _)| {
            let Manifest { resource, digest, .. } = &desired[*place];
            let ended = memory.get(resource).filter(|known| known.manifest == *digest).and_then(|known| known.ended);
            (resource.clone(), Remembered { manifest: *digest, live: *live, ended })
        };
        let write = |(place, later): &(usize, _)| Write { manifest: desired[*place].clone(), later: *later };
        let planned = PlannedSync {
            application: application.clone(),
            settled: decided.settled.iter().map(remembered).collect(),
            writes: decided.writes.iter().map(write).collect(),
            changes: decided.changes,
            refusals: decided.refusals,
            options: options.clone(),
            prunes: decided.prunes,
            before,
            during: decided.during,
            after: decided.after,
        };
        Ok((planned, observed))
    }

    /// Executes a plan. Told again and again it does the same again.
    ///
    /// # Errors
    /// Where the plan has refusals or the cluster could not be asked; then nothing was done, or at most the inventory,
    /// new kinds and namespaces. What fails later is in [`Executed::failed`].
    pub async fn execute(
        &self,
        plan: PlannedSync,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Executed, ClusterError> {
        self.execute_until(plan, progress, &|| false).await
    }

    /// The same, until `stop` says so: it is looked at before each object. The inventory then names old and new.
    ///
    /// # Errors
    /// As [`Cluster::execute`].
    pub async fn execute_until(
        &self,
        plan: PlannedSync,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Executed, ClusterError> {
        let (application, options) = (plan.application.clone(), plan.options.clone());
        let (during, after) = (plan.during.clone(), plan.after.clone());
        let observer = self.observer(&application, &options);
        let executed = Executor { observer, inventories: &self.0.inventories, progress, stop }.execute(plan).await?;
        let memory = executed.memory.iter().cloned().collect();
        // What was not pruned is still ours to watch.
        self.watch(&application, if executed.is_over() { &during } else { &after }, &memory);
        Ok(executed)
    }

    /// The Jobs of the application that ended as they were applied, also those that are gone by now.
    pub fn ended(&self, application: &ApplicationName) -> Vec<(ResourceRef, Ended)> {
        self.0.live.ended(application)
    }

    /// Whether something of the application is not covered by a connected watch: what happens to it is not noticed then.
    pub fn unwatched(&self, application: &ApplicationName) -> bool {
        self.0.live.unwatched(application)
    }

    /// Watches what an application has here: its inventory, and how its objects were when they were last seen to be as
    /// their manifests. To be told at the begin; executing a plan tells it again by itself.
    ///
    /// Must be called within a tokio runtime: the watches are tasks of their own.
    pub fn watch(&self, application: &ApplicationName, inventory: &Inventory, memory: &Memory) {
        if self.0.live.interest(application, inventory, memory) {
            self.0.watches.moved();
        }
    }

    /// Ends that: the application is no concern any more.
    pub fn forget(&self, application: &ApplicationName) {
        self.0.live.forget(application);
        self.0.watches.moved();
    }

    /// Waits until every object of the application is known by its watches: then an unchanged one costs no request.
    pub async fn synced(&self, application: &ApplicationName) {
        self.0.live.synced(application).await;
    }

    /// What changed since it was last asked, as soon as something did; of each object only the newest. For one reader.
    pub async fn changes(&self) -> Vec<ClusterChange> {
        self.0.live.outbox.take().await
    }

    /// Waits until the reader of [`Self::changes`] is done with all that happened before.
    pub async fn changes_read(&self) {
        self.0.live.outbox.read().await;
    }

    /// The logs of an application's pods.
    pub fn logs(&self, application: &ApplicationName, query: LogQuery) -> Logs {
        Logs::read(self.0.objects.clone(), self.0.live.clone(), application.clone(), query)
    }

    /// A live object as YAML, with the values of Secrets masked and without managed fields; none where it is not there.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub async fn live_yaml(&self, resource: &ResourceRef) -> Result<Option<String>, ApiProblem> {
        let Some(mut object) = self.0.objects.get(resource, None).await? else { return Ok(None) };
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        mask::mask(&mut object);
        Ok(Some(yaml::write(&object)))
    }

    fn observer<'a>(&'a self, application: &'a ApplicationName, options: &'a Options) -> Observer<'a> {
        Observer { objects: &self.0.objects, live: &self.0.live, application, options }
    }
}

/// How the objects of a plan should be, by what was seen for it.
fn expectations(plan: &PlannedSync) -> Vec<(ResourceRef, Expect)> {
    let settled = plan.settled.iter().map(|(resource, known)| (resource.clone(), Expect::Digest(known.live)));
    let writes = plan.writes.iter().map(|write| (write.manifest.resource.clone(), Expect::Otherwise));
    // What is pruned is expected to go: its end is no drift.
    let prunes = plan.prunes.iter().map(|(item, _)| (item.resource.clone(), Expect::Otherwise));
    settled.chain(writes).chain(prunes).collect()
}

/// The content of an object as YAML, with the values of Secrets masked.
fn masked(object: &Value) -> String {
    let mut content = content::normalise(object);
    mask::mask(&mut content);
    yaml::write(&content)
}
