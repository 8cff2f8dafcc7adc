//! Pods as their owners see them: made from a template, counted, chosen for removal.

use std::sync::Arc;

use serde_json::{Value, json};

use super::MANAGER;
use crate::cluster::clock::Clock;
use crate::cluster::delete;
use crate::cluster::events;
use crate::cluster::ids::digits;
use crate::cluster::store::{Key, State, items, number, text};
use crate::cluster::write;

/// The reference to a controlling owner.
pub(super) fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// A pod from the owner's template. `edit` gives it what its owner adds.
pub(super) fn make(state: &mut State, owner_key: &Key, clock: &Clock, edit: impl FnOnce(&mut Value)) -> Option<Key> {
    let object = state.get(owner_key).cloned()?;
    let template = &object["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"],
    });
    pod["metadata"]["generateName"] = json!(format!("{}-", owner_key.name));
    pod["metadata"]["ownerReferences"] = json!([owner(&object)]);
    edit(&mut pod);
    let made = write::make(state, "pods", &owner_key.namespace, MANAGER, &clock.stamp(), pod)?;
    let component = format!("{}-controller", text(&object, "/kind").to_lowercase());
    let message = format!("Created pod: {}", made.name);
    events::record(state, owner_key, ("Normal", "SuccessfulCreate", &message), &component, clock);
    Some(made)
}

/// Deletes a pod for its owner.
pub(super) fn delete(state: &mut State, owner_key: &Key, pod: &Value, clock: &Clock) {
    let key = Key::of("pods", pod);
    let Some(kind) = state.kind_of("pods") else { return };
    if delete::delete(state, &kind, &key, &delete::Terms::default(), &clock.stamp()).is_ok() {
        let kind = state.get(owner_key).map(|owner| text(owner, "/kind").to_lowercase()).unwrap_or_default();
        let message = format!("Deleted pod: {}", key.name);
        let component = format!("{kind}-controller");
        events::record(state, owner_key, ("Normal", "SuccessfulDelete", &message), &component, clock);
    }
}

/// The owner's pods that are there and not on their way out.
pub(super) fn active(state: &State, owner: &Value) -> Vec<Arc<Value>> {
    let all = state.owned_objects(text(owner, "/metadata/uid"), "pods");
    all.into_iter().filter(|pod| is_active(pod)).collect()
}

/// How many of the owner's pods are on their way out.
pub(super) fn leaving(state: &State, owner: &Value) -> usize {
    let all = state.owned_objects(text(owner, "/metadata/uid"), "pods");
    all.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_some()).count()
}

/// Neither ended nor being deleted.
pub(super) fn is_active(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && !["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
}

/// Whether it is ready, and since when.
pub(super) fn ready(pod: &Value) -> Option<&str> {
    let condition = items(pod, "/status/conditions").find(|condition| condition["type"] == "Ready")?;
    (condition["status"] == "True").then(|| text(condition, "/lastTransitionTime"))
}

/// How many of the pods are ready, how many are so for long enough, and when the next one will be.
pub(super) fn readiness(owner: &Value, pods: &[Arc<Value>], clock: &Clock) -> (i64, i64, Option<std::time::Instant>) {
    let seconds = number(owner, "/spec/minReadySeconds").unwrap_or(0);
    let since: Vec<&str> = pods.iter().filter_map(|pod| ready(pod)).collect();
    let later: Vec<_> =
        since.iter().filter_map(|since| if seconds == 0 { None } else { clock.later(since, seconds) }).collect();
    (since.len() as i64, (since.len() - later.len()) as i64, later.into_iter().min())
}

/// The short name of a template: the same for the same content.
pub(super) fn hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digits = digits(&template.to_string(), 20);
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let value =
            pair.iter().fold(0_usize, |sum, digit| sum * 16 + (*digit as char).to_digit(16).unwrap_or(0) as usize);
        char::from(LETTERS[value % LETTERS.len()])
    });
    pairs.collect()
}

/// Writes the status of an object if it is another than it has.
pub(super) fn set_status(state: &mut State, key: &Key, status: Value, clock: &Clock) {
    let same = state.get(key).is_none_or(|object| object["status"] == status);
    if !same {
        write::edit(state, key, write::Part::Status, MANAGER, &clock.stamp(), |object| object["status"] = status);
    }
}

/// A condition; its transition time is kept while its status is.
pub(super) fn condition(object: &Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    let before = items(object, "/status/conditions").find(|before| before["type"] == kind);
    let since = before.filter(|before| before["status"] == status).map(|before| text(before, "/lastTransitionTime"));
    json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since.unwrap_or(now),
    })
}
