//! ReplicaSet: as many pods as asked for.

use std::cmp::Reverse;
use std::time::Instant;

use serde_json::{Value, json};

use super::pods;
use crate::cluster::clock::Clock;
use crate::cluster::store::{Key, State, number, text};

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let set = state.get(key).cloned()?;
    let mut active = pods::active(state, &set);
    let wanted = number(&set, "/spec/replicas").unwrap_or(1);
    if set.pointer("/metadata/deletionTimestamp").is_none() {
        let missing = wanted - active.len() as i64;
        for _ in 0..missing.max(0) {
            pods::make(state, key, clock, |_| {})?;
        }
        // Those that serve least go first, then the youngest.
        let age = |pod: &Value| text(pod, "/metadata/resourceVersion").parse::<u64>().unwrap_or(0);
        active.sort_by_key(|pod| (pods::ready(pod).is_some(), Reverse(age(pod))));
        for pod in active.iter().take((-missing).max(0) as usize) {
            pods::delete(state, key, pod, clock);
        }
    }
    let now = pods::active(state, &set);
    let (ready, available, next) = pods::readiness(&set, &now, clock);
    let mut status = json!({
        "replicas": now.len(), "terminatingReplicas": pods::leaving(state, &set),
        "observedGeneration": set["metadata"]["generation"],
    });
    let counts =
        [("fullyLabeledReplicas", now.len() as i64), ("readyReplicas", ready), ("availableReplicas", available)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    pods::set_status(state, key, status, clock);
    next
}
