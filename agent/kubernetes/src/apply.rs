//! Executes a plan: walks its [`steps`](quarterdeck_core::steps) and decides nothing, since what is written, in which order,
//! what is waited for and what is deleted is in them.
//!
//! Everything was dry-run before the first write, except what needs a kind or a namespace that this very plan brings:
//! that is dry-run when these are there, and before the first write of the rest. So a refusal leaves nothing half done,
//! or at most new kinds and namespaces without content. The first failure ends the walk after its step, and nothing is
//! pruned then, nor is a later hook run. A prune is done when its object is gone; what a finalizer holds stays in the inventory, and is said. Who
//! stops it stops it before the next object: what is in the air is let come down, so that what was done is known.

mod alone;
mod hooks;
mod progress;
mod waits;

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use quarterdeck_shared::change::{Action, Change, Wait};
use quarterdeck_shared::resource::{Inventory, ResourceRef};

pub use self::alone::{Ended, Ran};
pub(super) use self::progress::Done;
pub use self::progress::Far;
use crate::error::ClusterError;
use crate::objects::Mode;
use crate::observe::{Observer, at_once, refusal};
use crate::options::Options;
use crate::planned::{PlannedSync, namespaces};
use crate::problem::{ApiProblem, Class};
use crate::pull_secrets::PullSecretStep;
use quarterdeck_core::hooks::{Record, Run};
use quarterdeck_core::steps::{self, Reached, Step, Write};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{self, Memory, Refusal, Remembered, Undone};

/// What an execution did.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    /// What was created, configured and pruned, and what was skipped, in that order.
    pub changes: Vec<Change>,
    /// How many hooks succeeded.
    pub hooks: usize,
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
    pub(super) pull_secrets: PullSecretStep,
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
                Step::PullSecrets => {
                    let Options { namespace, pull_secrets, .. } = &plan.options;
                    self.pull_secrets.run(self.observer.objects, &plan.environment, namespace, pull_secrets).await;
                }
                Step::Apply { writes, wait, timeout } => self.apply(writes, wait, timeout, &mut walk).await,
                Step::DryRun { manifests, timeout } => self.dry_run(&manifests, timeout, &mut walk).await?,
                Step::Delete { deletions, holders, timeout } => {
                    self.delete_all(&deletions, &holders, timeout, &mut walk).await;
                }
                Step::Hook(run) => self.hook(*run, &mut walk).await,
                Step::Passed(when) => self.passed(when, &mut walk).await?,
                Step::Clear { runs, timeout } => self.clear(&runs, timeout, &mut walk).await,
                Step::Conclude => self.conclude(&mut walk).await?,
            }
        }
        Ok(walk.executed)
    }

    async fn announce(&self, walk: &mut Walk<'_>, namespace_follows: bool) -> Result<(), ApiProblem> {
        let plan = walk.plan;
        walk.announced = walk.announced || self.write_inventory(walk, &plan.during).await?;
        if walk.announced || namespace_follows {
            return Ok(());
        }
        let doing = format!("write the inventory of {}", plan.environment);
        let message = format!("namespace {} does not exist", plan.options.namespace);
        Err(ApiProblem::new(Class::NamespaceMissing, doing, message))
    }

    /// False where its namespace is not there yet.
    async fn write_inventory(&self, walk: &Walk<'_>, inventory: &Inventory) -> Result<bool, ApiProblem> {
        let (objects, plan, hooks) = (self.observer.objects, walk.plan, &walk.hooks);
        let (environment, namespace) = (&plan.environment, &plan.options.namespace);
        match self.inventories.write(objects, environment, namespace, inventory, hooks, plan.by).await {
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
        for (place, live) in decided.unchanged {
            let Manifest { resource, digest, .. } = &later[place];
            walk.unchanged.insert(resource.clone());
            walk.executed.memory.push((resource.clone(), Remembered { manifest: *digest, live, ended: None }));
        }
        Ok(())
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
        let writes = writes.into_iter().filter(|write| !walk.unchanged.contains(&write.manifest.resource));
        let results = at_once(writes.map(write)).await;
        for (manifest, result) in results {
            match result {
                None => walk.executed.stopped = true,
                Some(Ok(live)) => {
                    walk.executed.changes.extend(walk.done.line(&manifest.resource));
                    let remembered = Remembered { manifest: manifest.digest, live, ended: None };
                    walk.executed.memory.push((manifest.resource, remembered));
                }
                Some(Err(problem)) => walk.executed.failed.push(refusal(&manifest, &problem)),
            }
        }
    }

    /// Writes an object, and waits for it; the digest of it then.
    async fn write(
        &self,
        manifest: &Manifest,
        takes_over: bool,
        wait: Wait,
        timeout: Duration,
        done: &Done<'_>,
    ) -> Result<ContentDigest, ApiProblem> {
        let objects = self.observer.objects;
        if takes_over {
            objects.take_over(manifest).await?;
        }
        let written = objects.apply(manifest, Mode::Write).await?;
        let live = if steps::reached(wait, &written) == Reached::Yes {
            self.observer.cache.wrote(&written);
            Ok(managed_fields::digest(&written))
        } else {
            self.waits(done, |waiting| waiting.add(&manifest.resource.kind));
            let live = self.wait_for(manifest, written, wait, timeout).await;
            self.waits(done, |waiting| waiting.remove(&manifest.resource.kind));
            live
        };
        if manifest.defines.is_some() {
            // Versions and scope may be others than before, whatever became of it.
            objects.kinds_changed();
        }
        live
    }

    /// The inventory names what is left; what was taken over from environments that nobody operates any more leaves theirs.
    async fn conclude(&self, walk: &mut Walk<'_>) -> Result<(), ApiProblem> {
        let plan = walk.plan;
        walk.executed.changes.extend(plan.changes.iter().filter(|change| change.action == Action::Skip).cloned());
        if !walk.executed.is_over() {
            walk.hooks = plan.hooks.after.clone();
        }
        self.write_inventory(walk, &walk.after).await?;
        walk.executed.after = walk.after.clone();
        for (owner, adopted) in &plan.adopted {
            for namespace in namespaces(&plan.options.namespace, adopted.iter()) {
                self.inventories.release(self.observer.objects, owner, namespace, adopted, plan.by).await?;
            }
        }
        Ok(())
    }
}

/// How far the walk through a plan is.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a PlannedSync,
    pub(super) done: Done<'a>,
    pub(super) executed: Executed,
    /// What the inventory names in the end: what the plan says, and what was deleted and is not gone.
    pub(super) after: Inventory,
    /// What the inventory says of hooks.
    hooks: Record,
    /// The hooks of this phase that succeeded.
    succeeded: Vec<Run>,
    /// The inventory names old and new.
    announced: bool,
    /// What a dry run on the way found as it should be.
    unchanged: HashSet<ResourceRef>,
    /// Deleting has begun: it is brought to its end, and kept, whatever fails of it.
    ends: bool,
}

impl<'a> Walk<'a> {
    fn begin(plan: &'a PlannedSync, stopped: bool) -> Self {
        let (memory, undone) = (plan.unchanged.clone(), plan.undone.clone());
        Self {
            plan,
            done: Done::begin(plan.size(), &plan.changes),
            executed: Executed { memory, undone, stopped, ..Executed::default() },
            after: plan.after.clone(),
            hooks: plan.hooks_during(),
            succeeded: Vec::new(),
            announced: false,
            unchanged: HashSet::new(),
            ends: false,
        }
    }

    fn goes_on(&self, step: &Step) -> bool {
        !self.executed.is_over() || (self.ends && matches!(step, Step::Delete { .. } | Step::Conclude))
    }
}
