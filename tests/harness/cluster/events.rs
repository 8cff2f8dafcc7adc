//! Events: what a person reads in `kubectl describe`.

use serde_json::json;

use super::clock::Clock;
use super::ids::digits;
use super::store::{Key, State, number, text};
use super::write::{self, Part};

/// Events kept; the oldest go first. A real cluster keeps them for an hour, which no play here lasts on busy objects.
const EVENTS_MAX: usize = 1_000;

/// Records an event about an object: `(type, reason, message)`. The same again is counted, not repeated.
pub fn record(
    state: &mut State,
    about: &Key,
    (kind, reason, message): (&str, &str, &str),
    component: &str,
    clock: &Clock,
) {
    let Some(object) = state.get(about).cloned() else { return };
    let uid = text(&object, "/metadata/uid").to_owned();
    let namespace = if about.namespace.is_empty() { "default" } else { about.namespace.as_str() };
    let name = format!("{}.{}", about.name, digits(&format!("{uid}{reason}{message}"), 16));
    let key = Key::new("events", namespace, &name);
    let now = clock.stamp();
    if state.get(&key).is_some() {
        write::edit(state, &key, Part::Main, component, &now, |event| {
            event["count"] = json!(number(event, "/count").unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
        });
        return;
    }
    let involved = json!({
        "kind": object["kind"], "namespace": about.namespace, "name": about.name, "uid": uid,
        "apiVersion": object["apiVersion"], "resourceVersion": object["metadata"]["resourceVersion"],
    });
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "involvedObject": involved,
        "type": kind, "reason": reason, "message": message, "source": {"component": component},
        "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        "reportingComponent": component, "reportingInstance": "",
    });
    if let Some(key) = write::make(state, "events", namespace, component, &now, event) {
        state.recorded.push_back(key);
    }
    while state.recorded.len() > EVENTS_MAX {
        let oldest = state.recorded.pop_front();
        oldest.and_then(|key| state.remove(&key));
    }
}
