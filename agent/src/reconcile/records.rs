//! The records of syncs, and why an environment is not as git says.

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::status::{Phase, SyncStatus};

use super::ReconcileError;
use crate::context::{Context, Environment};
use crate::journal::NotKept;
use crate::journal::fact::{Fact, Patch};
use quarterdeck_kubernetes::{ClusterError, OtherAgent};
use quarterdeck_shared::error::{Failure, chain};

/// A sync that begins now.
pub(super) fn begun(context: &Context, environment: &Environment, revision: Revision, cause: Cause) -> SyncRecord {
    SyncRecord {
        id: context.journal.next_sync(),
        environment: environment.id.clone(),
        revision,
        part: None,
        content: String::new(),
        cause,
        phase: Phase::Running,
        started: Timestamp::now(),
        finished: None,
        message: String::new(),
        hint: String::new(),
        images: Vec::new(),
        changes: Vec::new(),
    }
}

/// The end of a sync, for the history and for the environment's line.
pub(super) fn ended(sync: SyncRecord, phase: Phase, told: impl Into<Failure>) -> [Fact; 3] {
    let Failure { message, hint } = told.into();
    let now = Timestamp::now();
    let what = match sync.cause {
        Cause::Drift { .. } => "drift",
        _ if sync.revision.reference == Revision::PIN => "rollback",
        _ => "sync",
    };
    let event = Event::SyncFinished { sync: sync.id, phase, message: message.clone() };
    [
        Fact::happened(&sync.environment, &sync.cause, event),
        Fact::last(&sync.environment, what, phase, now),
        Fact::Sync(Box::new(SyncRecord { phase, finished: Some(now), message, hint, ..sync })),
    ]
}

/// Says why an environment is not as git says. The sync that failed is in the history once, not once a try.
pub(super) async fn tell_failure(context: &Context, environment: &Environment, error: &ReconcileError) {
    let name = &environment.id;
    let why = Failure::of(error);
    let status = context.journal.snapshot().environment(name);
    let known = status.as_ref().is_some_and(|status| status.message == why.message);
    if !known {
        tracing::warn!(error = %why.message, hint = %why.hint, "not synced");
    }
    let sync = match error {
        // What a person named is not there: that says nothing of the rest.
        ReconcileError::NoSuch(_) => status.as_ref().map_or(SyncStatus::Unknown, |status| status.known().sync),
        ReconcileError::Partly { .. } | ReconcileError::Cluster { source: ClusterError::Refused { .. }, .. } => {
            SyncStatus::OutOfSync
        }
        _ => SyncStatus::Unknown,
    };
    let mut facts = vec![
        Fact::patch(
            name,
            Patch::Compared {
                sync,
                why: why.clone(),
                drifted: status.as_ref().map_or(0, |status| status.drifted),
                resources: None,
            },
        ),
        Fact::patch(name, Patch::Progress(None)),
    ];
    // A person who asked and was refused before anything ran gets the answer as a sync that failed; so does, once, a
    // revision that cannot be brought.
    let intent = environment.intent();
    let target = status.and_then(|status| status.target);
    if let Some(revision) =
        target.filter(|_| !matches!(error, ReconcileError::Partly { .. }) && (intent.is_some() || !known))
    {
        let cause =
            intent.as_ref().map_or_else(|| Cause::Commit { revision: revision.clone() }, |intent| intent.cause.clone());
        facts.extend(ended(begun(context, environment, revision, cause), Phase::Failed, why));
    }
    if let Some(intent) = intent.clone() {
        facts.push(Fact::IntentDone { environment: name.clone(), intent });
    }
    // Where not even this can be kept the log says it, and the pass is tried again.
    if let Err(error) = context.journal.record(facts).await {
        tracing::error!(error = %chain(&error), "cannot keep why the environment is not synced");
    }
    environment.intent_done(intent.as_ref());
}

/// Says that another agent operates the environment, or did until now.
pub(super) async fn tell_other_agent(
    context: &Context,
    name: &EnvironmentId,
    other: Option<OtherAgent>,
) -> Result<(), NotKept> {
    let Some(OtherAgent { host, last, taken_over }) = other else { return Ok(()) };
    tracing::warn!(host, taken_over, "another agent operates this environment");
    let event = Event::OperatedElsewhere { host, last, taken_over };
    context.journal.record(vec![Fact::happened(name, &Cause::Agent, event)]).await
}
