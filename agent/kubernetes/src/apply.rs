//! Executes a plan: walks its [`steps`](quarterdeck_core::steps) and decides nothing, since what is written, in which order,
//! what is waited for and what is deleted is in them.
//!
//! Everything was dry-run before the first write, except what needs a kind or a namespace that this very plan brings:
//! that is dry-run when these are there, and before the first write of the rest. So a refusal leaves nothing half done,
//! or at most new kinds and namespaces without content. The first failure ends the walk after its step, and nothing is
//! pruned then. A prune is done when its object is gone; what a finalizer holds stays in the inventory, and is said. Who
//! stops it stops it before the next object: what is in the air is let come down, so that what was done is known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::change::{Action, Change, PlanStep, Wait};
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::resource::{Inventory, InventoryItem, ResourceRef};
use quarterdeck_shared::snapshot::Awaited;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::ClusterError;
use crate::objects::Mode;
use crate::observe::{Observer, at_once, refusal};
use crate::options::Options;
use crate::problem::{ApiProblem, Class};
use quarterdeck_core::steps::{self, Reached, Step, Write};
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{self, Memory, Refusal, Remembered, Stranger, Undone};

/// A look at what is waited for comes this often at least.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The pauses between the looks at what is waited for.
fn looks(first: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_min_delay(first).with_max_delay(LOOK_MAX).without_max_times().build()
}

/// A plan that is ready to be executed.
#[derive(Debug, Clone)]
pub struct PlannedSync {
    /// Whose.
    pub environment: EnvironmentId,
    /// What it does, one line an object, in its order; prunes last.
    pub changes: Vec<Change>,
    /// What the cluster refuses. Not empty: the plan is not executed.
    pub refusals: Vec<Refusal>,
    /// What is as it should be, to be remembered also when nothing is executed.
    pub settled: Vec<(ResourceRef, Remembered)>,
    /// What it leaves undone.
    pub undone: Undone,
    /// The sync that executes it; none where it is only looked at. The inventory names it.
    pub by: Option<SyncId>,
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

impl PlannedSync {
    /// Whether it writes and deletes nothing. That the inventory forgets what is gone is no sync.
    pub fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.prunes.is_empty()
    }

    /// What its execution does, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        steps::by_kind(&self.writes, &self.prunes, self.options.create_namespace)
    }

    /// The same for people; nothing where it is refused.
    pub fn shown_steps(&self) -> Vec<PlanStep> {
        if self.refusals.is_empty() { steps::shown(&self.steps()) } else { Vec::new() }
    }

    /// Whether it depends on what the other environments of this agent want: something is deleted, or is refused since one
    /// of them has it.
    pub fn needs_neighbours(&self) -> bool {
        self.contested || !self.prunes.is_empty()
    }
}

/// How far the execution of a plan is.
#[derive(Debug, Clone)]
pub struct Far {
    /// Objects written, and as their step waits for them, or deleted.
    pub done: usize,
    /// Objects to write or delete.
    pub total: usize,
    /// What was written and is waited for, by kind.
    pub waiting: Vec<Awaited>,
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
    pub(super) progress: &'a (dyn Fn(Far) + Send + Sync),
    /// Looked at before each object: nothing more is done where it says so.
    pub(super) stop: &'a (dyn Fn() -> bool + Send + Sync),
}

