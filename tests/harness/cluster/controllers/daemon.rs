//! DaemonSet: one pod on our one node.

use std::time::Instant;

use serde_json::json;

use super::{Clock, pods};
use crate::cluster::store::{Key, State, text};

const REVISION: &str = "controller-revision-hash";

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let set = state.get(key).cloned()?;
    let update = pods::hash(&set["spec"]["template"]);
    let all = state.owned_objects(text(&set, "/metadata/uid"), "pods");
    if set.pointer("/metadata/deletionTimestamp").is_none() {
        if all.is_empty() {
            pods::make(state, key, clock, |pod| pod["metadata"]["labels"][REVISION] = json!(update));
        }
        let rolls = text(&set, "/spec/updateStrategy/type") == "RollingUpdate";
        let old = all.iter().find(|pod| pods::is_active(pod) && pod["metadata"]["labels"][REVISION] != update);
        if let (true, Some(pod)) = (rolls, old) {
            pods::delete(state, key, pod, clock);
        }
    }
    let now = pods::active(state, &set);
    let (ready, available, next) = pods::readiness(&set, &now, clock);
    let updated = now.iter().filter(|pod| pod["metadata"]["labels"][REVISION] == update).count();
    let mut status = json!({
        "currentNumberScheduled": now.len(), "desiredNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": ready,
        "observedGeneration": set["metadata"]["generation"],
    });
    let counts = [
        ("numberAvailable", available),
        ("numberUnavailable", 1 - available),
        ("updatedNumberScheduled", updated as i64),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    pods::set_status(state, key, status, clock);
    next
}
