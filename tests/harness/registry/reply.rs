//! Answers as registries word them: the head that all have, and the body of a refusal.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::response::Builder;
use http::{Response, StatusCode};
use serde_json::json;

pub(super) fn failure(status: u16, code: &str, message: &str) -> Response<Body> {
    let body = json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
    respond(status).body(body.to_string().into()).expect("a plain answer")
}

pub(super) fn respond(status: u16) -> Builder {
    ok(status).header(CONTENT_TYPE, "application/json; charset=utf-8")
}

pub(super) fn ok(status: u16) -> Builder {
    let status = StatusCode::from_u16(status).expect("a status that a test asked for");
    Response::builder().status(status).header("docker-distribution-api-version", "registry/2.0")
}
