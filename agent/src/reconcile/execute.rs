//! A decided plan becomes so, is left on purpose, or is told why it cannot: and the history says which.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use quarterdeck_shared::change::{self, Action};
use quarterdeck_shared::event::{Cause, Event, Part, SyncRecord};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Progress, RenderedFrom};
use quarterdeck_shared::status::{Phase, SyncStatus};
use tokio::sync::watch;

use super::decide::Held;
use super::progress::telling;
use super::records::{begun, ended};
use super::stop::{self, Stop};
use super::{Place, ReconcileError, cluster_error};
use crate::context::{Context, Drift, Environment};
use crate::history::Intent;
use crate::journal::fact::{Fact, Patch};
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::plan::{Memory, Remembered as Applied, Undone};
use quarterdeck_kubernetes::{Executed, Far, PlannedSync};
use quarterdeck_shared::error::Failure;
use tracing::Instrument as _;

/// Judging what was written takes a few milliseconds; a sync does not wait longer than a person would notice.
const ASSESSED_WITHIN: Duration = Duration::from_secs(1);

/// Behind what a sync did.
const KEPT: &str = "; from the manifests kept of an earlier render";

/// A plan about to become so, or not.
pub(super) struct Sync<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) environment: &'a Arc<Environment>,
    /// How the environment was when the pass began.
    pub(super) status: &'a EnvironmentStatus,
    pub(super) revision: &'a Revision,
    pub(super) rendered: &'a Rendered,
    /// Where that came from.
    pub(super) from: RenderedFrom,
    pub(super) intent: Option<&'a Intent>,
    pub(super) planned: PlannedSync,
    pub(super) place: &'a Place,
}

/// How a plan that became so ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of the environment is as git says.
    Whole,
    /// What was to be done was done, and more is left.
    Part,
    /// It was stopped on the way.
    Stopped,
}

