//! The form of requests to the engine and of its answers.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::serve::query_pairs;

/// The newest version of the API that the stand-in claims to speak.
pub(super) const API_VERSION: &str = "1.41";

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Of the query of an address.
    pub(super) fn of(text: &str) -> Self {
        Self(query_pairs(text))
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn on(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// The values of a filter. Clients send `{"label":["a=b"]}`, and older ones `{"label":{"a=b":true}}`.
    pub(super) fn filter(&self, name: &str) -> Vec<String> {
        let filters: BTreeMap<String, Value> =
            self.first("filters").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        match filters.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            Some(Value::Object(values)) => values.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn map(&self, name: &str) -> BTreeMap<String, String> {
        self.first(name).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

pub(super) fn answered(status: u16, body: Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("a status written in this file");
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    answer.header("api-version", API_VERSION).body(body.to_string().into()).expect("a plain answer")
}

pub(super) fn failed(status: u16, message: &str) -> Response<Body> {
    answered(status, json!({ "message": message }))
}
