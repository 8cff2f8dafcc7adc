//! The API: what consoles may ask, over the Unix socket.
//!
//! One handler for each route of [`routes`], and one place where a request meets the role that its route requires:
//! [`permit`]. A handler looks or records an intent and wakes a worker; it never does the work itself, so that a
//! request that was answered is not lost when the agent ends.

pub mod connection;
pub mod socket;

mod answer;
mod chart_tests;
mod commands;
mod deletion;
mod reads;
mod state;
mod streams;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::{Role, WIRE_HEADER, WIRE_VERSION};
use quarterdeck_shared::routes::{self, Route, Row};

use self::answer::Failure;
use crate::access::Peer;
use crate::context::Context;
use crate::journal::fact::Fact;

type Shared = Arc<Context>;

/// Who answers each route, in the order of [`routes::ROUTES`].
fn mounted() -> Vec<(Row, MethodRouter<Shared>)> {
    vec![
        mount(routes::VERSION, reads::version),
        mount(routes::STATE, state::state),
        mount(routes::WATCH, streams::watch),
        mount(routes::DIFF, reads::diff),
        mount(routes::ADOPTION, reads::adoption),
        mount(routes::DELETION, deletion::plan),
        mount(routes::MANIFESTS, reads::manifests),
        mount(routes::OBJECT, reads::object),
        mount(routes::HISTORY, reads::history),
        mount(routes::IMAGES, reads::images),
        mount(routes::TESTS, chart_tests::tests),
        mount(routes::COMMITS, reads::commits),
        mount(routes::POD_LOG, streams::pod_log),
        mount(routes::RUNS, reads::runs),
        mount(routes::RUN, reads::run),
        mount(routes::PACKAGES, reads::packages),
        mount(routes::RUN_LOG, streams::run_log),
        mount(routes::EVENTS, reads::events),
        mount(routes::AGENT_LOG, streams::agent_log),
        mount(routes::DOCTOR, reads::doctor),
        mount(routes::UNNEEDED, reads::unneeded),
        mount(routes::SYNC, commands::sync),
        mount(routes::REFRESH, commands::refresh),
        mount(routes::BUILD, commands::build),
        mount(routes::PUSH, commands::push),
        mount(routes::ROLLBACK, commands::rollback),
        mount(routes::UNPIN, commands::unpin),
        mount(routes::ADOPT, commands::adopt),
        mount(routes::DELETE, deletion::delete),
        mount(routes::TEST, chart_tests::test),
        mount(routes::SUSPEND, commands::suspend),
        mount(routes::RESUME, commands::resume),
        mount(routes::RETRY, commands::retry),
        mount(routes::ALLOW, commands::allow),
        mount(routes::CANCEL, commands::cancel),
        mount(routes::GC, commands::gc),
        mount(routes::RECEIVED, commands::received),
    ]
}

fn mount<Of, Query, T: 'static>(
    route: Route<Of, Query>,
    handler: impl Handler<T, Shared>,
) -> (Row, MethodRouter<Shared>) {
    let method = match route.row.method {
        routes::Method::Get => MethodFilter::GET,
        routes::Method::Post => MethodFilter::POST,
    };
    (route.row, on(method, handler))
}

/// The routes as a service; each connection adds its [`Peer`] and its [`connection::Patience`].
pub fn router(context: Shared) -> Router {
    let mut router = Router::new();
    for (row, handler) in mounted() {
        let handler = handler
            .layer(middleware::from_fn_with_state(context.clone(), between_reloads))
            .layer(middleware::from_fn(connection::whole))
            .layer(middleware::from_fn_with_state((context.clone(), row), permit));
        for template in row.templates() {
            router = router.route(&template, handler.clone());
        }
    }
    router
        .fallback(async || {
            Failure::not_found(
                "there is no such route",
                "GET /v1/state shows everything; the wire is described in shared/src/protocol.rs",
            )
        })
        .layer(middleware::map_response(name_the_wire))
        .with_state(context)
}

/// The one place where a request meets its permission: no handler is mounted without it.
async fn permit(
    State((context, row)): State<(Shared, Row)>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    // The handler of a GET answers a HEAD as well, so that both ask for the same.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    if method.as_str() != row.method.as_str() {
        return Failure::no_such_method(request.method(), request.uri().path(), row.method).into_response();
    }
    let needed = if row.guarded && is_protected(&context, request.uri().path()) { Role::Approver } else { row.role };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_handler() {
        let mounted: Vec<Row> = mounted().into_iter().map(|(row, _)| row).collect();
        assert_eq!(mounted, routes::ROUTES);
    }
}
