//! A decided plan becomes so, is left on purpose, or is told why it cannot: and the history says which.

use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::change::{Action, Change, summarise};
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::ApplicationStatus;
use quarterdeck_shared::status::{Phase, SyncStatus};

use super::{ReconcileError, of};
use crate::cluster::{ClusterError, PlannedSync};
use crate::context::{Application, Context, Deploy};
use crate::journal::chain;
use crate::journal::fact::{Fact, Patch};
use crate::render::Rendered;
use crate::sync::plan::{Memory, Remembered as Applied};

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
    ) -> Result<(), ReconcileError> {
        let name = &self.application.spec.name;
        let mut facts = vec![self.applied(new_against(&self.planned.settled, memory), Vec::new())];
        memory.extend(self.planned.settled.iter().cloned());
        if let Some(intent) = self.application.intent() {
            facts.extend(self.record(
                Phase::Succeeded,
                intent.cause,
                Timestamp::now(),
                self.planned.changes.clone(),
                "nothing to do: everything is as git says".to_owned(),
            ));
            facts.push(Fact::Intent { application: name.clone(), intent: None });
        }
        if status.revision.as_ref() != Some(self.revision) || status.sync != SyncStatus::Synced {
            facts.push(self.deployed());
        }
        facts.push(self.compared(SyncStatus::Synced, String::new(), 0));
        Ok(self.context.journal.record(facts).await?)
    }

    /// Something differs and is left so on purpose.
    pub(super) async fn hold(self, message: String) -> Result<(), ReconcileError> {
        let differing = self
            .planned
            .changes
            .iter()
            .filter(|change| matches!(change.action, Action::Create | Action::Configure | Action::Prune))
            .count();
        Ok(self.context.journal.record(vec![self.compared(SyncStatus::OutOfSync, message, differing as u32)]).await?)
    }

    /// The plan becomes so.
    pub(super) async fn execute(self, cause: Cause, asked: bool, memory: &mut Memory) -> Result<(), ReconcileError> {
        let name = self.application.spec.name.clone();
        let journal = &self.context.journal;
        let started = Timestamp::now();
        let running = SyncRecord {
            id: journal.next_sync(),
            application: name.clone(),
            revision: self.revision.clone(),
            cause: cause.clone(),
            phase: Phase::Running,
            started,
            finished: None,
            message: summarise(self.planned.changes.iter().map(|change| change.action)),
            images: crate::render::images::images(&self.rendered.manifests),
            changes: Vec::new(),
        };
        let event = Event::SyncStarted { sync: running.id, revision: self.revision.clone() };
        journal.record(vec![Fact::Sync(Box::new(running.clone())), Fact::happened(&name, &cause, event)]).await?;

        let tell = |progress: crate::cluster::Progress<'_>| {
            let text = format!("applied {} of {}: {}", progress.done, progress.total, progress.last.short());
            journal.mention(Fact::patch(&name, Patch::Activity(Some(text))));
        };
        let executed = self.deploy.cluster.execute(self.planned.clone(), &tell).await;

        let now = Timestamp::now();
        let (phase, message, facts, error) = match executed {
            Ok(executed) => {
                let facts = vec![self.applied(new_against(&executed.memory, memory), executed.forgotten.clone())];
                memory.extend(executed.memory);
                for resource in &executed.forgotten {
                    memory.remove(resource);
                }
                let did = summarise(executed.changes.iter().map(|change| change.action));
                let unchanged = self.planned.changes.iter().filter(|change| change.action == Action::Unchanged).count();
                match executed.failed.first() {
                    None => {
                        (Phase::Succeeded, format!("{did}, {unchanged} unchanged"), (facts, executed.changes), None)
                    }
                    Some(first) => {
                        let more = if executed.failed.len() > 1 {
                            format!("; and {} more", executed.failed.len() - 1)
                        } else {
                            String::new()
                        };
                        let message = format!("{first}{more}; done before it: {did}");
                        (
                            Phase::Failed,
                            message.clone(),
                            (facts, executed.changes),
                            Some(ReconcileError::Partly(message)),
                        )
                    }
                }
            }
            Err(source) => {
                let error = of(self.deploy, source);
                (Phase::Failed, chain(&error), (Vec::new(), Vec::new()), Some(error))
            }
        };
        let (mut facts, changes) = facts;
        let sync = SyncRecord { phase, finished: Some(now), message: message.clone(), changes, ..running };
        let what = match cause {
            Cause::Drift { .. } => "drift",
            _ if self.revision.reference == Revision::PIN => "rollback",
            _ => "sync",
        };
        facts.push(Fact::happened(&name, &cause, Event::SyncFinished { sync: sync.id, phase, message }));
        facts.push(Fact::Sync(Box::new(sync)));
        facts.push(Fact::last(&name, what, phase, now));
        facts.push(Fact::patch(&name, Patch::Activity(None)));
        if error.is_none() {
            facts.push(self.deployed());
            facts.push(self.compared(SyncStatus::Synced, String::new(), 0));
        }
        // A person's request is done also where it failed: the person is told. Only what a crash cut off is owed.
        if asked {
            facts.push(Fact::Intent { application: name.clone(), intent: None });
            self.application.intent_done(self.application.intent().as_ref());
        }
        journal.record(facts).await?;
        error.map_or(Ok(()), Err)
    }

    fn record(&self, phase: Phase, cause: Cause, now: Timestamp, changes: Vec<Change>, message: String) -> Vec<Fact> {
        let name = &self.application.spec.name;
        let sync = SyncRecord {
            id: self.context.journal.next_sync(),
            application: name.clone(),
            revision: self.revision.clone(),
            cause: cause.clone(),
            phase,
            started: now,
            finished: Some(now),
            message: message.clone(),
            images: crate::render::images::images(&self.rendered.manifests),
            changes: changes.into_iter().filter(|change| change.action != Action::Unchanged).collect(),
        };
        vec![
            Fact::happened(name, &cause, Event::SyncFinished { sync: sync.id, phase, message }),
            Fact::Sync(Box::new(sync)),
            Fact::last(name, "sync", phase, now),
        ]
    }

    fn deployed(&self) -> Fact {
        let patch = Patch::Deployed {
            revision: self.revision.clone(),
            images: crate::render::images::images(&self.rendered.manifests),
        };
        Fact::patch(&self.application.spec.name, patch)
    }

    fn compared(&self, sync: SyncStatus, message: String, drifted: u32) -> Fact {
        let resources = Some(self.rendered.manifests.len() as u32);
        Fact::patch(&self.application.spec.name, Patch::Compared { sync, message, drifted, resources })
    }

    fn applied(&self, applied: Vec<(ResourceRef, Applied)>, gone: Vec<ResourceRef>) -> Fact {
        Fact::Applied { application: self.application.spec.name.clone(), applied, gone }
    }
}

/// What of this is not in memory so: only that is written to history.
fn new_against(found: &[(ResourceRef, Applied)], memory: &Memory) -> Vec<(ResourceRef, Applied)> {
    found.iter().filter(|(resource, applied)| memory.get(resource) != Some(applied)).cloned().collect()
}

/// Says why an application is not as git says. The sync that failed is in the history once, not once a try.
pub(super) async fn tell_failure(context: &Context, application: &Application, error: &ReconcileError) {
    let name = &application.spec.name;
    let message = chain(error);
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
        let now = Timestamp::now();
        let cause =
            intent.as_ref().map_or_else(|| Cause::Commit { revision: revision.clone() }, |intent| intent.cause.clone());
        let sync = SyncRecord {
            id: context.journal.next_sync(),
            application: name.clone(),
            revision,
            cause: cause.clone(),
            phase: Phase::Failed,
            started: now,
            finished: Some(now),
            message: message.clone(),
            images: Vec::new(),
            changes: Vec::new(),
        };
        facts.push(Fact::happened(name, &cause, Event::SyncFinished { sync: sync.id, phase: Phase::Failed, message }));
        facts.push(Fact::Sync(Box::new(sync)));
        facts.push(Fact::last(name, "sync", Phase::Failed, now));
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
