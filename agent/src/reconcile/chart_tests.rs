//! The tests of a chart, which run when a person asks: those of what is deployed, and nothing of the environment changes by them.
//!
//! The worker of the environment runs them, so that no sync changes what they test meanwhile. What was asked for is in the status
//! of the environment until it ends: an agent that is restarted in the middle goes on with it, and a test that runs already is
//! only waited for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_core::hooks::{self, NoTests, Run};
use quarterdeck_core::render::Rendered;
use quarterdeck_kubernetes::{Far, HookEnded, Ran};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::ChartTest;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{ChartTests, EnvironmentStatus, Progress};
use quarterdeck_shared::status::Phase;
use tokio::sync::watch;

use super::progress::telling;
use super::stop::{self, Stop};
use super::{ReconcileError, render, reuse};
use crate::context::{Context, Environment};
use crate::journal::fact::{Fact, Patch};
use crate::worker::Requeue;

/// Names in a message.
const NAMED_MAX: usize = 10;

/// Does what a person asked for, and says what became of it.
pub(super) async fn run(
    context: &Arc<Context>,
    environment: &Environment,
    status: &EnvironmentStatus,
    asked: ChartTests,
) -> Result<Requeue, ReconcileError> {
    let name = &environment.id;
    let stopped = || stop::asked(context, environment, status).or_else(|| suspended(status));
    let runs = match to_run(context, environment, &asked).await {
        Ok(runs) => runs,
        Err(why) => {
            tracing::warn!(environment = %name, error = %why.message, hint = %why.hint, "no test was run");
            return end(context, environment, asked, Phase::Failed, why).await;
        }
    };
    let begun = ChartTests { phase: Phase::Running, ..asked };
    let testing = |Far { done, total, hook, .. }| Progress::Testing {
        done: done as u32,
        of: total as u32,
        hook: hook.map(Box::new),
    };
    let first = testing(Far { done: 0, total: runs.len(), waiting: Vec::new(), hook: None });
    let (news, progress) = watch::channel(first.clone());
    let patches = [Patch::Tests(Box::new(begun.clone())), Patch::Progress(Some(first))];
    context.journal.record(patches.map(|patch| Fact::patch(name, patch)).into()).await?;

    let tell = |far: Far| drop(news.send_replace(testing(far)));
    let is_stopped = || stopped().is_some();
    let running = environment.cluster.run_alone(name, &environment.spec.namespace, &runs, &tell, &is_stopped);
    let ran = telling(&context.journal, name, progress, running).await;
    let is_cut = ran.len() < runs.len() && ran.last().is_none_or(|last| last.ended == HookEnded::Succeeded);
    let is_stopped = is_cut || ran.iter().any(|ran| ran.ended == HookEnded::Stopped);
    match stopped().filter(|_| is_stopped) {
        // What runs goes on in the cluster, and the next worker waits for it.
        Some(Stop::Agent | Stop::Configuration) => {
            context.journal.record(vec![Fact::patch(name, Patch::Progress(None))]).await?;
            Ok(Requeue::Idle)
        }
        why => {
            let (phase, told) = verdict(&runs, &ran, why.filter(|_| is_stopped));
            environment.tested(begun.at, results(&runs, ran));
            end(context, environment, begun, phase, told).await
        }
    }
}

/// A person may have suspended the environment since the tests were asked for.
fn suspended(status: &EnvironmentStatus) -> Option<Stop> {
    let who = status.suspension.as_ref().map(|hold| hold.cause.describe());
    status.suspended.then_some(Stop::Person(who))
}

/// The tests that are meant, of the manifests of what is deployed.
async fn to_run(context: &Arc<Context>, environment: &Environment, asked: &ChartTests) -> Result<Vec<Run>, Failure> {
    let rendered = deployed(context, environment, &asked.revision).await.map_err(|error| Failure::of(&error))?;
    let (name, id) = (environment.id.to_string(), asked.at.as_nanosecond().to_string());
    let timeout = asked.timeout_seconds.map(Duration::from_secs);
    let tests = hooks::tests(&rendered.on_demand, &name, &id, timeout);
    hooks::chosen(tests, &asked.only).map_err(|none| match none {
        NoTests::None => Failure {
            message: format!("{name} has no tests at {}", asked.revision.short()),
            hint: "a test is an object of a chart with the annotation helm.sh/hook: test".to_owned(),
        },
        NoTests::Named { missing, names } => {
            let more = names.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
            Failure { message: format!("{name} has no test named {missing}"), hint: format!("choose of {names}{more}") }
        }
    })
}

