//! StatefulSet: numbered pods, one after another. Its revisions are names in labels; no ControllerRevisions are kept.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::{MANAGER, pods};
use crate::cluster::clock::Clock;
use crate::cluster::store::{Key, State, items, number, text};
use crate::cluster::write;

const REVISION: &str = "controller-revision-hash";

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let set = state.get(key).cloned()?;
    let wanted = number(&set, "/spec/replicas").unwrap_or(1).max(0);
    let update = format!("{}-{}", key.name, pods::hash(&set["spec"]["template"]));
    if set.pointer("/metadata/deletionTimestamp").is_none() {
        scale(state, key, &set, wanted, &update, clock);
        replace_old(state, key, &set, wanted, &update, clock);
    }
    report(state, key, &set, wanted, &update, clock)
}

/// All its pods, those on their way out too: a number is free only when its pod is gone.
fn numbered(state: &State, set: &Value) -> Vec<(i64, Arc<Value>)> {
    let all = state.owned_objects(text(set, "/metadata/uid"), "pods");
    let number = |pod: &Value| text(pod, "/metadata/name").rsplit('-').next()?.parse().ok();
    let mut all: Vec<(i64, Arc<Value>)> = all.into_iter().filter_map(|pod| Some((number(&pod)?, pod))).collect();
    all.sort_by_key(|(number, _)| *number);
    all
}

fn scale(state: &mut State, key: &Key, set: &Value, wanted: i64, update: &str, clock: &Clock) {
    let parallel = text(set, "/spec/podManagementPolicy") == "Parallel";
    let present = numbered(state, set);
    for index in 0..wanted {
        match present.iter().find(|(number, _)| *number == index) {
            Some((_, pod)) if parallel || pods::ready(pod).is_some() && pods::is_active(pod) => {}
            Some(_) => return,
            None => {
                make(state, key, set, index, update, clock);
                if !parallel {
                    return;
                }
            }
        }
    }
    let surplus = present.iter().rev().filter(|(number, _)| *number >= wanted);
    for (_, pod) in surplus.take(if parallel { usize::MAX } else { 1 }) {
        if pods::is_active(pod) {
            pods::delete(state, key, pod, clock);
        }
    }
}

fn make(state: &mut State, key: &Key, set: &Value, index: i64, update: &str, clock: &Clock) {
    let name = format!("{}-{index}", key.name);
    let mut volumes = Vec::new();
    for template in items(set, "/spec/volumeClaimTemplates") {
        let claim = format!("{}-{name}", text(template, "/metadata/name"));
        volumes.push(json!({"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim}}));
        if state.get(&Key::new("persistentvolumeclaims", &key.namespace, &claim)).is_none() {
            let mut metadata = template["metadata"].clone();
            metadata["name"] = json!(claim);
            metadata["labels"] = set["spec"]["selector"]["matchLabels"].clone();
            let body = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]});
            write::make(state, "persistentvolumeclaims", &key.namespace, MANAGER, &clock.stamp(), body);
        }
    }
    pods::make(state, key, clock, |pod| {
        pod["metadata"]["name"] = json!(name);
        for (label, value) in [
            ("apps.kubernetes.io/pod-index", index.to_string()),
            (REVISION, update.to_owned()),
            ("statefulset.kubernetes.io/pod-name", name.clone()),
        ] {
            pod["metadata"]["labels"][label] = json!(value);
        }
        pod["spec"]["hostname"] = json!(name);
        pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
        let mut all = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        all.extend(volumes);
        pod["spec"]["volumes"] = json!(all);
    });
}

/// From the highest number down to the partition, one pod that is out of date goes when all others are ready.
fn replace_old(state: &mut State, key: &Key, set: &Value, wanted: i64, update: &str, clock: &Clock) {
    if text(set, "/spec/updateStrategy/type") != "RollingUpdate" {
        return;
    }
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    for (index, pod) in numbered(state, set).iter().rev().filter(|(index, _)| *index < wanted && *index >= partition) {
        let current = pod["metadata"]["labels"][REVISION] == update;
        if !current && pods::is_active(pod) {
            return pods::delete(state, key, pod, clock);
        }
        if pods::ready(pod).is_none() {
            tracing::trace!(index, "waits for this pod before the next is replaced");
            return;
        }
    }
}

fn report(state: &mut State, key: &Key, set: &Value, wanted: i64, update: &str, clock: &Clock) -> Option<Instant> {
    let all: Vec<Arc<Value>> = numbered(state, set).into_iter().map(|(_, pod)| pod).collect();
    let (ready, available, next) = pods::readiness(set, &all, clock);
    let updated = all.iter().filter(|pod| pod["metadata"]["labels"][REVISION] == update).count() as i64;
    let before = text(set, "/status/currentRevision");
    let settled = before.is_empty() || (updated == wanted && ready == wanted && all.len() as i64 == wanted);
    let current_revision = if settled { update } else { before };
    let current = all.iter().filter(|pod| pod["metadata"]["labels"][REVISION] == current_revision).count() as i64;
    let mut status = json!({
        "replicas": all.len(), "availableReplicas": available, "collisionCount": 0,
        "currentRevision": current_revision, "updateRevision": update,
        "observedGeneration": set["metadata"]["generation"],
    });
    let counts = [("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    pods::set_status(state, key, status, clock);
    next
}