impl Sync<'_> {
    /// The objects that a person named, where some were.
    fn named(&self) -> &[ResourceRef] {
        self.intent.map_or(&[], |intent| &intent.request.only)
    }

    /// What is planned is as git says: that is remembered, and a person who asked is answered by a sync without changes.
    pub(super) async fn nothing_to_do(self, memory: &mut Memory) -> Result<(Outcome, Undone), ReconcileError> {
        self.environment.cluster.keep(&self.planned).await.map_err(|source| cluster_error(self.environment, source))?;
        let undone = self.planned.undone.clone();
        let mut facts = vec![self.found_unchanged(memory)];
        let part = self.part(&Held::default());
        if let Some(intent) = self.intent {
            let mut sync = self.begun(intent.cause.clone(), part.clone());
            sync.changes = self.planned.changes.iter().filter(|one| one.action != Action::Unchanged).cloned().collect();
            let message = match (&part, undone.message()) {
                (Some(part), _) => format!("{} of {} objects are as git says", part.count, part.of),
                (None, left) if left.is_empty() => "everything is as git says".to_owned(),
                (None, left) => left,
            };
            let message = format!("nothing to do: {message}{}", self.kept());
            facts.extend(ended(sync, phase(&undone), Failure { message, hint: undone.hint().to_owned() }));
            facts.push(Fact::IntentDone { environment: self.environment.id.clone(), intent: intent.clone() });
        }
        if part.is_none() {
            let (revision, known) = (self.status.revision.as_ref(), self.status.known());
            if revision != Some(self.revision) || known.sync == SyncStatus::Unknown {
                facts.push(self.deployed());
            }
            facts.push(self.finished(&undone));
        }
        self.context.journal.record(facts).await?;
        Ok((if part.is_none() { Outcome::Whole } else { Outcome::Part }, undone))
    }

    /// Something differs and is left so on purpose. What does not differ is remembered: it is not asked for again.
    /// Drift that is left is an event of its own, since no sync will tell of it. Where all that could be told is unchanged,
    /// what was refused may be too.
    pub(super) async fn hold(
        self,
        message: String,
        drift: Option<Drift>,
        memory: &mut Memory,
    ) -> Result<(), ReconcileError> {
        let is_different = |action| matches!(action, Action::Create | Action::Configure | Action::Prune);
        let differing = self.planned.changes.iter().filter(|change| is_different(change.action)).count();
        let (sync, why) = match self.planned.refusals.first().filter(|_| differing == 0) {
            Some(refusal) => {
                let message = format!("{message}: {refusal}");
                (SyncStatus::Unknown, Failure { message, hint: refusal.hint.clone() })
            }
            None => (SyncStatus::OutOfSync, message.into()),
        };
        let mut facts = vec![self.found_unchanged(memory), self.compared(sync, why, differing as u32)];
        facts.extend(drift.map(|Drift { resource, manager }| {
            let event = Event::DriftFound { resources: vec![resource.clone()] };
            Fact::happened(&self.environment.id, &Cause::Drift { resource, manager }, event)
        }));
        Ok(self.context.journal.record(facts).await?)
    }

    /// The plan becomes so, but for what is held of it.
    pub(super) async fn execute(
        mut self,
        cause: Cause,
        held: &Held,
        memory: &mut Memory,
    ) -> Result<(Outcome, Undone), ReconcileError> {
        if !held.is_empty() {
            self.planned = self.planned.without(&held.objects);
        }
        let name = self.environment.id.clone();
        let journal = &self.context.journal;
        let part = self.part(held);
        let mut sync = self.begun(cause, part.clone());
        sync.message = change::planned(self.planned.changes.iter().map(|change| change.action));
        let event = Event::SyncStarted { sync: sync.id, revision: self.revision.clone() };
        let total = self.planned.size();
        let (news, progress) = watch::channel(applying(Far { done: 0, total, waiting: Vec::new(), hook: None }));
        let begins = Fact::patch(&name, Patch::Progress(Some(progress.borrow().clone())));
        journal
            .record(vec![Fact::Sync(Box::new(sync.clone())), Fact::happened(&name, &sync.cause, event), begins])
            .await?;

        let done = AtomicUsize::new(0);
        let tell = |far: Far| {
            done.fetch_max(far.done, Ordering::Relaxed);
            if far.hook.is_some() {
                self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            news.send_replace(applying(far));
        };
        let stop = || stop::asked(self.context, self.environment, self.status);
        let is_stopped = || stop().is_some();
        let mut facts = Vec::new();
        let (mut stopped, mut undone) = (None, Undone::default());
        let mut planned = self.planned.clone();
        planned.by = Some(sync.id);
        let execution = self.environment.cluster.execute_until(planned, &tell, &is_stopped);
        let span = tracing::error_span!("sync", sync = %sync.id, revision = %self.revision.short());
        let result = match telling(journal, &name, progress, execution.instrument(span)).await {
            Ok(executed) => {
                // The end is told after the health of what was written: who waits for both must not see the old one.
                let _ = tokio::time::timeout(ASSESSED_WITHIN, self.environment.cluster.changes_read()).await;
                facts.push(self.applied(new_against(&executed.memory, memory), executed.forgotten.clone()));
                let result = self.outcome(&executed, part.as_ref());
                stopped = executed.stopped.then(|| stop().unwrap_or(Stop::Agent));
                memory.extend(executed.memory);
                for resource in &executed.forgotten {
                    memory.remove(resource);
                }
                sync.changes = executed.changes;
                undone = executed.undone;
                result
            }
            Err(source) => Err(cluster_error(self.environment, source)),
        };
        facts.extend(match (&result, &stopped) {
            (Err(error), _) => ended(sync, Phase::Failed, Failure::of(error)),
            (Ok(_), Some(stop)) => ended(sync, stop.phase(), stop.describe(done.load(Ordering::Relaxed), total)),
            (Ok(did), None) => {
                let told = Failure { message: did.clone(), hint: undone.hint().to_owned() };
                ended(sync, phase(&undone), told)
            }
        });
        facts.push(Fact::patch(&name, Patch::Progress(None)));
        let outcome = match (stopped.is_some(), part.is_some()) {
            (true, _) => Outcome::Stopped,
            (false, true) => Outcome::Part,
            (false, false) => Outcome::Whole,
        };
        if result.is_ok() && outcome == Outcome::Whole {
            facts.push(self.deployed());
            facts.push(self.finished(&undone));
        }
        if result.is_ok() && outcome == Outcome::Part && !held.is_empty() {
            facts.push(self.compared(SyncStatus::OutOfSync, held.message.clone(), held.objects.len() as u32));
        }
        // A person's request is done also where it failed: the person is told. Only what a crash or the end of the agent cut
        // off is owed.
        if let Some(intent) = self.intent.filter(|_| stopped.as_ref().is_none_or(Stop::is_final)) {
            facts.push(Fact::IntentDone { environment: name.clone(), intent: intent.clone() });
            self.environment.intent_done(Some(intent));
        }
        journal.record(facts).await?;
        result.map(|_| (outcome, undone))
    }

    /// What was done, in a line; or which objects failed after it.
    fn outcome(&self, executed: &Executed, part: Option<&Part>) -> Result<String, ReconcileError> {
        let did = did(executed);
        let Some(first) = executed.failed.first() else {
            let unchanged = self.planned.changes.iter().filter(|change| change.action == Action::Unchanged).count();
            let of = part.filter(|_| self.intent.is_some()).map(|part| part.applied(self.revision) + ": ");
            let undone = Undone { kept: Vec::new(), ..executed.undone.clone() }.message();
            let undone = if undone.is_empty() { undone } else { format!("; {undone}") };
            let kept = self.kept();
            return Ok(format!("{}{did}, {unchanged} unchanged{undone}{kept}", of.unwrap_or_default()));
        };
        let more = match executed.failed.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let message = format!("{first}{more}; done before it: {did}");
        Err(ReconcileError::Partly { message, hint: first.hint.clone() })
    }

    /// Said of a sync that had its manifests of no render of its own.
    fn kept(&self) -> &'static str {
        if self.from == RenderedFrom::Kept { KEPT } else { "" }
    }

    /// The part of the environment that the sync is about, where it is not all of it.
    fn part(&self, held: &Held) -> Option<Part> {
        let all = self.rendered.manifests.len();
        let named: HashSet<&ResourceRef> = self.named().iter().collect();
        if named.is_empty() && held.is_empty() {
            return None;
        }
        let manifests = self.rendered.manifests.iter().map(|manifest| &manifest.resource);
        let is_in = |one: &&ResourceRef| (named.is_empty() || named.contains(one)) && !held.objects.contains(*one);
        let objects: Vec<&ResourceRef> = manifests.filter(is_in).collect();
        Some(Part::new(objects.into_iter(), all))
    }

    fn begun(&self, cause: Cause, part: Option<Part>) -> SyncRecord {
        let sync = begun(self.context, self.environment, self.revision.clone(), cause);
        SyncRecord { images: self.images(), content: content(self.rendered), part, ..sync }
    }

    /// What needs nothing done is remembered; only what is news goes into the history.
    fn found_unchanged(&self, memory: &mut Memory) -> Fact {
        let fact = self.applied(new_against(&self.planned.unchanged, memory), Vec::new());
        memory.extend(self.planned.unchanged.iter().cloned());
        fact
    }

    fn images(&self) -> Vec<String> {
        quarterdeck_core::render::images::images(self.rendered.all())
    }

    fn deployed(&self) -> Fact {
        let patch = Patch::Deployed { revision: self.revision.clone(), images: self.images() };
        Fact::patch(&self.environment.id, patch)
    }

    /// Everything was done that can be: the environment is as git says, but for what left git and is not gone.
    fn finished(&self, undone: &Undone) -> Fact {
        let sync = if undone.differing() == 0 { SyncStatus::Synced } else { SyncStatus::OutOfSync };
        let why = Failure { message: undone.message(), hint: undone.hint().to_owned() };
        self.compared(sync, why, undone.differing() as u32)
    }

    fn compared(&self, sync: SyncStatus, why: impl Into<Failure>, drifted: u32) -> Fact {
        let resources = Some(self.rendered.manifests.len() as u32);
        let why = why.into();
        Fact::patch(&self.environment.id, Patch::Compared { sync, why, drifted, resources })
    }

    fn applied(&self, applied: Vec<(ResourceRef, Applied)>, gone: Vec<ResourceRef>) -> Fact {
        Fact::Applied { environment: self.environment.id.clone(), applied, gone }
    }
}

