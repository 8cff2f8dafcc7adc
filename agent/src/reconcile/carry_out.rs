//! A decided plan becomes so, is left on purpose, or is told why it cannot: and the history says which.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::change::{Action, summarise};
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::ApplicationStatus;
use quarterdeck_shared::status::{Phase, SyncStatus};

use super::{ReconcileError, of};
use crate::cluster::{ClusterError, Executed, OtherAgent, PlannedSync};
use crate::context::{Application, Context, Deploy, Drift};
use crate::journal::fact::{Fact, Patch};
use crate::journal::{NotKept, chain};
use crate::render::Rendered;
use crate::sync::plan::{Memory, Remembered as Applied, Undone};

/// Judging what was written takes a few milliseconds; a sync does not wait longer than a person would notice.
const ASSESSED_WITHIN: Duration = Duration::from_secs(1);

/// How far a sync is is told this often at most: a person sees no more, and each telling is a change for every console.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// A plan about to become so, or not.
pub(super) struct Sync<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) application: &'a Arc<Application>,
    pub(super) deploy: &'a Deploy,
    pub(super) revision: &'a Revision,
    pub(super) rendered: &'a Rendered,
    pub(super) planned: PlannedSync,
}

impl Sync<'_> {
    /// Everything is as git says: that is remembered, and a person who asked is answered by a sync without changes.
    pub(super) async fn nothing_to_do(
        self,
        status: &ApplicationStatus,
        memory: &mut Memory,
    ) -> Result<Undone, ReconcileError> {
        let name = &self.application.spec.name;
        self.deploy.cluster.keep(&self.planned).await.map_err(|source| of(self.deploy, source))?;
        let undone = self.planned.undone.clone();
        let mut facts = vec![self.found_settled(memory)];
        if let Some(intent) = self.application.intent() {
            let mut sync = self.begun(intent.cause);
            sync.changes = self.planned.changes.iter().filter(|one| one.action != Action::Unchanged).cloned().collect();
            let message = match undone.message() {
                message if undone.open.is_empty() && message.is_empty() => "everything is as git says".to_owned(),
                message => message,
            };
            facts.extend(ended(sync, Phase::Succeeded, format!("nothing to do: {message}")));
            facts.push(Fact::Intent { application: name.clone(), intent: None });
        }
        if status.revision.as_ref() != Some(self.revision) || status.known().sync == SyncStatus::Unknown {
            facts.push(self.deployed());
        }
        facts.push(self.finished(&undone));
        self.context.journal.record(facts).await?;
        Ok(undone)
    }

    /// Something differs and is left so on purpose. What does not differ is remembered: it is not asked for again.
    /// Drift that is left is an event of its own, since no sync will tell of it.
    pub(super) async fn hold(
        self,
        message: String,
        drift: Option<Drift>,
        memory: &mut Memory,
    ) -> Result<(), ReconcileError> {
        let differing = self
            .planned
            .changes
            .iter()
            .filter(|change| matches!(change.action, Action::Create | Action::Configure | Action::Prune))
            .count();
        let mut facts =
            vec![self.found_settled(memory), self.compared(SyncStatus::OutOfSync, message, differing as u32)];
        facts.extend(drift.map(|Drift { resource, manager }| {
            let event = Event::DriftFound { resources: vec![resource.clone()] };
            Fact::happened(&self.application.spec.name, &Cause::Drift { resource, manager }, event)
        }));
        Ok(self.context.journal.record(facts).await?)
    }

    /// The plan becomes so.
    pub(super) async fn execute(
        self,
        cause: Cause,
        asked: bool,
        memory: &mut Memory,
    ) -> Result<Undone, ReconcileError> {
        let name = self.application.spec.name.clone();
        let journal = &self.context.journal;
        let mut sync = self.begun(cause);
        sync.message = summarise(self.planned.changes.iter().map(|change| change.action));
        let event = Event::SyncStarted { sync: sync.id, revision: self.revision.clone() };
        journal.record(vec![Fact::Sync(Box::new(sync.clone())), Fact::happened(&name, &sync.cause, event)]).await?;

        let told = Mutex::new(None::<Instant>);
        let tell = |progress: crate::cluster::Progress<'_>| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
                return;
            }
            *told = Some(Instant::now());
            let text = format!("applied {} of {}: {}", progress.done, progress.total, progress.last.short());
            journal.mention(Fact::patch(&name, Patch::Activity(Some(text))));
        };
        let mut facts = Vec::new();
        let mut undone = Undone::default();
        let result = match self.deploy.cluster.execute(self.planned.clone(), &tell).await {
            Ok(executed) => {
                // The end is told after the health of what was written: who waits for both must not see the old one.
                let _ = tokio::time::timeout(ASSESSED_WITHIN, self.deploy.cluster.changes_read()).await;
                facts.push(self.applied(new_against(&executed.memory, memory), executed.forgotten.clone()));
                let result = self.outcome(&executed);
                memory.extend(executed.memory);
                for resource in &executed.forgotten {
                    memory.remove(resource);
                }
                sync.changes = executed.changes;
                undone = executed.undone;
                result
            }
            Err(source) => Err(of(self.deploy, source)),
        };
        facts.extend(match &result {
            Ok(did) => ended(sync, Phase::Succeeded, did.clone()),
            Err(error) => ended(sync, Phase::Failed, chain(error)),
        });
        facts.push(Fact::patch(&name, Patch::Activity(None)));
        if result.is_ok() {
            facts.push(self.deployed());
            facts.push(self.finished(&undone));
        }
        // A person's request is done also where it failed: the person is told. Only what a crash cut off is owed.
        if asked {
            facts.push(Fact::Intent { application: name.clone(), intent: None });
            self.application.intent_done(self.application.intent().as_ref());
        }
        journal.record(facts).await?;
        result.map(|_| undone)
    }

    /// What was done, in a line; or which objects failed after it.
    fn outcome(&self, executed: &Executed) -> Result<String, ReconcileError> {
        let did = summarise(executed.changes.iter().map(|change| change.action));
        let Some(first) = executed.failed.first() else {
            let unchanged = self.planned.changes.iter().filter(|change| change.action == Action::Unchanged).count();
            let undone = Undone { kept: Vec::new(), ..executed.undone.clone() }.message();
            let undone = if undone.is_empty() { undone } else { format!("; {undone}") };
            return Ok(format!("{did}, {unchanged} unchanged{undone}"));
        };
        let more = match executed.failed.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Err(ReconcileError::Partly(format!("{first}{more}; done before it: {did}")))
    }

    fn begun(&self, cause: Cause) -> SyncRecord {
        let sync = begun(self.context, self.application, self.revision.clone(), cause);
        SyncRecord { images: self.images(), ..sync }
    }

    /// What needs nothing done is remembered; only what is news goes into the history.
    fn found_settled(&self, memory: &mut Memory) -> Fact {
        let fact = self.applied(new_against(&self.planned.settled, memory), Vec::new());
        memory.extend(self.planned.settled.iter().cloned());
        fact
    }

    fn images(&self) -> Vec<String> {
        crate::render::images::images(&self.rendered.manifests)
    }

    fn deployed(&self) -> Fact {
        let patch = Patch::Deployed { revision: self.revision.clone(), images: self.images() };
        Fact::patch(&self.application.spec.name, patch)
    }

    /// Everything was done that can be: the application is as git says, but for what left git and is not gone.
    fn finished(&self, undone: &Undone) -> Fact {
        let sync = if undone.open.is_empty() { SyncStatus::Synced } else { SyncStatus::OutOfSync };
        self.compared(sync, undone.message(), undone.open.len() as u32)
    }

    fn compared(&self, sync: SyncStatus, message: String, drifted: u32) -> Fact {
        let resources = Some(self.rendered.manifests.len() as u32);
        Fact::patch(&self.application.spec.name, Patch::Compared { sync, message, drifted, resources })
    }

    fn applied(&self, applied: Vec<(ResourceRef, Applied)>, gone: Vec<ResourceRef>) -> Fact {
        Fact::Applied { application: self.application.spec.name.clone(), applied, gone }
    }
}

