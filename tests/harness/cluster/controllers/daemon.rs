//! DaemonSet: one pod on our one node.

use std::time::Instant;

use serde_json::{Value, json};

use super::pods;
use crate::cluster::clock::Clock;
use crate::cluster::kubelet::NODE;
use crate::cluster::store::{Key, State, text};

const REVISION: &str = "controller-revision-hash";

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let set = state.get(key).cloned()?;
    let update = pods::hash(&set["spec"]["template"]);
    let all = state.owned_objects(text(&set, "/metadata/uid"), "pods");
    let wanted = i64::from(node_selected(state, &set));
    if set.pointer("/metadata/deletionTimestamp").is_none() {
        if all.is_empty() && wanted == 1 {
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
        "currentNumberScheduled": now.len(), "desiredNumberScheduled": wanted, "numberMisscheduled": 0, "numberReady": ready,
        "observedGeneration": set["metadata"]["generation"],
    });
    let counts = [
        ("numberAvailable", available),
        ("numberUnavailable", wanted - available),
        ("updatedNumberScheduled", updated as i64),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    pods::set_status(state, key, status, clock);
    next
}

/// Whether the template lets its pods onto our node.
fn node_selected(state: &State, set: &Value) -> bool {
    let node = state.get(&Key::new("nodes", "", NODE));
    let labels = node.and_then(|node| node.pointer("/metadata/labels"));
    let wanted = set.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
    wanted.into_iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}