/// How a sync ended that did all that could be done: an object that was refused makes it no release to go back to.
fn phase(undone: &Undone) -> Phase {
    if undone.refused.is_empty() { Phase::Succeeded } else { Phase::Failed }
}

/// `1 created, 2 configured, 1 hook done`.
fn did(executed: &Executed) -> String {
    let objects = change::done(executed.changes.iter().map(|change| change.action));
    let hooks = match executed.hooks {
        0 => return objects,
        1 => "1 hook done".to_owned(),
        hooks => format!("{hooks} hooks done"),
    };
    if executed.changes.is_empty() { hooks } else { format!("{objects}, {hooks}") }
}

fn applying(Far { done, total, waiting, hook }: Far) -> Progress {
    Progress::Applying { done: done as u32, of: total as u32, waiting, hook: hook.map(Box::new) }
}

/// A digest of all manifests and hooks, which are in one order. Half of a SHA-256 tells any number of releases apart.
pub(super) fn content(rendered: &Rendered) -> String {
    rendered.digest().0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of this is not in memory so: only that is written to history.
pub(super) fn new_against(found: &[(ResourceRef, Applied)], memory: &Memory) -> Vec<(ResourceRef, Applied)> {
    found.iter().filter(|(resource, applied)| memory.get(resource) != Some(applied)).cloned().collect()
}