/// A sync that begins now.
fn begun(context: &Context, application: &Application, revision: Revision, cause: Cause) -> SyncRecord {
    SyncRecord {
        id: context.journal.next_sync(),
        application: application.spec.name.clone(),
        revision,
        cause,
        phase: Phase::Running,
        started: Timestamp::now(),
        finished: None,
        message: String::new(),
        images: Vec::new(),
        changes: Vec::new(),
    }
}

/// The end of a sync, for the history and for the application's line.
fn ended(sync: SyncRecord, phase: Phase, message: String) -> [Fact; 3] {
    let now = Timestamp::now();
    let what = match sync.cause {
        Cause::Drift { .. } => "drift",
        _ if sync.revision.reference == Revision::PIN => "rollback",
        _ => "sync",
    };
    let event = Event::SyncFinished { sync: sync.id, phase, message: message.clone() };
    [
        Fact::happened(&sync.application, &sync.cause, event),
        Fact::last(&sync.application, what, phase, now),
        Fact::Sync(Box::new(SyncRecord { phase, finished: Some(now), message, ..sync })),
    ]
}

/// What of this is not in memory so: only that is written to history.
fn new_against(found: &[(ResourceRef, Applied)], memory: &Memory) -> Vec<(ResourceRef, Applied)> {
    found.iter().filter(|(resource, applied)| memory.get(resource) != Some(applied)).cloned().collect()
}

