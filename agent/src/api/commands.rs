//! Requests that want something done: the intent is recorded, then the worker is woken, then the answer goes out.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{
    Accepted, DeliverRequest, ReceivedRequest, RollbackRequest, SuspendRequest, SyncRequest,
};
use quarterdeck_shared::snapshot::{EnvironmentStatus, Hold, Permission, Pin, Progress, RunGoal, RunStatus};
use quarterdeck_shared::status::Phase;

use super::Shared;
use super::answer::{Answer, Failure, In, Named, Path, body};
use crate::access::Peer;
use crate::context::{Application, Environment};
use crate::deliver;
use crate::history::{Adoption, Intent};
use crate::journal::fact::{Fact, Patch};
use crate::kept_images;
use crate::reconcile::rollback;
use crate::sources;
use quarterdeck_core::run;
use quarterdeck_shared::error::{Hint, chain};

pub(super) type Taken = (StatusCode, Json<Accepted>);

pub(super) fn taken(message: String) -> Taken {
    (
        StatusCode::ACCEPTED,
        Json(Accepted { message, run: None, revision: None, after_sync: None, tests: None, deletion: None }),
    )
}

pub(super) async fn sync(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
    bytes: Bytes,
) -> Answer<Taken> {
    let request: SyncRequest = body(&bytes)?;
    let name = &environment.id;
    refuse_suspended(&context, name)?;
    let after_sync = context.journal.newest_sync();
    let owed = environment.intent();
    let intent = Intent { request, cause: peer.cause(), at: Timestamp::now(), adoption: None }.with(owed.as_ref());
    context.journal.record(vec![Fact::Intent { environment: name.clone(), intent: intent.clone() }]).await?;
    environment.ask(intent);
    let mut answer = taken(format!("{name} will be synced"));
    answer.1.after_sync = Some(after_sync);
    Ok(answer)
}

/// Nothing is written of an environment that a person suspended.
pub(super) fn refuse_suspended(context: &Shared, name: &EnvironmentId) -> Answer<()> {
    match context.journal.snapshot().environment(name) {
        Some(status) if status.suspended => Err(Failure::conflict(
            format!("environment {name} is suspended"),
            &format!("resume it first: qd resume {name}"),
        )),
        _ => Ok(()),
    }
}

/// The worker of the environment makes what others hold its own, before anything else that is owed to it.
pub(super) async fn adopt(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
) -> Answer<Taken> {
    let name = &environment.id;
    refuse_suspended(&context, name)?;
    let (owed, adoption) = (environment.intent(), Some(Adoption::Alone));
    let intent = Intent { request: SyncRequest::default(), cause: peer.cause(), at: Timestamp::now(), adoption };
    let intent = intent.with(owed.as_ref());
    context.journal.record(vec![Fact::Intent { environment: name.clone(), intent: intent.clone() }]).await?;
    environment.ask(intent);
    let events = format!("qd events {name}");
    Ok(taken(format!("objects of {name} that other controllers hold are adopted; `{events}` shows when that is done")))
}

/// The repositories of an application and its environments are asked now, and their workers look again. Who asks has seen a
/// push of the code end, or wants what is there: its tags are decided as they are, without a second look.
pub(super) async fn refresh(State(context): State<Shared>, Named(application): Named) -> Answer<Taken> {
    application.code.iter().for_each(|code| code.repository.received());
    application.wake_delivery();
    application.following.wake();
    sources::wake(&context, &application.spec.name);
    let ids = application.spec.environments.iter().map(|one| EnvironmentId::new(&application.spec.name, &one.name));
    for environment in ids.filter_map(|id| context.environment(&id)) {
        environment.repositories().for_each(|repository| repository.wake());
        environment.chart.iter().for_each(|chart| chart.wake());
        environment.wake();
    }
    Ok(taken(format!("the repositories of {} are asked now", application.spec.name)))
}

/// A repository of this machine was pushed to: it is asked now, under whatever address applications have it.
pub(super) async fn received(State(context): State<Shared>, bytes: Bytes) -> Answer<Taken> {
    let ReceivedRequest { directory }: ReceivedRequest = body(&bytes)?;
    let shown = directory.display().to_string();
    let repositories = context.repositories.all();
    let find = move || repositories.into_iter().filter(|repository| repository.is_at(&directory)).collect::<Vec<_>>();
    let found = tokio::task::spawn_blocking(find).await.unwrap_or_default();
    if found.is_empty() {
        let hint = "name it in the configuration as the repository of an application";
        return Err(Failure::not_found(format!("no application uses the repository {shown}"), hint));
    }
    found.iter().for_each(|repository| repository.received());
    Ok(taken(format!("{shown} is polled now")))
}

