//! The end of every write: what the server assigns, whether the result may stand, whether anything changed, the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Part, Write, Written};
use crate::cluster::assign;
use crate::cluster::failure::{Failure, Problem};
use crate::cluster::fields::managed::{Managed, same_but_for_time};
use crate::cluster::fields::walk::same;
use crate::cluster::kinds::Kind;
use crate::cluster::store::{Key, State, text};
use crate::cluster::validate;

/// A namespace has to be there, and to stay, before anything is created in it.
pub(super) fn namespace_ready(state: &State, kind: &Kind, key: &Key) -> Result<(), Failure> {
    if !kind.namespaced {
        return Ok(());
    }
    let name = &key.namespace;
    let namespaces = state.kind("", "v1", "namespaces");
    let Some(namespace) = state.get(&Key::new("namespaces", "", name)) else {
        return Err(namespaces.map_or_else(Failure::no_such_path, |kind| Failure::not_found(&kind, name)));
    };
    if namespace.pointer("/metadata/deletionTimestamp").is_some() {
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        let mut failure = Failure::forbidden(kind, &key.name, &why);
        if let Some(details) = failure.details.as_mut() {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {name} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        return Err(failure);
    }
    Ok(())
}

/// Takes the managers off an object.
pub(super) fn take_managed(object: &mut Value) -> Managed {
    let managed = Managed::of(object);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    managed
}

/// The managers that an update starts from: those in the body if it names any (an empty list resets), else the live ones.
pub(super) fn managed_before(live: &Value, body: &Value, part: Part) -> Managed {
    let given = body.pointer("/metadata/managedFields").and_then(Value::as_array);
    let resets = |list: &&Vec<Value>| list.is_empty() || list.as_slice() == [json!({})];
    match given {
        Some(_) if part != Part::Main => Managed::of(live),
        Some(list) if resets(&list) => Managed::default(),
        Some(_) => {
            let managed = Managed::of(body);
            if managed.0.is_empty() { Managed::of(live) } else { managed }
        }
        None => Managed::of(live),
    }
}

/// Stores a new object.
pub(super) fn create(
    state: &mut State,
    write: &Write,
    mut object: Value,
    managed: &Managed,
    warnings: Vec<String>,
) -> Result<Written, Failure> {
    for name in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "managedFields"] {
        break_off(&mut object, name);
    }
    if write.kind.status {
        object.as_object_mut().map(|map| map.remove("status"));
        crate::cluster::schema::normal::normalise(&mut object, &write.kind.shape);
    }
    assign::on_create(state, &write.kind, &mut object, &write.now);
    object["apiVersion"] = json!(write.kind.api_version());
    object["kind"] = json!(write.kind.kind);
    if !managed.0.is_empty() {
        object["metadata"]["managedFields"] = managed.encode();
    }
    let problems = validate::problems(&write.kind, &object, None);
    if !problems.is_empty() {
        return Err(Failure::invalid(&write.kind, &write.key.name, &problems));
    }
    if state.get(&write.key).is_some() {
        return Err(Failure::exists(&write.kind, &write.key.name));
    }
    let object = if write.dry_run { Arc::new(object) } else { state.put(&write.key, object) };
    Ok(Written { object, created: true, warnings })
}

fn break_off(object: &mut Value, name: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove(name);
    }
}

