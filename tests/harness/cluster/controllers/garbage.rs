//! What goes because something else went: owned objects, and what a namespace holds.

use serde_json::Value;

use super::MANAGER;
use crate::cluster::clock::Clock;
use crate::cluster::delete::{self, Terms};
use crate::cluster::store::{Key, State, items, text};
use crate::cluster::write::{self, Part};

/// Looks whether this object has to go, or holds up its own deletion for its dependents' sake.
pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) {
    let Some(object) = state.get(key).cloned() else { return };
    let orphaned = |state: &State| {
        let mut owners = items(&object, "/metadata/ownerReferences").peekable();
        owners.peek().is_some() && owners.all(|reference| !lives(state, key, reference))
    };
    if object.pointer("/metadata/deletionTimestamp").is_none() {
        if orphaned(state) {
            remove(state, key, "Background", clock);
        }
        return;
    }
    let holds = |name: &str| items(&object, "/metadata/finalizers").any(|finalizer| finalizer == name);
    let dependents = state.owned_by(text(&object, "/metadata/uid"));
    if holds("orphan") {
        for dependent in dependents {
            write::edit(state, &dependent, Part::Main, MANAGER, &clock.stamp(), |dependent| {
                if let Some(owners) = dependent["metadata"]["ownerReferences"].as_array_mut() {
                    owners.retain(|owner| owner["uid"] != object["metadata"]["uid"]);
                }
            });
        }
        delete::release(state, key, "orphan", &clock.stamp());
    } else if holds("foregroundDeletion") {
        let uid = text(&object, "/metadata/uid");
        for dependent in &dependents {
            remove(state, dependent, "Foreground", clock);
        }
        let blocks = |dependent: &Key| {
            state.get(dependent).is_some_and(|dependent| {
                let mut owners = items(dependent, "/metadata/ownerReferences");
                owners.any(|owner| text(owner, "/uid") == uid && owner["blockOwnerDeletion"] == true)
            })
        };
        if !dependents.iter().any(blocks) {
            delete::release(state, key, "foregroundDeletion", &clock.stamp());
        }
    }
}

/// Has those looked at whose own end may have waited for this object's.
pub(super) fn gone(state: &mut State, key: &Key) {
    let mut holders = vec![
        Key::new("namespaces", "", &key.namespace),
        Key::new("customresourcedefinitions.apiextensions.k8s.io", "", &key.resource),
    ];
    if let (Some(claims), "pods") = (state.table("persistentvolumeclaims"), key.resource.as_str()) {
        holders.extend(claims.within(&key.namespace).map(|claim| Key::of("persistentvolumeclaims", claim)));
    }
    for holder in holders {
        if state.get(&holder).is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some()) {
            state.touch(holder);
        }
    }
}

fn lives(state: &State, key: &Key, reference: &Value) -> bool {
    // An owner of a kind that is not served cannot be looked up: a real collector leaves its dependents alone too.
    let Some(owner) = state.owner(key, reference) else { return true };
    state.get(&owner).is_some_and(|owner| text(owner, "/metadata/uid") == text(reference, "/uid"))
}

/// Deletes, unless that was done before.
pub(super) fn remove(state: &mut State, key: &Key, propagation: &str, clock: &Clock) {
    let Some(kind) = state.kind_of(&key.resource) else { return };
    let gone = state.get(key).is_none_or(|object| object.pointer("/metadata/deletionTimestamp").is_some());
    if !gone {
        let terms = Terms { propagation: propagation.to_owned(), ..Terms::default() };
        let _ = delete::delete(state, &kind, key, &terms, &clock.stamp());
    }
}