impl Executor<'_> {
    /// Walks the steps of a plan.
    pub(super) async fn execute(&self, plan: PlannedSync) -> Result<Executed, ClusterError> {
        if !plan.refusals.is_empty() {
            return Err(ClusterError::Refused { environment: plan.environment, refusals: plan.refusals });
        }
        let mut walk = Walk::begin(&plan, (self.stop)());
        if walk.executed.stopped {
            walk.executed.after = plan.before.clone();
            return Ok(walk.executed);
        }
        walk.executed.after = plan.during.clone();
        for step in plan.steps() {
            if matches!(step, Step::Delete { .. } | Step::Conclude) && !walk.ends && !walk.executed.is_over() {
                walk.executed.stopped = (self.stop)();
                walk.ends = !walk.executed.stopped;
            }
            if !walk.goes_on(&step) {
                continue;
            }
            match step {
                Step::Announce { namespace_follows } => self.announce(&mut walk, namespace_follows).await?,
                Step::CreateNamespace if walk.announced => {}
                Step::CreateNamespace => self.observer.objects.make_namespace(&plan.options.namespace).await?,
                Step::Apply { writes, wait, timeout } => self.apply(writes, wait, timeout, &mut walk).await,
                Step::DryRun { manifests, timeout } => self.dry_run(&manifests, timeout, &mut walk).await?,
                Step::Delete { deletions, holders, timeout } => {
                    self.delete_all(&deletions, &holders, timeout, &mut walk).await;
                }
                Step::Conclude => self.conclude(&mut walk).await?,
            }
        }
        Ok(walk.executed)
    }

    async fn announce(&self, walk: &mut Walk<'_>, namespace_follows: bool) -> Result<(), ApiProblem> {
        let plan = walk.plan;
        walk.announced = walk.announced || self.write_inventory(plan, &plan.during).await?;
        if walk.announced || namespace_follows {
            return Ok(());
        }
        let doing = format!("write the inventory of {}", plan.environment);
        let message = format!("namespace {} is not there", plan.options.namespace);
        Err(ApiProblem::new(Class::NamespaceMissing, doing, message))
    }

    /// False where its namespace is not there yet.
    async fn write_inventory(&self, plan: &PlannedSync, inventory: &Inventory) -> Result<bool, ApiProblem> {
        let objects = self.observer.objects;
        match self.inventories.write(objects, &plan.environment, &plan.options.namespace, inventory, plan.by).await {
            Ok(_) => Ok(true),
            Err(problem) if problem.class == Class::NamespaceMissing => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Dry-runs what could not be before: refusals end the walk, and what is as it should be is not written.
    async fn dry_run(&self, later: &[Manifest], timeout: Duration, walk: &mut Walk<'_>) -> Result<(), ApiProblem> {
        self.wait_for_kinds(later, timeout, walk).await?;
        if walk.executed.stopped {
            return Ok(());
        }
        let observed = self.observer.desired(later, &Memory::new()).await?;
        let plan = walk.plan;
        let decided = plan::plan(&plan::Inputs {
            environment: &plan.environment,
            desired: later,
            observed: &observed,
            inventory: &plan.during,
            left: &[],
            leaving: plan.options.leaving(),
            strangers: &plan.strangers,
            partial: true,
        });
        walk.executed.failed.extend(decided.refusals);
        walk.executed.undone.refused.extend(decided.undone.refused);
        for (place, live) in decided.settled {
            let Manifest { resource, digest, .. } = &later[place];
            walk.settled.insert(resource.clone());
            walk.executed.memory.push((resource.clone(), Remembered { manifest: *digest, live, ended: None }));
        }
        Ok(())
    }

    /// Waits until the cluster serves the kinds of these objects: their CRDs were written a moment ago. Not for what cannot
    /// come, since somebody changed a CRD meanwhile, and not for who is stopped.
    async fn wait_for_kinds(
        &self,
        objects: &[Manifest],
        timeout: Duration,
        walk: &mut Walk<'_>,
    ) -> Result<(), ApiProblem> {
        let (begun, deadline) = (Instant::now(), Instant::now() + timeout);
        let mut pauses = looks(Duration::from_millis(50));
        loop {
            let kinds = self.observer.objects.kinds().await?;
            let is_unknown = |m: &&Manifest| {
                kinds.get(&m.resource.group, &m.resource.kind).is_none_or(|kind| kind.version(&m.version).is_none())
            };
            let missing: BTreeSet<_> =
                objects.iter().filter(is_unknown).map(|m| (&m.resource.group, &m.resource.kind)).collect();
            self.waits(&walk.done, |waiting| waiting.set(DEFINITION, missing.len()));
            let Some(unknown) = objects.iter().find(is_unknown) else { return Ok(()) };
            let cannot = |message: String| {
                let doing = format!("wait for the kind of {}", unknown.resource.short());
                ApiProblem::new(Class::KindMissing, doing, message)
            };
            // Most are served within a moment.
            if begun.elapsed() >= LOOK_MAX
                && let Some(what) = self.changed_definition(&unknown.resource.group, walk).await?
            {
                return Err(cannot(what));
            }
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let message = format!("the cluster does not serve it {} s after its definition", timeout.as_secs());
                return Err(cannot(message));
            }
            tokio::time::sleep(pause).await;
            walk.executed.stopped = (self.stop)();
            if walk.executed.stopped {
                return Ok(());
            }
            self.observer.objects.kinds_now().await?;
        }
    }

    /// A definition of this group that is not as this walk wrote or found it: its kind may never be served then.
    async fn changed_definition(&self, group: &str, walk: &Walk<'_>) -> Result<Option<String>, ApiProblem> {
        let suffix = format!(".{group}");
        let is_of_group = |resource: &ResourceRef| is_definition(resource) && resource.name.ends_with(&suffix);
        for (resource, written) in walk.executed.memory.iter().filter(|(resource, _)| is_of_group(resource)) {
            match self.observer.objects.get(resource, Some("v1")).await? {
                Some(live) if managed_fields::digest(&live) == written.live => {}
                Some(_) => return Ok(Some(format!("{} was changed in the meantime", resource.short()))),
                None => return Ok(Some(format!("{} was deleted in the meantime", resource.short()))),
            }
        }
        Ok(None)
    }

    /// Writes side by side, and waits for each. Who stops it stops it before the next object.
    async fn apply(&self, writes: Vec<Write>, wait: Wait, timeout: Duration, walk: &mut Walk<'_>) {
        let done = &walk.done;
        let write = |write: Write| {
            async move {
                let Write { manifest, takes_over, later: _ } = write;
                if (self.stop)() {
                    return (manifest, None);
                }
                let result = self.write(&manifest, takes_over, wait, timeout, done).await;
                self.report(done);
                (manifest, Some(result))
            }
            .boxed()
        };
        let writes = writes.into_iter().filter(|write| !walk.settled.contains(&write.manifest.resource));
        let results = at_once(writes.map(write)).await;
        for (manifest, result) in results {
            match result {
                None => walk.executed.stopped = true,
                Some(Ok(live)) => {
                    self.observer.cache.wrote(&live);
                    let live = managed_fields::digest(&live);
                    walk.executed.changes.extend(walk.done.line(&manifest.resource));
                    let remembered = Remembered { manifest: manifest.digest, live, ended: None };
                    walk.executed.memory.push((manifest.resource, remembered));
                }
                Some(Err(problem)) => walk.executed.failed.push(refusal(&manifest, &problem)),
            }
        }
    }

    async fn write(
        &self,
        manifest: &Manifest,
        takes_over: bool,
        wait: Wait,
        timeout: Duration,
        done: &Done<'_>,
    ) -> Result<Value, ApiProblem> {
        let objects = self.observer.objects;
        if takes_over {
            objects.take_over(manifest).await?;
        }
        let written = objects.apply(manifest, Mode::Write).await?;
        let live = if steps::reached(wait, &written) == Reached::Yes {
            Ok(written)
        } else {
            self.waits(done, |waiting| waiting.add(&manifest.resource.kind));
            let live = self.wait_for(manifest, written, wait, timeout).await;
            self.waits(done, |waiting| waiting.take(&manifest.resource.kind));
            live
        };
        if is_definition(&manifest.resource) {
            // Versions and scope may be others than before, whatever became of it.
            objects.kinds_changed();
        }
        live
    }

    /// Waits until a written object is as its step waits for it, or somebody stops it; the object as it is then.
    async fn wait_for(
        &self,
        manifest: &Manifest,
        mut live: Value,
        wait: Wait,
        timeout: Duration,
    ) -> Result<Value, ApiProblem> {
        let until = |what: &str| format!("wait until {} is {what}", manifest.resource.short());
        let doing = || match wait {
            Wait::Established => format!("establish {}", manifest.resource.short()),
            Wait::Healthy => until("healthy"),
            Wait::Completed => until("completed"),
            Wait::None | Wait::Gone => until("written"),
        };
        let deadline = Instant::now() + timeout;
        let written = managed_fields::digest(&live);
        let mut pauses = looks(Duration::from_millis(25));
        loop {
            let waits = match steps::reached(wait, &live) {
                Reached::Yes => return Ok(live),
                Reached::Never(why) => return Err(ApiProblem::new(Class::Invalid, doing(), why)),
                Reached::NotYet(how) => how,
            };
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let message = format!("after {} s: {waits}", timeout.as_secs());
                return Err(ApiProblem::new(Class::Timeout, doing(), message));
            }
            tokio::time::sleep(pause).await;
            if (self.stop)() {
                return Ok(live);
            }
            let read = self.observer.objects.get(&manifest.resource, Some(&manifest.version)).await?;
            live = read.ok_or_else(|| ApiProblem::new(Class::NotFound, doing(), "it was deleted in the meantime"))?;
            // What is healthy or completed may be so although a controller writes to it; a definition is as it is written.
            if wait == Wait::Established && managed_fields::digest(&live) != written {
                return Err(ApiProblem::new(Class::Conflict, doing(), "it was changed in the meantime"));
            }
        }
    }

    /// The inventory names what is left; what was taken over from environments that nobody operates any more leaves theirs.
    async fn conclude(&self, walk: &mut Walk<'_>) -> Result<(), ApiProblem> {
        let plan = walk.plan;
        walk.executed.changes.extend(plan.changes.iter().filter(|change| change.action == Action::Skip).cloned());
        self.write_inventory(plan, &walk.after).await?;
        walk.executed.after = walk.after.clone();
        for (owner, adopted) in &plan.adopted {
            for namespace in namespaces(&plan.options.namespace, adopted.iter()) {
                self.inventories.release(self.observer.objects, owner, namespace, adopted, plan.by).await?;
            }
        }
        Ok(())
    }

    pub(super) fn report(&self, done: &Done<'_>) {
        done.count.fetch_add(1, Ordering::Relaxed);
        self.waits(done, |_| ());
    }

    /// Notes what is waited for, and tells how far the walk is.
    fn waits(&self, done: &Done<'_>, note: impl FnOnce(&mut Waiting)) {
        let mut waiting = done.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut waiting);
        let far = Far { done: done.count.load(Ordering::Relaxed), total: done.total, waiting: waiting.awaited() };
        (self.progress)(far);
    }
}