pub(super) async fn build(state: State<Shared>, peer: Extension<Peer>, named: Named, bytes: Bytes) -> Answer<Taken> {
    ask_for_run(state, peer, named, &bytes, RunGoal::Build).await
}

pub(super) async fn push(state: State<Shared>, peer: Extension<Peer>, named: Named, bytes: Bytes) -> Answer<Taken> {
    ask_for_run(state, peer, named, &bytes, RunGoal::Push).await
}

async fn ask_for_run(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    Named(application): Named,
    bytes: &[u8],
    goal: RunGoal,
) -> Answer<Taken> {
    let request: DeliverRequest = body(bytes)?;
    let run = deliver::ask(&context, &application, goal, &request, peer.cause())
        .await
        .map_err(|error| Failure::bad_request(chain(&error), &error.hint()))?;
    queue(&context, &application, run).await
}

/// Queues a run that a person asks for.
async fn queue(context: &Shared, application: &Application, run: RunStatus) -> Answer<Taken> {
    deliver::room(context, application).map_err(|full| Failure::conflict(chain(&full), &full.hint()))?;
    let (name, number, goal) = (&run.application, run.id.number, run.goal.word());
    let mut answer = taken(format!("{name}: run {number} will {goal} {} ({})", run.reference, run.commit.short()));
    answer.1.run = Some(run.id);
    let queued = Fact::happened(name, &run.cause, Event::RunQueued { run: run.id });
    context.journal.record(vec![Fact::Run(Box::new(run)), queued]).await?;
    application.wake_delivery();
    Ok(answer)
}

pub(super) async fn retry(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<TypedId>,
) -> Answer<Taken> {
    let run = super::reads::run_meant(&context, id).await?;
    let Some(application) = context.application(&run.application) else { return Err(left(&run)) };
    let runs = context.journal.snapshot().runs(&run.application);
    let again = deliver::retry(&context, &application, &run, &runs, peer.cause());
    let again = again.map_err(|error| Failure::conflict(chain(&error), &error.hint()))?;
    queue(&context, &application, again).await
}

/// A run whose application is no longer there.
fn left(run: &RunStatus) -> Failure {
    Failure::conflict(format!("application {} is no longer in the configuration", run.application), "")
}

/// What nobody needs is deleted now.
pub(super) async fn gc(State(context): State<Shared>, Extension(peer): Extension<Peer>) -> Taken {
    context.gc.send_replace(peer.cause());
    taken("unneeded images, mirrors and charts will be deleted; `qd events` shows when that is done".to_owned())
}

/// A person lets a run of a fork's code run.
pub(super) async fn allow(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<TypedId>,
) -> Answer<Taken> {
    let run = super::reads::run_meant(&context, id).await?;
    let number = run.id.number;
    if !run.awaits_permission() {
        return Err(Failure::conflict(format!("run {number} does not wait for a permission"), ""));
    }
    let Some(application) = context.application(&run.application) else { return Err(left(&run)) };
    let mut answer =
        taken(format!("{}: run {number} will build {} ({})", run.application, run.reference, run.commit.short()));
    answer.1.run = Some(run.id);
    let allowed = Fact::happened(&run.application, &peer.cause(), Event::RunAllowed { run: run.id });
    let run = RunStatus { permission: Some(Permission::Given), ..run };
    context.journal.record(vec![Fact::Run(Box::new(run)), allowed]).await?;
    application.wake_delivery();
    Ok(answer)
}

pub(super) async fn cancel(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<TypedId>,
) -> Answer<Taken> {
    let run = super::reads::run_meant(&context, id).await?;
    let id = run.id;
    if run.phase.is_final() {
        return Err(Failure::conflict(format!("run {} has ended: {}", id.number, run.phase), ""));
    }
    let Some(application) = context.application(&run.application) else { return Err(left(&run)) };
    if !application.cancel(id) {
        if run.phase == Phase::Running {
            return Err(Failure::conflict(format!("run {} is about to end", id.number), ""));
        }
        // It has not begun: it never will.
        let now = Timestamp::now();
        let message = format!("cancelled by {} before it began", peer.name);
        let event = Event::RunFinished { run: id, phase: Phase::Cancelled, message: message.clone() };
        let facts = vec![
            Fact::Run(Box::new(run::ended(run, Phase::Cancelled, message, now))),
            Fact::happened(&application.spec.name, &peer.cause(), event),
        ];
        context.journal.record(facts).await?;
        // Who began it meanwhile looked before that was recorded.
        application.cancel(id);
    }
    Ok(taken(format!("run {} is being cancelled", id.number)))
}

