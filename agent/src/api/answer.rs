//! Answers that are not what was asked for: which status, in which words, and what to do next.

use std::time::Duration;

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId, EnvironmentIdError};
use quarterdeck_shared::protocol::{ErrorAnswer, REQUEST_BYTES_MAX};
use quarterdeck_shared::routes;
use serde::de::DeserializeOwned;
use tracing::field;

use crate::context::{Application, Context, Environment};
use crate::history::error::HistoryError;
use crate::journal::NotKept;
use quarterdeck_shared::error::{Hint, chain};

/// A request that was not done.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    answer: ErrorAnswer,
}

pub(super) type Answer<T> = Result<T, Failure>;

impl Failure {
    fn new(status: StatusCode, error: &str, message: impl Into<String>, hint: &str) -> Self {
        Self { status, answer: ErrorAnswer { error: error.to_owned(), message: message.into(), hint: hint.to_owned() } }
    }

    pub(super) fn not_found(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }

    /// Each route takes one method, and HEAD where that is GET.
    pub(super) fn no_such_method(method: &Method, path: &str, takes: routes::Method) -> Self {
        let message = format!("method {method} is not allowed for {path}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", message, &format!("use {takes}"))
    }

    pub(super) fn forbidden(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, hint)
    }

    pub(super) fn bad_request(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    pub(super) fn too_long() -> Self {
        let message = format!("the body of the request is longer than {REQUEST_BYTES_MAX} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_request", message, "")
    }

    pub(super) fn too_slow(patience: Duration) -> Self {
        let message = format!("the body of the request did not come within {patience:?}");
        Self::new(StatusCode::REQUEST_TIMEOUT, "bad_request", message, "")
    }

    pub(super) fn conflict(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message, hint)
    }

    pub(super) fn gone() -> Self {
        Self::new(
            StatusCode::GONE,
            "gone",
            "the changes since that revision are no longer kept",
            "list again with GET /v1/state",
        )
    }

    pub(super) fn unavailable(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, hint)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.answer)).into_response()
    }
}

impl From<NotKept> for Failure {
    fn from(error: NotKept) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "unavailable", error.to_string(), &error.hint())
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", chain(&error), &error.hint())
    }
}

/// What stands in the path of a route.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<super::Shared> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &super::Shared) -> Answer<Self> {
        let taken = extract::Path::from_request_parts(parts, context).await;
        taken.map(|extract::Path(taken)| Self(taken)).map_err(|error| Failure::bad_request(error.body_text(), ""))
    }
}

/// What stands in the query of a request.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<super::Shared> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &super::Shared) -> Answer<Self> {
        let taken = extract::Query::from_request_parts(parts, context).await;
        taken.map(|extract::Query(taken)| Self(taken)).map_err(|error| Failure::bad_request(error.body_text(), ""))
    }
}

/// The application that a path names.
pub(super) struct Named(pub(super) Arc<Application>);

impl FromRequestParts<super::Shared> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &super::Shared) -> Answer<Self> {
        let text = subject(parts.uri.path());
        let name: ApplicationName = text.parse().map_err(|error| Failure::bad_request(format!("{error}"), ""))?;
        tracing::Span::current().record("application", field::display(&name));
        context.application(&name).map(Self).ok_or_else(|| {
            Failure::not_found(
                format!("there is no application {name}"),
                "`qd status` lists them; add one in the configuration",
            )
        })
    }
}

/// The environment that a path names.
pub(super) struct In(pub(super) Arc<Environment>);

impl FromRequestParts<super::Shared> for In {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &super::Shared) -> Answer<Self> {
        let environment = find(context, &address(parts.uri.path())?)?;
        let span = tracing::Span::current();
        span.record("application", field::display(&environment.id.application));
        span.record("environment", field::display(&environment.id.environment));
        Ok(Self(environment))
    }
}

/// The environment that a path is about, as it is addressed.
pub(super) fn address(path: &str) -> Answer<Address> {
    subject(path).parse().map_err(|error: EnvironmentIdError| Failure::bad_request(error.to_string(), ""))
}

/// What a path is about, between what it is one of and what is asked of it: `shop/qa` in `/v1/environments/shop/qa/diff`.
fn subject(path: &str) -> &str {
    let below = path.splitn(4, '/').nth(3).unwrap_or_default();
    below.rsplit_once('/').map_or("", |(subject, _)| subject)
}

/// The environment at an address: by the application alone where that has one.
pub(super) fn find(context: &Context, address: &Address) -> Answer<Arc<Environment>> {
    const LISTED: &str = "`qd status` lists them; add one in the configuration";
    let name = &address.application;
    let config = context.config();
    let Some(spec) = config.applications.iter().find(|spec| spec.name == *name) else {
        return Err(Failure::not_found(format!("there is no application {name}"), LISTED));
    };
    let id = match (&address.environment, &*spec.environments) {
        (Some(environment), _) => EnvironmentId::new(name, environment),
        (None, [only]) => EnvironmentId::new(name, &only.name),
        (None, []) => {
            return Err(Failure::bad_request(
                format!("application {name} is only built: it has no [[application.environment]]"),
                "add where its manifests are and where they go",
            ));
        }
        (None, several) => {
            let all = several.iter().map(|one| format!("{name}/{}", one.name)).collect::<Vec<_>>().join(", ");
            let message = format!("{name} has {} environments: {all}", several.len());
            return Err(Failure::conflict(message, "name one of them, or all with --all"));
        }
    };
    if spec.environment(&id.environment).is_none() {
        return Err(Failure::not_found(format!("there is no environment {id}"), LISTED));
    }
    let refused = || {
        let why = context.journal.snapshot().environment(&id).map(|status| status.message).unwrap_or_default();
        Failure::unavailable(format!("environment {id} cannot be operated: {why}"), "correct the configuration first")
    };
    context.environment(&id).ok_or_else(refused)
}

/// A body that may be left out: the defaults then.
pub(super) fn body<T: DeserializeOwned + Default>(bytes: &[u8]) -> Answer<T> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::bad_request(format!("invalid request body: {error}"), ""))
}