/// Stores a changed object, if it did change.
pub(super) fn update(
    state: &mut State,
    write: &Write,
    live: &Arc<Value>,
    mut object: Value,
    managed: &Managed,
    warnings: Vec<String>,
) -> Result<Written, Failure> {
    let Write { kind, key, .. } = write;
    let (uid, revision) = (text(&object, "/metadata/uid"), text(&object, "/metadata/resourceVersion"));
    let live_revision = text(live, "/metadata/resourceVersion");
    let other = (!uid.is_empty() && uid != text(live, "/metadata/uid")).then(|| json!(uid));
    if !revision.is_empty() && revision != live_revision {
        return Err(Failure::modified(kind, &key.name));
    }
    keep(&mut object, live);
    if kind.status && write.part != Part::Status {
        match live.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().and_then(|map| map.remove("status"))),
        }
    }
    if write.part == Part::Status {
        object = by_status(kind, live, object);
    }
    assign::on_update(state, kind, &mut object, live);
    let mut problems = validate::problems(kind, &object, Some(live));
    if let Some(uid) = other {
        // Of all objects, and once more of each kind.
        let problem = Problem::invalid("metadata.uid", &uid, "field is immutable");
        problems.splice(0..0, [problem.clone(), problem]);
    }
    if !problems.is_empty() {
        return Err(Failure::invalid(kind, &key.name, &problems));
    }
    if managed.0.is_empty() {
        break_off(&mut object, "managedFields");
    } else {
        object["metadata"]["managedFields"] = managed.encode();
    }
    if unchanged(&object, live) {
        return Ok(Written { object: live.clone(), created: false, warnings });
    }
    if kind.generation && meant_changed(kind, write.part, &object, live) {
        object["metadata"]["generation"] =
            json!(live.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0) + 1);
    }
    if write.dry_run {
        return Ok(Written { object: Arc::new(object), created: false, warnings });
    }
    let object = state.put(key, object);
    let object = if released(kind, &object) { state.remove(key).unwrap_or(object) } else { object };
    Ok(Written { object, created: false, warnings })
}

/// What is written by the way of the status: the status, and metadata.
pub(super) fn seen(live: &Value, mut object: Value) -> Value {
    let mut whole = live.clone();
    let status = object["status"].take();
    whole["metadata"] = object["metadata"].take();
    if let Some(map) = whole.as_object_mut() {
        map.remove("status");
        if !status.is_null() {
            map.insert("status".to_owned(), status);
        }
    }
    whole
}

/// What an object becomes by that way: of its metadata a kind may let nothing through, or no labels.
fn by_status(kind: &Kind, live: &Value, object: Value) -> Value {
    let mut whole = seen(live, object);
    if kind.custom {
        whole["metadata"] = live["metadata"].clone();
    } else if kind.is("Deployment") {
        match live["metadata"].get("labels") {
            Some(labels) => whole["metadata"]["labels"] = labels.clone(),
            None => break_off(&mut whole, "labels"),
        }
    }
    whole
}

/// What a client cannot change.
fn keep(object: &mut Value, live: &Value) {
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "generateName",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        match live["metadata"].get(name) {
            Some(value) => object["metadata"][name] = value.clone(),
            None => break_off(object, name),
        }
    }
    object["apiVersion"] = live["apiVersion"].clone();
    object["kind"] = live["kind"].clone();
}

fn unchanged(object: &Value, live: &Value) -> bool {
    let (new, old) = (&object["metadata"]["managedFields"], &live["metadata"]["managedFields"]);
    let same_managers = same_but_for_time(new, old);
    let rest = |object: &Value| {
        let mut rest = object.clone();
        break_off(&mut rest, "managedFields");
        rest
    };
    same_managers && same(&rest(object), &rest(live))
}

/// Whether what was asked for changed, as opposed to what was observed.
fn meant_changed(kind: &Kind, part: Part, object: &Value, live: &Value) -> bool {
    let meant = |object: &Value| {
        let mut meant = object.clone();
        if let Some(map) = meant.as_object_mut() {
            map.remove("metadata");
            if kind.status || !kind.custom {
                map.remove("status");
            }
            if kind.is("Deployment") && part == Part::Main {
                map.insert("annotations".into(), object["metadata"]["annotations"].clone());
            }
        }
        meant
    };
    !same(&meant(object), &meant(live))
}

/// Whether an object that is being deleted has nothing left that holds it.
pub fn released(kind: &Kind, object: &Value) -> bool {
    let held = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let graceful = kind.is("Pod") && object["metadata"]["deletionGracePeriodSeconds"] != 0;
    let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
    let finalised = kind.is("Namespace") && held("/spec/finalizers");
    deleting && !(graceful || finalised || held("/metadata/finalizers"))
}
