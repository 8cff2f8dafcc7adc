//! Requests that look.

use axum::extract::State;
use axum::{Extension, Json};
use quarterdeck_shared::error::{Hint as _, chain};
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{
    AdoptionAnswer, Check, CommitAnswer, DiffAnswer, GcAnswer, ImageAnswer, ManifestsAnswer, PackagesAnswer, ROWS,
    ROWS_MAX, VersionAnswer, WIRE_VERSION,
};
use quarterdeck_shared::queries::{AtRevision, EventsQuery, Limit, RunsQuery};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{Key, Object, RunStatus};

use super::Shared;
use super::answer::{Answer, Failure, In, Path, Query};
use crate::access::Peer;
use crate::{kept_images, reconcile};

pub(super) async fn version(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
) -> Answer<Json<VersionAnswer>> {
    let role = context.access.borrow().role(&peer).ok_or_else(|| Failure::forbidden("no role", ""))?;
    Ok(Json(VersionAnswer {
        wire: WIRE_VERSION,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: context.started,
        history: context.journal.history(),
        role,
    }))
}

pub(super) async fn diff(
    State(context): State<Shared>,
    In(environment): In,
    Query(at): Query<AtRevision>,
) -> Answer<Json<DiffAnswer>> {
    Ok(Json(reconcile::queries::diff(&context, &environment, at.revision.as_deref()).await.map_err(not_compared)?))
}

pub(super) async fn adoption(State(context): State<Shared>, In(environment): In) -> Answer<Json<AdoptionAnswer>> {
    Ok(Json(reconcile::adopt::plan(&context, &environment).await.map_err(not_compared)?))
}

pub(super) async fn manifests(
    State(context): State<Shared>,
    In(environment): In,
    Query(at): Query<AtRevision>,
) -> Answer<Json<ManifestsAnswer>> {
    Ok(Json(reconcile::queries::manifests(&context, &environment, at.revision.as_deref()).await.map_err(not_compared)?))
}

pub(super) async fn object(
    State(context): State<Shared>,
    In(environment): In,
    Query(query): Query<ResourceRef>,
) -> Answer<Json<ManifestsAnswer>> {
    // `namespace=` names none.
    let resource = ResourceRef::new(&query.group, &query.kind, query.namespace.as_deref(), &query.name);
    let yaml = reconcile::queries::object(&context, &environment, &resource).await.map_err(not_compared)?;
    Ok(Json(ManifestsAnswer { revision: None, rendered: None, yaml, notes: Vec::new() }))
}

fn not_compared(error: reconcile::ReconcileError) -> Failure {
    Failure::unavailable(chain(&error), &error.hint())
}

/// As many rows as are asked for, in the bounds of an answer.
fn rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(ROWS).min(ROWS_MAX)
}

pub(super) async fn history(
    State(context): State<Shared>,
    In(environment): In,
    Query(query): Query<Limit>,
) -> Answer<Json<Vec<SyncRecord>>> {
    let name = environment.id.clone();
    Ok(Json(context.journal.ask(move |history| history.syncs(&name, rows(query.limit))).await?))
}

pub(super) async fn images(
    State(context): State<Shared>,
    In(environment): In,
    Query(query): Query<Limit>,
) -> Answer<Json<Vec<ImageAnswer>>> {
    let name = environment.id.clone();
    let syncs = context.journal.ask(move |history| history.syncs(&name, rows(query.limit))).await?;
    let named = syncs.iter().flat_map(|sync| &sync.images);
    Ok(Json(kept_images::look(&context.images(), named, kept_images::FOR_A_LIST).await))
}

pub(super) async fn commits(
    State(context): State<Shared>,
    In(environment): In,
    Query(query): Query<Limit>,
) -> Answer<Json<Vec<CommitAnswer>>> {
    Ok(Json(reconcile::queries::commits(&context, &environment, rows(query.limit)).await.map_err(not_compared)?))
}

pub(super) async fn runs(
    State(context): State<Shared>,
    Query(query): Query<RunsQuery>,
) -> Answer<Json<Vec<RunStatus>>> {
    let RunsQuery { application, limit, before } = query;
    let before = before.map(|id| id.number);
    let found = context.journal.ask(move |history| history.runs(application.as_ref(), before, rows(limit))).await?;
    Ok(Json(found.into_iter().map(|run| as_it_is_now(&context, run)).collect()))
}

pub(super) async fn run(State(context): State<Shared>, Path(id): Path<TypedId>) -> Answer<Json<RunStatus>> {
    run_meant(&context, id).await.map(|run| Json(as_it_is_now(&context, run)))
}

pub(super) async fn packages(
    State(context): State<Shared>,
    Path(id): Path<TypedId>,
) -> Answer<Json<Vec<PackagesAnswer>>> {
    let run = run_meant(&context, id).await?;
    Ok(Json(crate::packages::of_run(&context, &run).await))
}

/// A run that has not ended, with what is merely seen of it and not kept: that it waits for a place, what a stage waits for, a percent.
fn as_it_is_now(context: &Shared, run: RunStatus) -> RunStatus {
    let seen = (!run.phase.is_final()).then(|| context.journal.snapshot().get(&Key::run(run.id))).flatten();
    match seen.as_deref() {
        // What is kept is published a moment later: a phase that differs is older.
        Some(Object::Run(seen)) if seen.phase == run.phase => (**seen).clone(),
        _ => run,
    }
}

/// The run that a person means.
pub(super) async fn run_meant(context: &Shared, id: TypedId) -> Answer<RunStatus> {
    let run = context.journal.ask(move |history| history.run(id)).await?;
    if let Some(run) = &run {
        tracing::Span::current().record("run", tracing::field::display(&run.id));
    }
    run.ok_or_else(|| match crate::history::foreign("run", id, context.journal.history()) {
        Some(message) => Failure::not_found(message, "`qd version` shows what the ids of an agent begin with"),
        None => Failure::not_found(
            format!("run {id} does not exist, or is older than what is kept"),
            "`qd runs` lists those that are kept",
        ),
    })
}

pub(super) async fn events(
    State(context): State<Shared>,
    Query(query): Query<EventsQuery>,
) -> Answer<Json<Vec<EventRecord>>> {
    let EventsQuery { application, environment, limit, before } = query;
    let events = context.journal.ask(move |history| {
        history.events(application.as_ref(), environment.as_ref(), before.map(|id| id.number), rows(limit))
    });
    Ok(Json(events.await?))
}

pub(super) async fn doctor(State(context): State<Shared>) -> Json<Vec<Check>> {
    Json(crate::doctor::check(&context).await)
}

pub(super) async fn unneeded(State(context): State<Shared>) -> Json<GcAnswer> {
    Json(crate::gc::report(&context).await)
}
