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
    /// Reads a `DeleteOptions` body; without one, the query.
    pub fn read(body: &Value, query: &dyn Fn(&str) -> String) -> Terms {
        let query = |name: &str| if body.is_null() { query(name) } else { String::new() };
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

/// Holds a definition that is being deleted until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What a deletion answers with.
#[derive(Debug)]
pub struct Deleted {
    /// A `Status`, or the object for kinds that show it once more.
    pub body: Value,
    /// What a person should know.
    pub warning: Option<&'static str>,
}

/// Deletes one object, or marks it for deletion where something holds it.
///
/// # Errors
/// 404, and 409 when it is another object or state than was meant.
pub fn delete(state: &mut State, kind: &Kind, key: &Key, terms: &Terms, now: &str) -> Result<Deleted, Failure> {
    let live = state.get(key).cloned().ok_or_else(|| Failure::not_found(kind, &key.name))?;
    let again = "The object might have been deleted and then recreated";
    let changed = "The object might have been modified";
    for (what, wanted, pointer, hint) in [
        ("UID", &terms.uid, "/metadata/uid", again),
        ("ResourceVersion", &terms.resource_version, "/metadata/resourceVersion", changed),
    ] {
        let found = text(&live, pointer);
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != found) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). {hint}"
            );
            // The server names the kind here, not the resource.
            let named = Kind { plural: kind.kind.clone(), ..kind.clone() };
            return Err(Failure::conflict(&named, &key.name, &why));
        }
    }
    // A quirk of old that a real server has kept: who says nothing leaves the pods of a Job behind.
    let spares = kind.is("Job") && terms.propagation.is_empty();
    let warning = spares.then_some(
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    );
    let marked = marked(kind, &live, terms, now);
    let body = if write::released(kind, &marked) {
        if !terms.dry_run {
            state.remove(key);
        }
        done(kind, &live)
    } else if terms.dry_run || marked == *live {
        marked
    } else {
        (*state.put(key, marked)).clone()
    };
    Ok(Deleted { body, warning })
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
        if !kind.is("Namespace") {
            metadata["deletionGracePeriodSeconds"] = json!(grace);
        }
        if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
            metadata["generation"] = json!(generation + 1);
        }
        let finalizer = match terms.propagation.as_str() {
            "Foreground" => Some("foregroundDeletion"),
            "Orphan" => Some("orphan"),
            "" if kind.is("Job") => Some("orphan"),
            _ => None,
        };
        let cleanup = kind.is("CustomResourceDefinition").then_some(CLEANUP);
        let mut all = metadata["finalizers"].as_array().cloned().unwrap_or_default();
        all.extend(finalizer.into_iter().chain(cleanup).map(|finalizer| json!(finalizer)));
        if !all.is_empty() {
            metadata["finalizers"] = Value::Array(all);
        }
        if kind.is("Namespace") {
            marked["status"]["phase"] = json!("Terminating");
        }
    } else if grace == 0 && !kind.is("Namespace") {
        metadata["deletionGracePeriodSeconds"] = json!(0);
    }
    marked
}

fn done(kind: &Kind, live: &Value) -> Value {
    let shown = ["Pod", "Service", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "ResourceQuota"];
    if !kind.custom && shown.contains(&kind.kind.as_str()) {
        return live.clone();
    }
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
