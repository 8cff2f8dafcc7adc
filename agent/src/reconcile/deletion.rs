//! All objects of an environment are deleted, since a person wants that: the hooks of its chart for a deletion, its objects in the
//! order in which what needs another goes before it, and the hooks after that.
//!
//! The environment is suspended before, so that nothing brings them back but a person who resumes it. What was asked for is in its
//! status until it ends: an agent that is restarted in the middle goes on with it.

use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_core::hooks::{Event as HookEvent, Hook, Wanted};
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_kubernetes::{ClusterError, Executed, Far, Options, PlannedSync};
use quarterdeck_shared::change::{self, Plan};
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::DeletionAnswer;
use quarterdeck_shared::snapshot::{Deletion, EnvironmentStatus, Progress};
use quarterdeck_shared::status::Phase;
use tokio::sync::watch;

use super::neighbours::{self, Place};
use super::progress::telling;
use super::stop::Stop;
use super::{ReconcileError, chart_tests, cluster_error, options, queries};
use crate::context::{Context, Environment};
use crate::journal::fact::{Fact, Patch};
use crate::worker::Requeue;

/// What a deletion would do. Writes nothing.
pub async fn plan(context: &Arc<Context>, environment: &Environment) -> Result<DeletionAnswer, ReconcileError> {
    let name = &environment.id;
    let status = queries::status(context, environment)?;
    let asked = name.clone();
    let memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let (hooks, no_hooks) = match hooks(context, environment, &status).await {
        Ok(hooks) => (hooks, String::new()),
        Err(error) => (Vec::new(), chain(&error)),
    };
    let planned = planned(context, environment, &memory, hooks, Timestamp::UNIX_EPOCH).await?;
    let revision = status.revision.or(status.target);
    let revision = revision.ok_or_else(|| ReconcileError::NoSuch(format!("{name} is not deployed")))?;
    let plan = Plan { revision, steps: planned.shown_steps(), changes: planned.changes };
    Ok(DeletionAnswer { environment: name.clone(), plan, no_hooks })
}

/// Does what a person asked for, and says what became of it.
pub(super) async fn run(
    context: &Arc<Context>,
    environment: &Environment,
    status: &EnvironmentStatus,
    memory: &mut Memory,
    asked: Deletion,
) -> Result<Requeue, ReconcileError> {
    let name = &environment.id;
    let hooks = match asked.skip_hooks {
        true => Ok(Vec::new()),
        false => hooks(context, environment, status).await,
    };
    let planned = match hooks {
        Ok(hooks) => planned(context, environment, memory, hooks, asked.at).await,
        Err(error) => {
            let message = format!("nothing was deleted: the hooks of its chart are not known: {}", chain(&error));
            let hint = format!("delete it without them: qd delete {name} --no-hooks");
            return end(context, environment, asked, Err(Failure { message, hint })).await;
        }
    };
    let planned = match planned {
        Ok(planned) => planned,
        Err(error) => return end(context, environment, asked, Err(Failure::of(&error))).await,
    };
    let begun = Deletion { phase: Phase::Running, ..asked };
    let (news, progress) = watch::channel(Progress::Deleting { done: 0, of: planned.size() as u32, hook: None });
    let patches = [Patch::Deletion(Box::new(begun.clone())), Patch::Progress(Some(progress.borrow().clone()))];
    context.journal.record(patches.map(|patch| Fact::patch(name, patch)).into()).await?;
    let tell = |Far { done, total, hook, .. }: Far| {
        let (done, of) = (done as u32, total as u32);
        drop(news.send_replace(Progress::Deleting { done, of, hook: hook.map(Box::new) }));
    };
    let stop = || stopped(context, environment);
    let is_stopped = || stop().is_some();
    let executing = environment.cluster.execute_until(planned, &tell, &is_stopped);
    let executed = match telling(&context.journal, name, progress, executing).await {
        Ok(executed) => executed,
        Err(source) => {
            let error = cluster_error(environment, source);
            return end(context, environment, begun, Err(Failure::of(&error))).await;
        }
    };
    let gone = executed.forgotten.clone();
    for resource in &gone {
        memory.remove(resource);
    }
    let applied = Fact::Applied { environment: name.clone(), applied: Vec::new(), gone };
    context.journal.record(vec![applied, Fact::patch(name, Patch::Progress(None))]).await?;
    match stop().filter(|_| executed.stopped) {
        Some(Stop::Agent | Stop::Configuration) => Ok(Requeue::Idle),
        Some(Stop::Person(_)) => {
            let message = format!("stopped: the environment was resumed; done before it: {}", did(&executed));
            end(context, environment, begun, Err(Failure::text(message))).await
        }
        None => {
            let outcome = outcome(&executed);
            end(context, environment, begun, outcome).await
        }
    }
}

