//! What a request is answered with.

mod changes;

mod logs;

mod reads;

mod watches;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use super::Shared;
use super::discovery;
use super::failure::Failure;
use super::faults::{Harm, Hit};
use super::kinds::Kind;
use super::route::{Place, Query, Target};
use super::view::View;
use crate::serve::Cut;

/// The largest body: what a real server takes, too.
const BODY_MAX: usize = 3 * 1024 * 1024;

/// A request, read.
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) query: Query,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) user_agent: String,
    pub(super) body: Bytes,
}

/// A request for a kind that is served.
pub(super) struct About {
    pub(super) kind: Arc<Kind>,
    pub(super) target: Target,
}

/// Answers a request, after the faults and counts had their say.
pub(super) async fn respond(shared: Arc<Shared>, request: Request) -> Result<Response, Cut> {
    let (parts, body) = request.into_parts();
    let header = |name: http::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let place = Place::of(parts.uri.path());
    let mut ask = Ask {
        method: parts.method.to_string(),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        accept: header(ACCEPT),
        content_type: header(CONTENT_TYPE),
        user_agent: header(USER_AGENT),
        body: Bytes::new(),
    };
    let harm = note(&shared, &place, &ask, parts.uri.path());
    match &harm {
        Some(Harm::Cut) => return Err(Cut),
        Some(Harm::Hang) => std::future::pending().await,
        Some(Harm::Slow(by)) => tokio::time::sleep(*by).await,
        _ => {}
    }
    let open = matches!(place, Place::Version | Place::Health);
    let given = header(AUTHORIZATION);
    let brought = given.strip_prefix("Bearer ");
    let known = brought.is_some_and(|brought| shared.tokens().iter().any(|token| token == brought))
        || (shared.anonymous && given.is_empty());
    if let Some(token) = brought {
        shared.counts().tokens.insert(token.to_owned());
    }
    if !open && !known {
        return Ok(refuse(&Failure::unauthorized()));
    }
    if let Some(Harm::Status(code, message)) = harm {
        let mut failure = Failure::injected(code);
        failure.message = message.unwrap_or(failure.message);
        return Ok(refuse(&failure));
    }
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => ask.body = body.to_bytes(),
        Err(_) => {
            let message = format!("Request entity too large: limit is {BODY_MAX}");
            let failure = Failure { code: 413, reason: "RequestEntityTooLarge", message, details: Some(json!({})) };
            return Ok(refuse(&failure));
        }
    }
    shared.counts().bytes_in += ask.body.len() as u64;
    let response = dispatch(&shared, place, &ask).await.unwrap_or_else(|failure| refuse(&failure));
    Ok(counted(shared, response))
}

/// Counts the request and finds the fault that it meets.
fn note(shared: &Shared, place: &Place, ask: &Ask, path: &str) -> Option<Harm> {
    let dry_run = ask.query.get("dryRun") == "All";
    let hit = |verb, resource, namespace, name| Hit { verb, resource, namespace, name, dry_run };
    match place {
        Place::Target(target) => {
            let resource = match target.subresource.as_str() {
                "" => target.resource(),
                below => format!("{}/{below}", target.resource()),
            };
            let hit = hit(target.verb(&ask.method, &ask.query), &resource, &target.namespace, &target.name);
            if ask.query.get("fieldSelector") == "metadata.name=kube-system" {
                shared.counts().looks += 1;
                return met(shared, &hit);
            }
            struck(shared, &hit)
        }
        _ => struck(shared, &hit("get", path, "", "")),
    }
}

fn struck(shared: &Shared, hit: &Hit) -> Option<Harm> {
    shared.counts().note(hit);
    met(shared, hit)
}

fn met(shared: &Shared, hit: &Hit) -> Option<Harm> {
    match shared.faults().strike(hit)? {
        Harm::Forbid => Some(Harm::Status(403, Some(hit.denial()))),
        harm => Some(harm),
    }
}

async fn dispatch(shared: &Arc<Shared>, place: Place, ask: &Ask) -> Result<Response, Failure> {
    let kinds = || shared.world().state.kinds().to_vec();
    let stale = shared.stale().clone();
    let unavailable = |group: &str, version: &str| stale.contains(&(group.to_owned(), version.to_owned()));
    let aggregated = ask.accept.contains("as=APIGroupDiscoveryList") && ask.accept.contains("v=v2;")
        || ask.accept.contains("v=v2,")
        || ask.accept.ends_with("v=v2");
    let discovery = |core| {
        let body = discovery::aggregated(&kinds(), &stale, core);
        let mut response = json_response(200, &body);
        let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    };
    let found = |value: Option<Value>| Ok(value.map_or_else(nowhere, |value| json_response(200, &value)));
    match place {
        Place::Version => Ok(json_response(200, &discovery::version())),
        Place::Health => Ok(text_response("ok")),
        Place::CoreVersions if aggregated => Ok(discovery(true)),
        Place::Groups if aggregated => Ok(discovery(false)),
        Place::CoreVersions => Ok(json_response(200, &discovery::core_versions("127.0.0.1"))),
        Place::Groups => Ok(json_response(200, &discovery::groups(&kinds(), &stale))),
        Place::Group(name) => found(discovery::group(&kinds(), &stale, &name)),
        Place::Resources { group, version } | Place::Target(Target { group, version, .. })
            if unavailable(&group, &version) =>
        {
            let mut response = text_response("service unavailable\n");
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        }
        Place::Resources { group, version } => found(discovery::resources(&kinds(), &group, &version)),
        Place::OpenApi(path) => found(discovery::openapi(&kinds(), &path)),
        Place::Target(target) if target.group == "authorization.k8s.io" || target.group == "authentication.k8s.io" => {
            changes::review(shared, &target, ask)
        }
        Place::Target(target) => resource(shared, target, ask).await,
        Place::Nowhere => Ok(nowhere()),
    }
}