/// The manifests of what is deployed: as the last sync applied them, where that is what is deployed and is kept; else rendered again.
pub(super) async fn deployed(
    context: &Arc<Context>,
    environment: &Environment,
    revision: &Revision,
) -> Result<Rendered, ReconcileError> {
    let (name, id) = (&environment.id, environment.id.clone());
    let release = context.journal.ask(move |history| history.releases(&id, 1)).await?.pop();
    let kept = match &release {
        Some(sync) => {
            let before = context.wanted.last_rendered(name).0.and_then(|rendered| rendered.confidential);
            reuse::applied(context, name, &sync.revision, &sync.content, before).await
        }
        None => None,
    };
    let is_it = release.is_some_and(|sync| sync.revision.is_same_content(revision));
    // A render that was kept by an agent that knew nothing of tests has none.
    match kept {
        Some(kept) if is_it && !kept.on_demand.is_empty() => Ok(kept),
        kept => match (render(context, environment, revision).await, kept) {
            (Err(_), Some(kept)) => Ok(kept),
            (rendered, _) => rendered,
        },
    }
}

/// How all of them ended, in a line.
fn verdict(runs: &[Run], ran: &[Ran], stop: Option<Stop>) -> (Phase, Failure) {
    let passed = ran.iter().filter(|ran| ran.ended == HookEnded::Succeeded).count();
    let of = runs.len();
    if let Some(failed) = ran.iter().find(|ran| ran.ended == HookEnded::Failed) {
        let (object, message) = (failed.resource.short(), &failed.message);
        let rest = match of - ran.len() {
            0 => String::new(),
            rest => format!(", {rest} not run"),
        };
        let message = format!("test {object} {message}; {passed} passed{rest}");
        return (Phase::Failed, Failure { message, hint: failed.hint.clone() });
    }
    match stop {
        Some(stop) => (Phase::Cancelled, Failure::text(stop.describe(passed, of))),
        None => (Phase::Succeeded, Failure::text(format!("{passed} passed"))),
    }
}

/// What is told of each: those that were not begun are skipped.
fn results(runs: &[Run], ran: Vec<Ran>) -> Vec<ChartTest> {
    let begun = ran.len();
    let told = ran.into_iter().map(|Ran { resource, weight, ended, message, hint, took, log }| {
        let phase = match ended {
            HookEnded::Succeeded => Phase::Succeeded,
            HookEnded::Failed => Phase::Failed,
            HookEnded::Stopped => Phase::Cancelled,
        };
        ChartTest { resource, weight, phase, seconds: took.as_secs_f64(), message, hint, log }
    });
    let rest = runs[begun..].iter().map(|run| ChartTest {
        resource: run.resource().clone(),
        weight: run.moment.weight,
        phase: Phase::Skipped,
        seconds: 0.0,
        message: String::new(),
        hint: String::new(),
        log: Vec::new(),
    });
    told.chain(rest).collect()
}

async fn end(
    context: &Arc<Context>,
    environment: &Environment,
    tests: ChartTests,
    phase: Phase,
    Failure { message, hint }: Failure,
) -> Result<Requeue, ReconcileError> {
    let (name, now) = (&environment.id, Timestamp::now());
    let (revision, cause) = (tests.revision.clone(), tests.cause.clone());
    let event = Event::Tested { revision, phase, message: message.clone(), hint: hint.clone() };
    let tests = ChartTests { phase, finished: Some(now), message, hint, ..tests };
    let facts = vec![
        Fact::happened(name, &cause, event),
        Fact::last(name, "test", phase, now),
        Fact::patch(name, Patch::Tests(Box::new(tests))),
        Fact::patch(name, Patch::Progress(None)),
    ];
    context.journal.record(facts).await?;
    Ok(Requeue::Now)
}