/// The agent or the environment ends, or a person resumed the environment.
fn stopped(context: &Context, environment: &Environment) -> Option<Stop> {
    if context.stop.is_cancelled() {
        return Some(Stop::Agent);
    }
    if environment.stop.is_cancelled() {
        return Some(Stop::Configuration);
    }
    let now = context.journal.snapshot().environment(&environment.id)?;
    (!now.suspended).then_some(Stop::Person(None))
}

/// The hooks of what is deployed that run with a deletion; none where nothing is deployed.
async fn hooks(
    context: &Arc<Context>,
    environment: &Environment,
    status: &EnvironmentStatus,
) -> Result<Vec<Hook>, ReconcileError> {
    let Some(revision) = &status.revision else { return Ok(Vec::new()) };
    let rendered = chart_tests::deployed(context, environment, revision).await?;
    let is_of_deletion = |hook: &Hook| hook.moments.iter().any(|moment| moment.event == HookEvent::Delete);
    Ok(rendered.on_demand.into_iter().filter(is_of_deletion).collect())
}

async fn planned(
    context: &Arc<Context>,
    environment: &Environment,
    memory: &Memory,
    hooks: Vec<Hook>,
    at: Timestamp,
) -> Result<PlannedSync, ReconcileError> {
    let id = at.as_nanosecond().to_string();
    let wanted = Wanted { hooks, content: format!("deletion {id}"), rollback: false, deletion: Some(id) };
    let options = Options {
        create_namespace: false,
        prune: true,
        wipes: true,
        fresh: true,
        hooks: Some(Arc::new(wanted)),
        neighbours: Some(Arc::new(neighbours::all(context, &Place::of(environment)).await)),
        ..options(environment, None)
    };
    let planned = environment.cluster.plan(&environment.id, &[], memory, &options).await;
    planned.map_err(|source: ClusterError| cluster_error(environment, source))
}

/// `12 deleted, 2 hooks done`.
fn did(executed: &Executed) -> String {
    let deleted = executed.forgotten.len();
    let hooks = match executed.hooks {
        0 => String::new(),
        1 => ", 1 hook done".to_owned(),
        hooks => format!(", {hooks} hooks done"),
    };
    format!("{deleted} deleted{hooks}")
}

/// What was done, with what stays; else what failed.
fn outcome(executed: &Executed) -> Result<(u32, String), Failure> {
    let did = did(executed);
    if let Some(first) = executed.failed.first() {
        let more = match executed.failed.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let message = format!("{first}{more}; done before it: {did}");
        return Err(Failure { message, hint: first.hint.clone() });
    }
    if executed.undone.differing() > 0 {
        let message = format!("{}; {did}", executed.undone.message());
        return Err(Failure { message, hint: executed.undone.hint().to_owned() });
    }
    let kept = executed.changes.iter().filter(|change| change.action == change::Action::Skip).filter_map(|change| {
        let reason = change.reason.as_ref().filter(|reason| !reason.contains("gone already"))?;
        Some(format!("{} stays: {reason}", change.resource.short()))
    });
    let kept: Vec<String> = kept.take(KEPT_MAX).collect();
    let message = [did].into_iter().chain(kept).collect::<Vec<_>>().join("; ");
    Ok((executed.forgotten.len() as u32, message))
}

/// Objects that stay, in a message.
const KEPT_MAX: usize = 3;

async fn end(
    context: &Arc<Context>,
    environment: &Environment,
    deletion: Deletion,
    outcome: Result<(u32, String), Failure>,
) -> Result<Requeue, ReconcileError> {
    let (name, now) = (&environment.id, Timestamp::now());
    let mut facts = vec![Fact::patch(name, Patch::Progress(None))];
    let (phase, event, Failure { message, hint }) = match outcome {
        Ok((objects, message)) => {
            facts.push(Fact::patch(name, Patch::Undeployed));
            let event = Event::ObjectsDeleted { objects, message: message.clone() };
            (Phase::Succeeded, event, Failure::text(message))
        }
        Err(why) => {
            tracing::warn!(environment = %name, error = %why.message, hint = %why.hint, "not all objects were deleted");
            let Failure { message, hint } = why.clone();
            (Phase::Failed, Event::DeletionFailed { message, hint }, why)
        }
    };
    let cause = deletion.cause.clone();
    let deletion = Deletion { phase, finished: Some(now), message, hint, ..deletion };
    facts.extend([
        Fact::happened(name, &cause, event),
        Fact::last(name, "delete", phase, now),
        Fact::patch(name, Patch::Deletion(Box::new(deletion))),
    ]);
    context.journal.record(facts).await?;
    Ok(Requeue::Now)
}
