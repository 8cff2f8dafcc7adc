//! Deletion: finalizers, grace, propagation.

use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::Kind;
use super::store::{Key, State, text};
use super::write::{self, Part};

/// What a deletion asks for.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// `Foreground`, `Background` or `Orphan`; empty for the default, which is in the background.
    pub propagation: String,
    /// Seconds given to a pod; `None` for its own.
    pub grace: Option<i64>,
    /// Only this very object.
    pub uid: Option<String>,
    /// Only this very state of it.
    pub resource_version: Option<String>,
    /// Decide, do nothing.
    pub dry_run: bool,
}

impl Terms {
    /// Reads a `DeleteOptions` body and the query beside it.
    pub fn read(body: &Value, query: &dyn Fn(&str) -> String) -> Terms {
        let or_query = |name: &str| match text(body, &format!("/{name}")) {
            "" => query(name),
            given => given.to_owned(),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Terms {
            propagation: or_query("propagationPolicy"),
            grace: body["gracePeriodSeconds"].as_i64().or_else(|| query("gracePeriodSeconds").parse().ok()),
            uid: some(text(body, "/preconditions/uid")),
            resource_version: some(text(body, "/preconditions/resourceVersion")),
            dry_run: query("dryRun") == "All" || body["dryRun"] == json!(["All"]),
        }
    }
}

/// Deletes one object, or marks it for deletion where something holds it. Returns what the API answers with.
///
/// # Errors
/// 404, and 409 when it is another object or state than was meant.
pub fn delete(state: &mut State, kind: &Kind, key: &Key, terms: &Terms, now: &str) -> Result<Value, Failure> {
    let live = state.get(key).cloned().ok_or_else(|| Failure::not_found(kind, &key.name))?;
    for (what, wanted, pointer) in [
        ("UID", &terms.uid, "/metadata/uid"),
        ("ResourceVersion", &terms.resource_version, "/metadata/resourceVersion"),
    ] {
        let found = text(&live, pointer);
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != found) {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
            return Err(Failure::conflict(kind, &key.name, &why));
        }
    }
    if terms.dry_run {
        return Ok(done(kind, &live));
    }
    let marked = marked(kind, &live, terms, now);
    if write::released(kind, &marked) {
        state.remove(key);
        return Ok(done(kind, &live));
    }
    if marked == *live {
        return Ok(marked);
    }
    Ok((*state.put(key, marked)).clone())
}

/// The object with its deletion noted on it.
fn marked(kind: &Kind, live: &Arc<Value>, terms: &Terms, now: &str) -> Value {
    let mut marked = (**live).clone();
    let grace = match (kind.is("Pod"), terms.grace) {
        (false, _) => 0,
        (true, Some(seconds)) => seconds.max(0),
        (true, None) => live["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30),
    };
    // A pod that never reached a node has nobody to wait for.
    let grace = if text(live, "/spec/nodeName").is_empty() { 0 } else { grace };
    let metadata = &mut marked["metadata"];
    if metadata.get("deletionTimestamp").is_none() {
        metadata["deletionTimestamp"] = json!(now);
        metadata["deletionGracePeriodSeconds"] = json!(grace);
        if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
            metadata["generation"] = json!(generation + 1);
        }
        let finalizer = match terms.propagation.as_str() {
            "Foreground" => Some("foregroundDeletion"),
            "Orphan" => Some("orphan"),
            _ => None,
        };
        if let Some(finalizer) = finalizer {
            let mut all = metadata["finalizers"].as_array().cloned().unwrap_or_default();
            all.push(json!(finalizer));
            metadata["finalizers"] = Value::Array(all);
        }
        if kind.is("Namespace") {
            marked["status"]["phase"] = json!("Terminating");
        }
    } else if grace == 0 {
        metadata["deletionGracePeriodSeconds"] = json!(0);
    }
    marked
}

fn done(kind: &Kind, live: &Value) -> Value {
    let mut details =
        json!({"name": text(live, "/metadata/name"), "kind": kind.plural, "uid": text(live, "/metadata/uid")});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Takes one finalizer off an object, which then goes if nothing else holds it.
pub fn release(state: &mut State, key: &Key, finalizer: &str, now: &str) {
    write::edit(state, key, Part::Main, "kube-controller-manager", now, |object| {
        if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
            all.retain(|name| name != finalizer);
        }
    });
}
