//! What is looked at before an object is written: its type, unknown fields, name and place; and its defaults.

use serde_json::{Value, json};

use super::{Strictness, Write};
use crate::cluster::defaults;
use crate::cluster::failure::{Failure, Problem};
use crate::cluster::ids;
use crate::cluster::kinds::Kind;
use crate::cluster::schema::normal::{self, Findings};
use crate::cluster::store::{State, text};

/// Defaults: those of the API for its own kinds, those of the schema for custom ones.
pub(super) fn complete(kind: &Kind, object: &mut Value) -> Result<(), Failure> {
    defaults::complete(kind, object);
    if !kind.custom {
        return Ok(());
    }
    let mut problems = Vec::new();
    normal::complete(object, &kind.shape, "", &mut problems);
    let problem = |(field, text): (String, String)| {
        let reason = if text.starts_with("Required") {
            "FieldValueRequired"
        } else if text.contains("in body must be of type") {
            "FieldValueTypeInvalid"
        } else if text.starts_with("Unsupported") {
            "FieldValueNotSupported"
        } else {
            "FieldValueInvalid"
        };
        Problem { field, reason, text }
    };
    let problems: Vec<Problem> = problems.into_iter().map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure::invalid(kind, text(object, "/metadata/name"), &problems)) }
}

pub(super) fn check_type(kind: &Kind, body: &Value) -> Result<(), Failure> {
    let (api_version, name) = (text(body, "/apiVersion"), text(body, "/kind"));
    if !body.is_object() {
        return Err(Failure::bad_request("couldn't get version/kind; json parse error: the body is not an object"));
    }
    let same = |given: &str, own: &str| given.is_empty() || given == own;
    if same(api_version, &kind.api_version()) && same(name, &kind.kind) {
        return Ok(());
    }
    let (own, version) = (&kind.kind, api_version.rsplit('/').next().unwrap_or_default());
    let why = if same(api_version, &kind.api_version()) {
        format!(
            "converting ({version}.{name}) to ({}.{own}): unknown conversion",
            if kind.group.is_empty() { "core" } else { kind.group.as_str() }
        )
    } else {
        format!("no kind {name:?} is registered for version {api_version:?} in scheme \"pkg/runtime/scheme.go:111\"")
    };
    Err(Failure::bad_request(format!("{name} in version {version:?} cannot be handled as a {own}: {why}")))
}

pub(super) fn judge(kind: &Kind, strictness: Strictness, findings: Findings) -> Result<Vec<String>, Failure> {
    let Findings { unknown, mistyped } = findings;
    let refused = |why: &str| {
        let (name, version) = (&kind.kind, &kind.version);
        Failure::bad_request(format!("{name} in version {version:?} cannot be handled as a {name}: {why}"))
    };
    if let (Some(why), false) = (mistyped, kind.custom) {
        return Err(refused(&why));
    }
    let told: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
    match strictness {
        Strictness::Strict if !told.is_empty() => {
            let why = format!("strict decoding error: {}", told.join(", "));
            Err(refused(&why))
        }
        Strictness::Ignore => Ok(Vec::new()),
        _ => Ok(told),
    }
}

pub(super) fn name_and_place(state: &mut State, write: &mut Write, body: &mut Value) -> Result<(), Failure> {
    let given = text(body, "/metadata/namespace");
    if !given.is_empty() && given != write.key.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if write.kind.namespaced {
        body["metadata"]["namespace"] = json!(write.key.namespace);
    }
    let prefix = text(body, "/metadata/generateName").to_owned();
    if text(body, "/metadata/name").is_empty() && !prefix.is_empty() {
        body["metadata"]["name"] = json!(format!("{prefix}{}", ids::suffix(state.serial())));
    }
    write.key.name = text(body, "/metadata/name").to_owned();
    Ok(())
}

pub(super) fn matches_url(write: &Write, body: &Value) -> Result<(), Failure> {
    let (name, namespace) = (text(body, "/metadata/name"), text(body, "/metadata/namespace"));
    let wanted = &write.key.name;
    if name.is_empty() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != wanted {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    if !namespace.is_empty() && namespace != write.key.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}
