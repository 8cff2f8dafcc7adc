//! PATCH by server-side apply.

use serde_json::{Value, json};

use super::checks::{complete, matches_url};
use super::{Write, Written, commit};
use crate::cluster::failure::Failure;
use crate::cluster::fields::apply::{ApplyError, Terms, apply as merge, conflict_causes, conflict_message, update};
use crate::cluster::fields::managed::Manager;
use crate::cluster::schema::normal;
use crate::cluster::store::{State, text};

/// PATCH by server-side apply.
pub(super) fn apply(state: &mut State, write: &Write, applied: Value) -> Result<Written, Failure> {
    let api_version = write.kind.api_version();
    let (given, named) = (text(&applied, "/apiVersion"), text(&applied, "/kind"));
    if given != api_version || named != write.kind.kind {
        let given = if given.contains('/') { given.to_owned() } else { format!("/{given}") };
        return Err(Failure::bad_request(format!("invalid object type: {given}, Kind={named}")));
    }
    if applied.pointer("/metadata/managedFields").is_some_and(|managed| !managed.is_null()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let live = state.get(&write.key).cloned();
    if live.is_none() {
        commit::namespace_ready(state, &write.kind, &write.key)?;
        let uid = text(&applied, "/metadata/uid");
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(&write.kind, &write.key.name, &why));
        }
    }
    let (manager, ignored, empty) = (write.by(true), write.ignored(), write.empty());
    let shape = &write.kind.shape;
    let terms = Terms { manager: &manager, shape, ignored: &ignored, force: write.force, now: &write.now };
    let mut base = live.as_deref().cloned().unwrap_or_else(|| empty.clone());
    base["apiVersion"] = json!(api_version);
    let managed = commit::take_managed(&mut base);
    let managed = match (&live, managed.0.is_empty()) {
        (Some(_), true) => {
            let first = Manager { applies: false, name: "before-first-apply".into(), ..manager.clone() };
            update(&empty, &base, &managed, &Terms { manager: &first, ..terms })
        }
        _ => managed,
    };
    let terms = Terms { manager: &manager, shape, ignored: &ignored, force: write.force, now: &write.now };
    let (mut object, managed) = merge(&base, &applied, &managed, &terms).map_err(|error| match error {
        ApplyError::Untyped(found) => {
            let (group_version, kind) = (&api_version, &write.kind.kind);
            let namespace = text(&applied, "/metadata/namespace");
            let name = text(&applied, "/metadata/name");
            let about = format!("{namespace}/{name}; {group_version}, Kind={kind}");
            let about = if write.kind.group.is_empty() { about.replace("; v1", "; /v1") } else { about };
            Failure::internal(format!("failed to create typed patch object ({about}): {found}"))
        }
        ApplyError::Conflict(conflicts) => {
            Failure::apply_conflict(conflict_message(&conflicts), conflict_causes(&conflicts))
        }
    })?;
    normal::normalise(&mut object, shape);
    matches_url(write, &object)?;
    match live {
        Some(live) => {
            complete(&write.kind, &mut object)?;
            commit::update(state, write, &live, object, &managed, Vec::new())
        }
        None => {
            object["metadata"]["name"] = json!(write.key.name);
            if write.kind.namespaced {
                object["metadata"]["namespace"] = json!(write.key.namespace);
            }
            complete(&write.kind, &mut object)?;
            commit::create(state, write, object, &managed, Vec::new())
        }
    }
}
