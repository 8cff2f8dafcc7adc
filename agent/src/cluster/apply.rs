//! Executes a plan, and decides nothing: what is written, in which order and what is deleted stands in it.
//!
//! ```text
//! inventory (old and new) -> kinds and namespaces -> (dry run of what needed these) -> all else -> prunes -> inventory
//! ```
//!
//! A prune is done when its object is gone; what a finalizer holds stays in the inventory, and is said.
//!
//! Everything was dry-run before the first write, except what needs a kind or a namespace that this very plan brings:
//! that is dry-run when these are there, and before the first write of the rest. So a refusal leaves nothing half done,
//! or at most new kinds and namespaces without content. What is in one stage is written side by side, stages one after
//! another. The first failure ends it after its stage, and nothing is pruned then. Who stops it stops it before the next
//! object: what is in the air is let come down, so that what was done is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::change::Change;
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::kube::Mode;
use crate::cluster::observe::{Observer, at_once, refusal};
use crate::cluster::problem::{ApiProblem, Class};
use crate::cluster::{ClusterError, Options};
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{self, Later, Memory, Refusal, Remembered, Stranger, Undone};
use quarterdeck_core::sync::{order, owned};

/// A CRD is established within a second, and served a moment after.
const KIND_TIMEOUT: Duration = Duration::from_secs(30);

/// A plan that is ready to be executed.
#[derive(Debug, Clone)]
pub struct PlannedSync {
    /// Whose.
    pub application: ApplicationName,
    /// What it does, one line an object, in its order; prunes last.
    pub changes: Vec<Change>,
    /// What the cluster refuses. Not empty: the plan is not executed.
    pub refusals: Vec<Refusal>,
    /// What is as it should be, to be remembered also when nothing is executed.
    pub settled: Vec<(ResourceRef, Remembered)>,
    /// What it leaves undone.
    pub undone: Undone,
    pub(super) options: Options,
    pub(super) adopted: BTreeMap<String, Vec<ResourceRef>>,
    pub(super) strangers: BTreeMap<String, Stranger>,
    pub(super) contested: bool,
    pub(super) writes: Vec<Write>,
    pub(super) prunes: Vec<(InventoryItem, String)>,
    pub(super) before: Inventory,
    pub(super) during: Inventory,
    pub(super) after: Inventory,
}

/// An object to write.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) manifest: Manifest,
    pub(super) later: Later,
}

impl PlannedSync {
    /// Whether it writes and deletes nothing. That the inventory forgets what is gone is no sync.
    pub fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.prunes.is_empty()
    }

    /// Whether it depends on what the other applications of this agent want: something is deleted, or is refused since one
    /// of them has it.
    pub fn needs_neighbours(&self) -> bool {
        self.contested || !self.prunes.is_empty()
    }
}

/// How far the execution of a plan is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Objects written or deleted.
    pub done: usize,
    /// Objects to write or delete.
    pub total: usize,
    /// The one that was last.
    pub last: &'a ResourceRef,
}

/// What an execution did.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    /// What was created, configured and pruned, and what was skipped, in that order.
    pub changes: Vec<Change>,
    /// To be remembered: what was written, and what was found as it should be.
    pub memory: Vec<(ResourceRef, Remembered)>,
    /// To be forgotten: what is gone.
    pub forgotten: Vec<ResourceRef>,
    /// What was left undone.
    pub undone: Undone,
    /// What is in the inventory now.
    pub(super) after: Inventory,
    /// What failed, in the server's words. Not empty: what comes after it in the plan was not done.
    pub failed: Vec<Refusal>,
    /// It was stopped on the way: what comes after it in the plan was not done.
    pub stopped: bool,
}

impl Executed {
    /// Whether nothing more of the plan is done.
    pub(super) fn is_over(&self) -> bool {
        self.stopped || !self.failed.is_empty()
    }
}

pub(super) struct Executor<'a> {
    pub(super) observer: Observer<'a>,
    pub(super) inventories: &'a super::inventory::Inventories,
    pub(super) progress: &'a (dyn Fn(Progress<'_>) + Send + Sync),
    /// Looked at before each object: nothing more is done where it says so.
    pub(super) stop: &'a (dyn Fn() -> bool + Send + Sync),
}

