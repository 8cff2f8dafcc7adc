//! The API: what consoles may ask, over the Unix socket.
//!
//! One table of routes, each with the role it asks for, and one place where a request meets its permission:
//! [`permit`]. A handler looks or records an intent and pokes a worker; it never does the work itself, so that a
//! request that was answered is not lost when the agent ends.

pub mod connection;
pub mod socket;

mod answer;
mod commands;
mod reads;
mod state;
mod streams;

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::{Role, WIRE_HEADER, WIRE_VERSION};

use self::answer::Failure;
use crate::access::Peer;
use crate::context::Context;
use crate::journal::fact::Fact;

type Shared = Arc<Context>;

/// A route: where, what it asks for, and who answers.
pub struct Route {
    /// `GET` or `POST`.
    pub method: Method,
    /// As axum writes it.
    pub path: &'static str,
    /// The role that it asks for.
    pub role: Role,
    /// Whether it changes a cluster by hand: where the environment is protected, it requires role `approver`.
    pub guarded: bool,
    handler: fn() -> MethodRouter<Shared>,
}

/// The path of something about an environment, by the application that has no other.
macro_rules! only {
    ($what:literal) => {
        concat!("/v1/environments/{application}/", $what)
    };
}

/// The same by its full address.
macro_rules! full {
    ($what:literal) => {
        concat!("/v1/environments/{application}/{environment}/", $what)
    };
}

/// Every route.
pub const ROUTES: &[Route] = &[
    look("/v1/version", || get(reads::version)),
    look("/v1/state", || get(state::state)),
    look("/v1/watch", || get(streams::watch)),
    look(only!("diff"), || get(reads::diff)),
    look(full!("diff"), || get(reads::diff)),
    look(only!("manifests"), || get(reads::manifests)),
    look(full!("manifests"), || get(reads::manifests)),
    look(only!("object"), || get(reads::object)),
    look(full!("object"), || get(reads::object)),
    look(only!("history"), || get(reads::history)),
    look(full!("history"), || get(reads::history)),
    look(only!("commits"), || get(reads::commits)),
    look(full!("commits"), || get(reads::commits)),
    look(only!("logs"), || get(streams::pod_logs)),
    look(full!("logs"), || get(streams::pod_logs)),
    look("/v1/runs", || get(reads::runs)),
    look("/v1/runs/{id}", || get(reads::run)),
    look("/v1/runs/{id}/log", || get(streams::run_log)),
    look("/v1/events", || get(reads::events)),
    look("/v1/log", || get(streams::agent_log)),
    look("/v1/doctor", || get(reads::doctor)),
    act(only!("sync"), true, || post(commands::sync)),
    act(full!("sync"), true, || post(commands::sync)),
    act("/v1/applications/{name}/refresh", false, || post(commands::refresh)),
    act("/v1/applications/{name}/build", false, || post(commands::build)),
    act("/v1/applications/{name}/push", false, || post(commands::push)),
    act(only!("rollback"), true, || post(commands::rollback)),
    act(full!("rollback"), true, || post(commands::rollback)),
    act(only!("unpin"), true, || post(commands::unpin)),
    act(full!("unpin"), true, || post(commands::unpin)),
    act(only!("suspend"), false, || post(commands::suspend)),
    act(full!("suspend"), false, || post(commands::suspend)),
    act(only!("resume"), true, || post(commands::resume)),
    act(full!("resume"), true, || post(commands::resume)),
    act("/v1/runs/{id}/cancel", false, || post(commands::cancel)),
];

const fn look(path: &'static str, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route { method: Method::GET, path, role: Role::Viewer, guarded: false, handler }
}

const fn act(path: &'static str, guarded: bool, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route { method: Method::POST, path, role: Role::Operator, guarded, handler }
}

/// The routes as a service; each connection adds its [`Peer`] and its [`connection::Patience`].
pub fn router(context: Shared) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router
        .route_layer(middleware::from_fn_with_state(context.clone(), between_reloads))
        .route_layer(middleware::from_fn(connection::whole))
        .route_layer(middleware::from_fn_with_state(context.clone(), permit))
        .fallback(async || {
            Failure::not_found(
                "there is no such route",
                "GET /v1/state shows everything; the wire is described in shared/src/protocol.rs",
            )
        })
        .layer(middleware::map_response(name_the_wire))
        .with_state(context)
}

/// The one place where a request meets its permission. What stands in no row of the table does not pass.
async fn permit(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    // The handler of a GET answers a HEAD as well, so that both ask for the same.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let mut rows = ROUTES.iter().filter(|route| route.path == path.as_str());
    let Some(route) = rows.clone().find(|route| route.method == method) else {
        let takes = rows.next().map_or(Method::GET, |route| route.method.clone());
        return Failure::no_such_method(request.method(), request.uri().path(), &takes).into_response();
    };
    let needed =
        if route.guarded && is_protected(&context, request.uri().path()) { Role::Approver } else { route.role };
    let has = context.access.borrow().role(&peer);
    if has >= Some(needed) {
        return next.run(request).await;
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let event = Event::RequestDenied { request: what.clone() };
    // Not kept on a full disk: the answer is the same.
    let _ = context.journal.record(vec![Fact::at_large(peer.cause(), event)]).await;
    Failure::forbidden(
        format!("{what} requires role {}; {} has {}", needed.word(), peer.name, has.map_or("none", Role::word)),
        "ask whoever runs the agent for an [[access]] rule",
    )
    .into_response()
}

/// A command is carried out by the workers of one configuration. It records and wakes, and takes no time.
async fn between_reloads(
    State(context): State<Shared>,
    line: Option<Extension<connection::Line>>,
    request: Request,
    next: Next,
) -> Response {
    if *request.method() != Method::POST {
        return next.run(request).await;
    }
    let no_reload = context.reload.clone().read_owned().await;
    let command = async move {
        let _no_reload = no_reload;
        next.run(request).await
    };
    connection::carry_out(line, command).await
}

fn is_protected(context: &Context, path: &str) -> bool {
    let environment = answer::address(path).ok().and_then(|address| answer::find(context, &address).ok());
    environment.is_some_and(|environment| environment.spec.protected)
}

async fn name_the_wire(mut response: Response) -> Response {
    response.headers_mut().insert(WIRE_HEADER, HeaderValue::from(WIRE_VERSION));
    response
}