pub(super) async fn rollback(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
    bytes: Bytes,
) -> Answer<Taken> {
    let request: RollbackRequest = body(&bytes)?;
    let name = &environment.id;
    let revision = rollback::target(&context, &environment, request.to.as_deref())
        .await
        .map_err(|error| Failure::bad_request(chain(&error), &error.hint()))?;
    let cause = peer.cause();
    let hold = Hold { reason: request.reason.clone(), cause: cause.clone(), at: Timestamp::now() };
    let after_sync = context.journal.newest_sync();
    let intent = Intent { request: SyncRequest::default(), cause: cause.clone(), at: hold.at, adoption: None };
    context
        .journal
        .record(vec![
            Fact::patch(name, Patch::Pin(Some(Pin { revision: revision.clone(), hold }))),
            Fact::happened(name, &cause, Event::Pinned { revision: revision.clone(), reason: request.reason }),
            Fact::Intent { environment: name.clone(), intent: intent.clone() },
        ])
        .await?;
    environment.ask(intent);
    let mut message = format!(
        "{name} is pinned to {} and will be synced to it; `qd unpin {name}` follows git again",
        revision.short()
    );
    // It has begun: what registries say of it is a warning, and one that does not answer delays nothing.
    let named = rollback::images(&context, name, &revision).await;
    let answers = kept_images::look(&context.images(), &named, kept_images::FOR_A_ROLLBACK).await;
    if let Some(warning) = kept_images::warning(&answers) {
        message.push_str(&format!("; {warning}"));
    }
    let mut answer = taken(message);
    answer.1.revision = Some(revision);
    answer.1.after_sync = Some(after_sync);
    Ok(answer)
}

pub(super) async fn unpin(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
) -> Answer<Taken> {
    let name = &environment.id;
    change(&context, &environment, peer.cause(), Patch::Pin(None), Event::Unpinned).await?;
    Ok(taken(format!("{name} follows git again")))
}

pub(super) async fn suspend(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
    bytes: Bytes,
) -> Answer<Taken> {
    let request: SuspendRequest = body(&bytes)?;
    let name = &environment.id;
    let hold = Hold { reason: request.reason.clone(), cause: peer.cause(), at: Timestamp::now() };
    change(
        &context,
        &environment,
        peer.cause(),
        Patch::Suspension(Some(hold)),
        Event::Suspended { reason: request.reason },
    )
    .await?;
    let under_way = context.journal.snapshot().environment(name).and_then(|status| under_way(&status));
    Ok(taken(match under_way {
        Some(sync) => {
            format!(
                "{name} is suspended: {sync} stops before its next step, nothing else is synced until `qd resume {name}`"
            )
        }
        None => format!("{name} is suspended: nothing is synced until `qd resume {name}`"),
    }))
}

pub(super) async fn resume(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
) -> Answer<Taken> {
    let name = &environment.id;
    change(&context, &environment, peer.cause(), Patch::Suspension(None), Event::Resumed).await?;
    Ok(taken(format!("{name} is resumed")))
}

/// `sync 134 (applying 41 of 10000)`, where one runs.
pub(super) fn under_way(status: &EnvironmentStatus) -> Option<String> {
    let sync = status.last_sync.as_ref().filter(|sync| !sync.phase.is_final())?;
    let far = status.progress.as_ref().map(Progress::describe);
    Some(match far {
        Some(far) => format!("sync {} ({far})", sync.id.number),
        None => format!("sync {}", sync.id.number),
    })
}

async fn change(context: &Shared, environment: &Environment, cause: Cause, patch: Patch, event: Event) -> Answer<()> {
    let name = &environment.id;
    let what = match &event {
        Event::Suspended { .. } => "suspend",
        Event::Resumed => "resume",
        _ => "unpin",
    };
    let now = Timestamp::now();
    context
        .journal
        .record(vec![
            Fact::patch(name, patch),
            Fact::happened(name, &cause, event),
            Fact::last(name, what, Phase::Succeeded, now),
        ])
        .await?;
    environment.wake();
    Ok(())
}