/// How far the walk through a plan is.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a PlannedSync,
    pub(super) done: Done<'a>,
    pub(super) executed: Executed,
    /// What the inventory names in the end: what the plan says, and what was deleted and is not gone.
    pub(super) after: Inventory,
    /// The inventory names old and new.
    announced: bool,
    /// What a dry run on the way found as it should be.
    settled: HashSet<ResourceRef>,
    /// Deleting has begun: it is brought to its end, and kept, whatever fails of it.
    ends: bool,
}

impl<'a> Walk<'a> {
    fn begin(plan: &'a PlannedSync, stopped: bool) -> Self {
        let (memory, undone) = (plan.settled.clone(), plan.undone.clone());
        Self {
            plan,
            done: Done {
                count: AtomicUsize::new(0),
                waiting: Mutex::default(),
                total: plan.size(),
                lines: plan.changes.iter().map(|change| (&change.resource, change)).collect(),
            },
            executed: Executed { memory, undone, stopped, ..Executed::default() },
            after: plan.after.clone(),
            announced: false,
            settled: HashSet::new(),
            ends: false,
        }
    }

    fn goes_on(&self, step: &Step) -> bool {
        !self.executed.is_over() || (self.ends && matches!(step, Step::Delete { .. } | Step::Conclude))
    }
}

