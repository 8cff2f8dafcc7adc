//! What a cluster can do for us: plan and execute a sync, tell what an object looks like, say what changed, give logs.
//!
//! - A sync: `planning` and `observe` (dry runs), `apply` walks the steps, `prune`, `inventory`; `objects` sends each request.
//! - What is seen: `watch` follows each kind, `cache` keeps what it says, `changes` passes it on.
//! - The way in: `kubeconfig`, `access`, `exec`, `proxy`, `connection`; `requests` sends, `problem` says why it was refused.
//! - `logs`: of all containers, by time.
//!
//! ```text
//! plan:     desired + memory -> observe (dry runs, only what is needed) -> sync::plan (pure) -> PlannedSync
//! execute:  inventory -> kinds, namespaces -> rest -> prunes -> inventory
//! ```
//!
//! A [`Cluster`] is a handle: it is made without a request, and cloning it is free. Every request has a deadline, and
//! a bounded number of them is in flight. Not here: what a sync does (that is [`quarterdeck_core::sync::plan`]), how well an object
//! is ([`quarterdeck_core::health`]), and when to sync.
//!
//! Invariant: nothing is written but by server-side apply as the field manager `quarterdeck`, and nothing is deleted
//! but what is in the inventory, carries our label and still has the uid that was seen.

mod config;
mod problem;

mod apply;
mod held;
mod left;
mod observe;
mod planning;
mod prune;
mod survey;

mod inventory;
mod strays;

mod cache;
mod changes;
mod classes;
mod identity;
mod namespaced;
mod pace;
mod termination;
mod watch;
mod watch_set;

mod logs;

mod autoscalers;
mod objects;
mod takeover;

mod clock;
mod discovery;
mod link;
mod requests;
mod waiting;

mod access;
mod connection;
mod exec;
mod kubeconfig;
mod proxy;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::protocol::{LogQuery, ObjectDiff};
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use quarterdeck_shared::snapshot::Unseen;
use serde_json::Value;
use tokio::time::Instant;

use crate::apply::Executor;
use crate::cache::{Expect, Judge, ObjectCache};
use crate::classes::Classes;
use crate::discovery::Cache;
use crate::inventory::Inventories;
use crate::link::Link;
use crate::objects::Objects;
use crate::observe::Observer;
use crate::strays::Strays;
use crate::watch::Watches;
use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::neighbours::Neighbours;
use quarterdeck_core::sync::plan::{Ended, Leaving, Memory, Observed, Refusal, Undone};
use quarterdeck_core::sync::{mask, normalize};
use quarterdeck_core::yaml;
use quarterdeck_system::identity::Identity;

pub use crate::apply::{Executed, Far, PlannedSync};
pub use crate::changes::ClusterChange;
pub use crate::config::{CURRENT_CONTEXT, ClusterConfig, IN_CLUSTER};
pub use crate::discovery::{Kind, Kinds};
pub use crate::inventory::{INVENTORY_LABEL, OtherAgent, inventory_name};
pub use crate::logs::Logs;
pub use crate::problem::{ApiProblem, Class};
pub use crate::watch::Use;

/// How a sync is to be planned and executed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The environment's namespace: where its inventory is.
    pub namespace: String,
    /// Make that namespace where it is not there.
    pub create_namespace: bool,
    /// Delete what left git.
    pub prune: bool,
    /// Compare every object, whatever is remembered.
    pub full: bool,
    /// `desired` holds only some objects of the environment: touch nothing else.
    pub partial: bool,
    /// What left git and is deleted whatever is in it: a person named it.
    pub prune_anyway: Vec<ResourceRef>,
    /// What the other environments of this agent want in the cluster; none where that was not looked at: nothing is taken
    /// over from one of them then.
    pub neighbours: Option<Arc<Neighbours>>,
    /// Read the inventory anew also where nothing is to be written: a new revision came, and so may have another agent.
    pub fresh: bool,
}

impl Options {
    fn leaving(&self) -> Leaving<'_> {
        Leaving { prune: self.prune, anyway: &self.prune_anyway, neighbours: self.neighbours.as_deref() }
    }
}

/// Why a cluster did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// It could not be asked, or it did not answer.
    #[error(transparent)]
    Api(#[from] ApiProblem),
    /// It refuses objects of the plan; nothing was applied.
    #[error("{environment} is not applied: {}", list(.refusals))]
    Refused {
        /// Whose.
        environment: EnvironmentId,
        /// Each object that is refused, and why.
        refusals: Vec<Refusal>,
    },
}

impl Hint for ClusterError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Api(problem) => problem.hint(),
            Self::Refused { refusals, .. } => refusals.first().map_or("", |refusal| &refusal.hint).into(),
        }
    }
}

impl ClusterError {
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
    inventories: Arc<Inventories>,
    strays: Strays,
    live: Arc<ObjectCache>,
    watches: Watches,
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
        let live = Arc::new(ObjectCache::new(
            &config.name,
            Judge { rules, kinds: kinds.clone(), classes: Classes::default() },
        ));
        let objects = Objects::new(&config, Arc::new(Link::new(live.clone())), kinds);
        let inventories = Arc::new(Inventories::new(me));
        let watches = Watches::new(objects.clone(), live.clone(), inventories.clone());
        Self(Arc::new(Inner { config, objects, inventories, strays: Strays::default(), live, watches }))
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
        Ok(format!("Kubernetes {}", self.0.objects.caller.version().await?))
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