async fn resource(shared: &Arc<Shared>, target: Target, ask: &Ask) -> Result<Response, Failure> {
    let kind = shared.world().state.kind(&target.group, &target.version, &target.plural);
    let Some(kind) = kind else {
        // A group of definitions knows no path but those that it serves.
        let group = |kind: &Arc<Kind>| !kind.custom && kind.group == target.group && kind.version == target.version;
        let served = shared.world().state.kinds().iter().any(group);
        return if served { Err(Failure::no_such_path()) } else { Ok(nowhere()) };
    };
    let verb = target.verb(&ask.method, &ask.query);
    // Over all namespaces one looks, or deletes, and does nothing else.
    let across = target.name.is_empty() && ["list", "watch", "deletecollection"].contains(&verb);
    if kind.namespaced == target.namespace.is_empty() && !(kind.namespaced && across) {
        return if kind.custom { Ok(nowhere()) } else { Err(Failure::no_such_path()) };
    }
    let about = About { kind, target };
    match (verb, about.target.subresource.as_str()) {
        ("watch", "") => watches::watch(shared, &about, ask),
        ("list", "") => reads::list(shared, &about, ask),
        ("get", "" | "status") => reads::get(shared, &about, ask),
        ("get", "log") if about.kind.is("Pod") => logs::log(shared, &about, ask),
        ("get", "scale") if about.kind.scale => reads::scale(shared, &about),
        ("create", "") if about.target.name.is_empty() => changes::create(shared, &about, ask),
        ("update" | "patch", "scale") if about.kind.scale => changes::scale(shared, &about, ask),
        ("update" | "patch", "") if !about.target.name.is_empty() => changes::change(shared, &about, ask, verb),
        ("update" | "patch", "status") if about.kind.status => changes::change(shared, &about, ask, verb),
        ("delete", "") => changes::delete(shared, &about, ask),
        ("deletecollection", "") => changes::delete_all(shared, &about, ask),
        (_, "") => Err(Failure::not_allowed()),
        (_, "status") if about.kind.status => Err(Failure::not_allowed()),
        (_, "scale") if about.kind.scale => Err(Failure::not_allowed()),
        (_, "log") if about.kind.is("Pod") => Err(Failure::not_allowed()),
        _ => Err(Failure::no_such_path()),
    }
}

impl Ask {
    /// What the client wants to see of an object.
    pub(super) fn view(&self) -> View {
        View::of_accept(&self.accept)
    }

    /// The name of the field manager: the one given, else the start of the user agent.
    pub(super) fn manager(&self) -> String {
        match self.query.get("fieldManager") {
            "" => self.user_agent.split('/').next().unwrap_or_default().chars().take(128).collect(),
            given => given.to_owned(),
        }
    }

    /// The body, as JSON or YAML.
    pub(super) fn object(&self) -> Result<Value, Failure> {
        if self.content_type.contains("protobuf") || self.content_type.contains("cbor") {
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml (this stand-in reads no {})",
                self.content_type
            );
            return Err(Failure::unsupported_media(message));
        }
        if let Ok(value) = serde_json::from_slice(&self.body) {
            return Ok(value);
        }
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        let first = |error: serde_saphyr::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "the agent sends JSON; this is for people who try things by hand"
        )]
        serde_saphyr::from_str(text)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {}", first(error))))
    }
}

pub(super) fn json_response(code: u16, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

pub(super) fn text_response(text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A path that no group serves is not even a `Status`.
fn nowhere() -> Response {
    let mut response = text_response("404 page not found\n");
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

fn refuse(failure: &Failure) -> Response {
    let mut response = json_response(failure.code, &failure.status());
    if failure.code == 429 {
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

/// Counts what leaves, piece by piece.
fn counted(shared: Arc<Shared>, response: Response) -> Response {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            shared.counts().bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
            frame
        }))
    })
}

/// How long a watch lasts at most where the client does not say: as on a real server, some minutes.
pub(super) const WATCH_MAX: Duration = Duration::from_secs(30 * 60);