/// How far it is, and what is told of each object when it is done.
pub(super) struct Done<'a> {
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
    total: usize,
    lines: HashMap<&'a ResourceRef, &'a Change>,
}

impl Done<'_> {
    pub(super) fn line(&self, resource: &ResourceRef) -> Option<Change> {
        self.lines.get(resource).map(|change| (*change).clone())
    }
}

/// How many objects of which kind are waited for.
#[derive(Default)]
struct Waiting(BTreeMap<String, usize>);

impl Waiting {
    fn set(&mut self, kind: &str, count: usize) {
        self.0.insert(kind.to_owned(), count);
    }

    fn add(&mut self, kind: &str) {
        *self.0.entry(kind.to_owned()).or_default() += 1;
    }

    fn take(&mut self, kind: &str) {
        self.0.entry(kind.to_owned()).and_modify(|count| *count = count.saturating_sub(1));
    }

    fn awaited(&self) -> Vec<Awaited> {
        let awaited = |(kind, count): (&String, &usize)| Awaited { kind: kind.clone(), count: *count as u32 };
        self.0.iter().filter(|(_, count)| **count > 0).map(awaited).collect()
    }
}

/// Where the inventory of who owned these may be: in the namespace of who takes them over, or beside them.
pub(super) fn namespaces<'a>(
    own: &'a str,
    adopted: impl Iterator<Item = &'a ResourceRef>,
) -> std::collections::BTreeSet<&'a str> {
    adopted.filter_map(|resource| resource.namespace.as_deref()).chain([own]).collect()
}

fn is_definition(resource: &ResourceRef) -> bool {
    resource.group == "apiextensions.k8s.io" && resource.kind == DEFINITION
}

const DEFINITION: &str = "CustomResourceDefinition";
