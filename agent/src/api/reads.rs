//! Requests that look.

use axum::extract::State;
use axum::{Extension, Json};
use quarterdeck_shared::application::{ApplicationName, EnvironmentName};
use quarterdeck_shared::error::{Hint as _, chain};
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{
    self, Check, CommitAnswer, DiffAnswer, ManifestsAnswer, ROWS_MAX, VersionAnswer, WIRE_VERSION,
};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::RunStatus;
use serde::Deserialize;

use super::Shared;
use super::answer::{Answer, Failure, In, Path, Query};
use crate::access::Peer;
use crate::reconcile;

/// Rows where the request does not say.
const ROWS: usize = 100;

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

#[derive(Deserialize)]
pub(super) struct AtRevision {
    revision: Option<String>,
}

pub(super) async fn diff(
    State(context): State<Shared>,
    In(environment): In,
    Query(at): Query<AtRevision>,
) -> Answer<Json<DiffAnswer>> {
    Ok(Json(reconcile::queries::diff(&context, &environment, at.revision.as_deref()).await.map_err(not_compared)?))
}

pub(super) async fn manifests(
    State(context): State<Shared>,
    In(environment): In,
    Query(at): Query<AtRevision>,
) -> Answer<Json<ManifestsAnswer>> {
    Ok(Json(reconcile::queries::manifests(&context, &environment, at.revision.as_deref()).await.map_err(not_compared)?))
}

#[derive(Deserialize)]
pub(super) struct ObjectQuery {
    #[serde(default)]
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

pub(super) async fn object(In(environment): In, Query(query): Query<ObjectQuery>) -> Answer<Json<ManifestsAnswer>> {
    let resource = ResourceRef::new(&query.group, &query.kind, query.namespace.as_deref(), &query.name);
    let yaml = reconcile::queries::object(&environment, &resource).await.map_err(not_compared)?;
    Ok(Json(ManifestsAnswer { revision: None, yaml }))
}

fn not_compared(error: reconcile::ReconcileError) -> Failure {
    Failure::unavailable(chain(&error), &error.hint())
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<usize>,
}

impl Limit {
    fn rows(&self) -> usize {
        self.limit.unwrap_or(ROWS).min(ROWS_MAX)
    }
}

pub(super) async fn history(
    State(context): State<Shared>,
    In(environment): In,
    Query(limit): Query<Limit>,
) -> Answer<Json<Vec<SyncRecord>>> {
    let name = environment.id.clone();
    Ok(Json(context.journal.ask(move |history| history.syncs(&name, limit.rows())).await?))
}

pub(super) async fn commits(In(environment): In, Query(limit): Query<Limit>) -> Answer<Json<Vec<CommitAnswer>>> {
    Ok(Json(reconcile::queries::commits(&environment, limit.rows()).await.map_err(not_compared)?))
}

#[derive(Deserialize)]
pub(super) struct RunsQuery {
    application: Option<ApplicationName>,
    limit: Option<usize>,
}

pub(super) async fn runs(
    State(context): State<Shared>,
    Query(query): Query<RunsQuery>,
) -> Answer<Json<Vec<RunStatus>>> {
    let rows = query.limit.unwrap_or(ROWS).min(ROWS_MAX);
    Ok(Json(context.journal.ask(move |history| history.runs(query.application.as_ref(), rows)).await?))
}

pub(super) async fn run(State(context): State<Shared>, Path(id): Path<TypedId>) -> Answer<Json<RunStatus>> {
    run_meant(&context, id).await.map(Json)
}

/// The run that a person means.
pub(super) async fn run_meant(context: &Shared, id: TypedId) -> Answer<RunStatus> {
    let run = context.journal.ask(move |history| history.run(id)).await?;
    run.ok_or_else(|| match crate::history::foreign("run", id, context.journal.history()) {
        Some(message) => Failure::not_found(message, "`qd version` shows what the ids of an agent begin with"),
        None => Failure::not_found(
            format!("run {id} does not exist, or is older than what is kept"),
            "`qd runs` lists those that are kept",
        ),
    })
}

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    application: Option<ApplicationName>,
    environment: Option<EnvironmentName>,
    before: Option<TypedId>,
    limit: Option<usize>,
}

pub(super) async fn events(
    State(context): State<Shared>,
    Query(query): Query<EventsQuery>,
) -> Answer<Json<Vec<EventRecord>>> {
    let rows = query.limit.unwrap_or(ROWS).min(protocol::ROWS_MAX);
    let EventsQuery { application, environment, before, .. } = query;
    let events = context.journal.ask(move |history| {
        history.events(application.as_ref(), environment.as_ref(), before.map(|id| id.number), rows)
    });
    Ok(Json(events.await?))
}

pub(super) async fn doctor(State(context): State<Shared>) -> Json<Vec<Check>> {
    Json(crate::doctor::check(&context).await)
}