impl Executor<'_> {
    pub(super) async fn execute(&self, plan: PlannedSync) -> Result<Executed, ClusterError> {
        if !plan.refusals.is_empty() {
            return Err(ClusterError::Refused { application: plan.application, refusals: plan.refusals });
        }
        let (memory, undone) = (plan.settled.clone(), plan.undone.clone());
        let mut executed = Executed { memory, undone, stopped: (self.stop)(), ..Executed::default() };
        if executed.stopped {
            executed.after = plan.before.clone();
            return Ok(executed);
        }
        let done = Done {
            count: AtomicUsize::new(0),
            total: plan.writes.len() + plan.prunes.len(),
            lines: plan.changes.iter().map(|change| (&change.resource, change)).collect(),
        };
        let (first, rest): (Vec<Write>, Vec<Write>) =
            plan.writes.iter().cloned().partition(|w| brings(&w.manifest.resource));

        let mut inventory_waits = !self.write_inventory(&plan, &plan.during).await?;
        if inventory_waits && plan.options.create_namespace {
            self.observer.objects.make_namespace(&plan.options.namespace).await?;
        }
        self.write_all(first, &mut executed, &done).await;
        if !executed.is_over() {
            if inventory_waits {
                inventory_waits = !self.write_inventory(&plan, &plan.during).await?;
            }
            if inventory_waits {
                let doing = format!("write the inventory of {}", plan.application);
                let message = format!("namespace {} is not there", plan.options.namespace);
                return Err(ApiProblem::new(Class::NamespaceMissing, doing, message).into());
            }
            let rest = self.settle(&plan, rest, &mut executed).await?;
            if !executed.is_over() {
                self.write_all(rest, &mut executed, &done).await;
            }
        }
        if !executed.is_over() {
            executed.stopped = (self.stop)();
        }
        if !executed.is_over() {
            let after = self.prune(&plan, &mut executed, &done).await;
            self.write_inventory(&plan, &after).await?;
            executed.after = after;
            self.release(&plan).await?;
        } else {
            executed.after = plan.during.clone();
        }
        Ok(executed)
    }

    /// False where its namespace is not there yet.
    async fn write_inventory(&self, plan: &PlannedSync, inventory: &Inventory) -> Result<bool, ApiProblem> {
        let objects = self.observer.objects;
        match self.inventories.write(objects, &plan.application, &plan.options.namespace, inventory).await {
            Ok(_) => Ok(true),
            Err(problem) if problem.class == Class::NamespaceMissing => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Dry-runs what could not be before; gives back all that is to be written, in its order.
    async fn settle(
        &self,
        plan: &PlannedSync,
        rest: Vec<Write>,
        executed: &mut Executed,
    ) -> Result<Vec<Write>, ApiProblem> {
        let later: Vec<Manifest> = rest.iter().filter(|w| w.later == Later::Yes).map(|w| w.manifest.clone()).collect();
        if later.is_empty() {
            return Ok(rest);
        }
        self.wait_for_kinds(&later).await?;
        let observed = self.observer.desired(&later, &Memory::new()).await?;
        let decided = plan::plan(&plan::Inputs {
            application: &plan.application,
            desired: &later,
            observed: &observed,
            inventory: &plan.during,
            left: &[],
            leaving: plan.options.leaving(),
            strangers: &plan.strangers,
            partial: true,
        });
        executed.failed.extend(decided.refusals);
        let mut known: Vec<bool> = vec![true; later.len()];
        for (place, live) in decided.settled {
            known[place] = false;
            let manifest = &later[place];
            executed
                .memory
                .push((manifest.resource.clone(), Remembered { manifest: manifest.digest, live, ended: None }));
        }
        let mut known = known.into_iter();
        Ok(rest.into_iter().filter(|w| w.later == Later::No || known.next().unwrap_or(true)).collect())
    }

    /// Waits until the cluster serves the kinds of these objects: their CRDs were written a moment ago.
    async fn wait_for_kinds(&self, objects: &[Manifest]) -> Result<(), ApiProblem> {
        let deadline = Instant::now() + KIND_TIMEOUT;
        let mut pause = Duration::from_millis(50);
        loop {
            let kinds = self.observer.objects.kinds().await?;
            let unknown = objects.iter().find(|m| {
                kinds.get(&m.resource.group, &m.resource.kind).is_none_or(|kind| kind.version(&m.version).is_none())
            });
            let Some(unknown) = unknown else { return Ok(()) };
            if Instant::now() + pause >= deadline {
                let doing = format!("wait for the kind of {}", unknown.resource.short());
                let message =
                    format!("the cluster does not serve it {} s after its definition", KIND_TIMEOUT.as_secs());
                return Err(ApiProblem::new(Class::KindMissing, doing, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            self.observer.objects.kinds_now().await?;
        }
    }

    /// Writes stage by stage, until one fails.
    async fn write_all(&self, writes: Vec<Write>, executed: &mut Executed, done: &Done<'_>) {
        for group in writes.chunk_by(|a, b| same_stage(&a.manifest.resource, &b.manifest.resource)) {
            let write = |write: &Write| {
                let manifest = write.manifest.clone();
                async move {
                    if (self.stop)() {
                        return (manifest, None);
                    }
                    let result = self.write(&manifest).await;
                    self.tell(done, &manifest.resource);
                    (manifest, Some(result))
                }
                .boxed()
            };
            let results = at_once(group.iter().map(write)).await;
            for (manifest, result) in results {
                match result {
                    None => executed.stopped = true,
                    Some(Ok(live)) => {
                        self.observer.live.wrote(&live);
                        let live = owned::digest(&live);
                        executed.changes.extend(done.line(&manifest.resource));
                        let remembered = Remembered { manifest: manifest.digest, live, ended: None };
                        executed.memory.push((manifest.resource, remembered));
                    }
                    Some(Err(problem)) => executed.failed.push(refusal(&manifest, &problem)),
                }
            }
            if executed.is_over() {
                return;
            }
        }
    }

    async fn write(&self, manifest: &Manifest) -> Result<Value, ApiProblem> {
        let objects = self.observer.objects;
        let live = objects.apply(manifest, Mode::Write).await?;
        if !is_definition(&manifest.resource) {
            return Ok(live);
        }
        let live = self.established(manifest, live).await;
        // Versions and scope may be others than before, whatever became of it.
        objects.kinds_changed();
        live
    }

    /// Waits until a CRD is established. One whose names are not accepted never is.
    async fn established(&self, manifest: &Manifest, mut live: Value) -> Result<Value, ApiProblem> {
        let doing = format!("establish {}", manifest.resource.short());
        let deadline = Instant::now() + KIND_TIMEOUT;
        let mut pause = Duration::from_millis(25);
        loop {
            let conditions = || live["status"]["conditions"].as_array().into_iter().flatten();
            let is = |kind: &str, status: &str| conditions().find(|c| c["type"] == kind && c["status"] == status);
            if is("Established", "True").is_some() {
                return Ok(live);
            }
            if let Some(refused) = is("NamesAccepted", "False") {
                let message = refused["message"].as_str().unwrap_or("its names are not accepted");
                return Err(ApiProblem::new(Class::Invalid, doing, message));
            }
            if Instant::now() + pause >= deadline {
                let message = format!("it is not established after {} s", KIND_TIMEOUT.as_secs());
                return Err(ApiProblem::new(Class::Timeout, doing, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            let read = self.observer.objects.get(&manifest.resource, Some(&manifest.version)).await?;
            live = read.ok_or_else(|| ApiProblem::new(Class::NotFound, &*doing, "somebody deleted it meanwhile"))?;
        }
    }

    pub(super) fn tell(&self, done: &Done<'_>, last: &ResourceRef) {
        let count = done.count.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(Progress { done: count, total: done.total, last });
    }
}

/// How far it is, and what is told of each object when it is done.
pub(super) struct Done<'a> {
    count: AtomicUsize,
    total: usize,
    lines: HashMap<&'a ResourceRef, &'a Change>,
}

impl Done<'_> {
    pub(super) fn line(&self, resource: &ResourceRef) -> Option<Change> {
        self.lines.get(resource).map(|change| (*change).clone())
    }
}

pub(super) fn same_stage(a: &ResourceRef, b: &ResourceRef) -> bool {
    order::stage(&a.group, &a.kind) == order::stage(&b.group, &b.kind)
}

/// Where the inventory of who owned these may be: in the namespace of who takes them over, or beside them.
pub(super) fn namespaces<'a>(
    own: &'a str,
    adopted: impl Iterator<Item = &'a ResourceRef>,
) -> std::collections::BTreeSet<&'a str> {
    adopted.filter_map(|resource| resource.namespace.as_deref()).chain([own]).collect()
}

fn is_definition(resource: &ResourceRef) -> bool {
    resource.group == "apiextensions.k8s.io" && resource.kind == "CustomResourceDefinition"
}

/// Whether others need it before they can even be dry-run.
pub(super) fn brings(resource: &ResourceRef) -> bool {
    order::must_be_ready(&resource.group, &resource.kind)
}