    /// The environment uses these kinds, which were served so when it was rendered. It is told as [`ClusterChange::Kinds`]
    /// where they are served otherwise.
    ///
    /// Must be called within a tokio runtime: the watches are tasks of their own.
    pub fn uses(&self, environment: &EnvironmentId, uses: BTreeSet<Use>, kinds: &Kinds) {
        if self.0.watches.uses().set(environment, uses, kinds) {
            self.0.watches.moved();
        }
    }

    /// Whether the kinds that the environment uses are served otherwise than when it was rendered, as far as is known.
    pub fn kinds_differ(&self, environment: &EnvironmentId) -> bool {
        let known = self.0.objects.known_kinds();
        known.is_some_and(|kinds| self.0.watches.uses().differ(environment, &kinds))
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

    /// Plans a sync to these objects, which are in the order in which they are applied. Writes nothing.
    ///
    /// # Errors
    /// Where the cluster could not be asked. What it refuses is in [`PlannedSync::refusals`].
    pub async fn plan(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<PlannedSync, ClusterError> {
        let planned = self.look(environment, desired, memory, options).await?.0;
        self.0.live.expect(environment, expectations(&planned));
        Ok(planned)
    }

    /// Plans, and gives both sides of what differs as YAML with the values of Secrets masked. Writes nothing, and how
    /// objects should be stays as it was: who looks at another revision does not want it yet.
    ///
    /// # Errors
    /// As [`Cluster::plan`].
    pub async fn diff(
        &self,
        environment: &EnvironmentId,
        desired: &[Manifest],
        memory: &Memory,
        options: &Options,
    ) -> Result<(PlannedSync, Vec<ObjectDiff>), ClusterError> {
        let (planned, observed) = self.look(environment, desired, memory, options).await?;
        let mut sides = Vec::new();
        for change in &planned.changes {
            let seen = || desired.iter().zip(&observed).find(|(manifest, _)| manifest.resource == change.resource);
            let (live, desired) = match (change.action, seen()) {
                (Action::Unchanged | Action::Skip, _) => continue,
                (Action::Prune, _) => (self.0.objects.get(&change.resource, None).await?.map(|o| masked(&o)), None),
                (_, Some((_, Observed::Predicted { predicted, live, .. }))) => {
                    (live.as_deref().map(masked), Some(masked(predicted)))
                }
                (_, Some((manifest, _))) => (None, Some(masked(&manifest.object))),
                (_, None) => continue,
            };
            sides.push(ObjectDiff { resource: change.resource.clone(), action: change.action, live, desired });
        }
        Ok((planned, sides))
    }

    /// Keeps what a plan that writes nothing found of the inventory: it forgets what is gone, and is written anew where it
    /// was lost. No request where it says so already.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn keep(&self, plan: &PlannedSync) -> Result<(), ClusterError> {
        let (environment, namespace) = (&plan.environment, &plan.options.namespace);
        let write = || self.0.inventories.write(&self.0.objects, environment, namespace, &plan.after, plan.by);
        let written = match write().await {
            Err(problem) if problem.class == Class::NamespaceMissing && plan.options.create_namespace => {
                self.0.objects.make_namespace(namespace).await?;
                write().await?
            }
            other => other?,
        };
        if written {
            let memory = plan.settled.iter().cloned().collect();
            self.watch(environment, &watched(&plan.after, &plan.undone), &memory);
        }
        Ok(())
    }

    /// Executes a plan. Told again and again it does the same again.
    ///
    /// # Errors
    /// Where the plan has refusals or the cluster could not be asked; then nothing was done, or at most the inventory,
    /// new kinds and namespaces. What fails later is in [`Executed::failed`].
    pub async fn execute(
        &self,
        plan: PlannedSync,
        progress: &(dyn Fn(Far) + Send + Sync),
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
        progress: &(dyn Fn(Far) + Send + Sync),
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Executed, ClusterError> {
        let (environment, options) = (plan.environment.clone(), plan.options.clone());
        let observer = self.observer(&environment, &options);
        let executed = Executor { observer, inventories: &self.0.inventories, progress, stop }.execute(plan).await?;
        let memory = executed.memory.iter().cloned().collect();
        self.watch(&environment, &watched(&executed.after, &executed.undone), &memory);
        self.0.live.expect(&environment, going(&executed.undone));
        Ok(executed)
    }

    /// The Jobs of the environment that ended as they were applied, also those that are gone by now.
    pub fn ended(&self, environment: &EnvironmentId) -> Vec<(ResourceRef, Ended)> {
        self.0.live.ended(environment)
    }

    /// Watches what an environment has here: its inventory, and how its objects were when they were last seen to be as
    /// their manifests. To be told at the begin; executing a plan tells it again by itself.
    ///
    /// Must be called within a tokio runtime: the watches are tasks of their own.
    pub fn watch(&self, environment: &EnvironmentId, inventory: &Inventory, memory: &Memory) {
        if self.0.live.interest(environment, inventory, memory) {
            self.0.watches.moved();
        }
    }

    /// It could not be asked what to watch for the environment: what is claimed of it stands on nothing until it can.
    pub fn not_watched(&self, environment: &EnvironmentId, problem: &ApiProblem) {
        self.0.live.not_begun(environment, &problem.message);
    }

    /// Ends that: the environment is no concern any more.
    pub fn forget(&self, environment: &EnvironmentId) {
        self.0.live.forget(environment);
        self.0.watches.uses().set(environment, BTreeSet::new(), &Kinds::default());
        self.0.watches.moved();
    }

    /// Waits until every object of the environment is known by its watches: then an unchanged one costs no request.
    pub async fn synced(&self, environment: &EnvironmentId) {
        self.0.live.synced(environment).await;
    }

    /// What cannot be seen of the environment: the cluster, or watches that a claim about it stands on. `before` is what
    /// this answered last; it stays until all that the environment stands on is back.
    pub fn unseen(&self, environment: &EnvironmentId, before: &[Unseen]) -> Vec<Unseen> {
        self.0.live.unseen(environment, before)
    }

    /// When [`Self::unseen`] may be another without anything happening, if it may.
    pub fn look_again(&self) -> Option<Instant> {
        self.0.live.look_again()
    }

    /// Whether the cluster answers and yet a watch of the environment is not connected, beyond an ordinary reconnect: then
    /// nothing tells of what happens to its objects, and they have to be compared. Not so while the cluster does not
    /// answer: its watches go on from where they were, and miss nothing.
    pub fn unwatched(&self, environment: &EnvironmentId) -> bool {
        self.0.live.is_unwatched(environment)
    }

    /// All watches that are not connected although the cluster answers.
    pub fn watches_missing(&self) -> Vec<Unseen> {
        self.0.live.unwatched()
    }

    /// Permissions may be others, or a person says so: what may not be watched is tried again now.
    pub fn try_again(&self) {
        self.0.watches.try_again();
    }

    /// Counts the times that the cluster turned out to be another, or one that was set back. Whatever was remembered of it
    /// under another number is worth nothing.
    pub fn epoch(&self) -> u64 {
        self.0.watches.epoch()
    }

    /// What changed since it was last asked, as soon as something did; of each object only the newest. For one reader.
    pub async fn changes(&self) -> Vec<ClusterChange> {
        loop {
            // How an object is may change by time alone.
            let due = until(self.0.live.due());
            tokio::select! {
                changes = self.0.live.outbox.take() => return changes,
                () = due => self.0.live.expire(Timestamp::now()),
            }
        }
    }

    /// Waits until the reader of [`Self::changes`] is done with all that happened before.
    pub async fn changes_read(&self) {
        self.0.live.outbox.read().await;
    }

    /// The logs of an environment's pods.
    pub fn logs(&self, environment: &EnvironmentId, query: LogQuery) -> Logs {
        Logs::read(self.0.objects.clone(), self.0.live.clone(), environment.clone(), query)
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

    fn observer<'a>(&'a self, environment: &'a EnvironmentId, options: &'a Options) -> Observer<'a> {
        Observer { objects: &self.0.objects, live: &self.0.live, environment, options }
    }
}

/// Waits until this time; for ever where there is none. A clock that is set back makes it wait again.
async fn until(due: Option<Timestamp>) {
    match due {
        Some(due) => {
            let wait = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
            tokio::time::sleep(wait).await;
        }
        None => std::future::pending().await,
    }
}

/// How the objects of a plan should be, by what was seen for it.
fn expectations(plan: &PlannedSync) -> Vec<(ResourceRef, Expect)> {
    let settled = plan.settled.iter().map(|(resource, known)| (resource.clone(), Expect::Digest(known.live)));
    let writes = plan.writes.iter().map(|write| (write.manifest.resource.clone(), Expect::Otherwise));
    // What is pruned is expected to go: its end is no drift.
    let prunes = plan.prunes.iter().map(|(item, _)| (item.resource.clone(), Expect::Gone));
    settled.chain(writes).chain(prunes).chain(going(&plan.undone)).collect()
}

/// What is being deleted: its end is told, since a pass waits for it.
fn going(undone: &Undone) -> impl Iterator<Item = (ResourceRef, Expect)> {
    undone.going.iter().map(|resource| (resource.clone(), Expect::Going))
}

/// What is watched for an environment: its inventory, without what another environment takes over. That it gets the other's
/// label is no drift, and it is not missing then.
fn watched(inventory: &Inventory, undone: &Undone) -> Inventory {
    let mut watched = inventory.clone();
    watched.items.retain(|item| !undone.handed.contains(&item.resource));
    watched
}

/// The content of an object as YAML, with the values of Secrets masked.
fn masked(object: &Value) -> String {
    let mut content = normalize::normalise(object);
    mask::mask(&mut content);
    yaml::write(&content)
}