/// Says that another agent operates the application, or did until now.
pub(super) async fn tell_other_agent(
    context: &Context,
    name: &ApplicationName,
    other: Option<OtherAgent>,
) -> Result<(), NotKept> {
    let Some(OtherAgent { host, last, taken_over }) = other else { return Ok(()) };
    tracing::warn!(application = %name, host, taken_over, "another agent operates this application");
    let event = Event::OperatedElsewhere { host, last, taken_over };
    context.journal.record(vec![Fact::happened(name, &Cause::Agent, event)]).await
}

/// Says why an application is not as git says. The sync that failed is in the history once, not once a try.
pub(super) async fn tell_failure(context: &Context, application: &Application, error: &ReconcileError) {
    let name = &application.spec.name;
    let message = match error.hint() {
        "" => chain(error),
        hint => format!("{}. {hint}", chain(error).trim_end_matches('.')),
    };
    let status = context.journal.snapshot().application(name);
    let known = status.as_ref().is_some_and(|status| status.message == message);
    if !known {
        tracing::warn!(application = %name, error = %message, "not synced");
    }
    let sync = match error {
        ReconcileError::Partly(_) | ReconcileError::Cluster { source: ClusterError::Refused { .. }, .. } => {
            SyncStatus::OutOfSync
        }
        _ => SyncStatus::Unknown,
    };
    let mut facts = vec![
        Fact::patch(
            name,
            Patch::Compared {
                sync,
                message: message.clone(),
                drifted: status.as_ref().map_or(0, |status| status.drifted),
                resources: None,
            },
        ),
        Fact::patch(name, Patch::Activity(None)),
    ];
    // A person who asked and was refused before anything ran gets the answer as a sync that failed; so does, once, a
    // revision that cannot be brought.
    let intent = application.intent();
    let target = status.and_then(|status| status.target);
    if let Some(revision) =
        target.filter(|_| !matches!(error, ReconcileError::Partly(_)) && (intent.is_some() || !known))
    {
        let cause =
            intent.as_ref().map_or_else(|| Cause::Commit { revision: revision.clone() }, |intent| intent.cause.clone());
        facts.extend(ended(begun(context, application, revision, cause), Phase::Failed, message));
    }
    if intent.is_some() {
        facts.push(Fact::Intent { application: name.clone(), intent: None });
    }
    // Where not even this can be kept the log says it, and the pass is tried again.
    if let Err(error) = context.journal.record(facts).await {
        tracing::error!(application = %name, error = %chain(&error), "cannot keep why the application is not synced");
    }
    application.intent_done(intent.as_ref());
}
