//! Deployment: a ReplicaSet for each template it had, the newest grown while the others shrink.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::rollout::{self, Set, Slack};
use super::{MANAGER, pods};
use crate::cluster::clock::Clock;
use crate::cluster::delete;
use crate::cluster::events;
use crate::cluster::store::{Key, State, items, number, text};
use crate::cluster::write::{self, Part};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let deployment = state.get(key).cloned()?;
    if deployment.pointer("/metadata/deletionTimestamp").is_some() {
        let (new, old) = sets(state, &deployment);
        return report(state, key, &deployment, (new.as_deref(), &old), (None, None), clock);
    }
    let (mut new, mut old) = sets(state, &deployment);
    let paused = deployment["spec"]["paused"] == true;
    let mut made = None;
    if new.is_none() && !paused {
        made = make(state, key, &deployment, &old, clock);
        (new, old) = sets(state, &deployment);
    }
    let revision = new.as_ref().map(|new| settle_revision(state, new, &old, clock));
    let wanted = number(&deployment, "/spec/replicas").unwrap_or(1);
    scale(state, key, &deployment, wanted, paused, clock);
    let (new, old) = sets(state, &deployment);
    let next = report(state, key, &deployment, (new.as_deref(), &old), (revision, made.as_deref()), clock);
    forget_old(state, &deployment, &old, clock);
    next
}

/// The ReplicaSet of the present template, and the others, oldest first.
fn sets(state: &State, deployment: &Value) -> (Option<Arc<Value>>, Vec<Arc<Value>>) {
    let mut all = state.owned_objects(text(deployment, "/metadata/uid"), "replicasets.apps");
    all.retain(|set| set.pointer("/metadata/deletionTimestamp").is_none());
    all.sort_by_key(|set| revision_of(set));
    let template = &deployment["spec"]["template"];
    let new = all.iter().position(|set| bare(&set["spec"]["template"]) == *template).map(|at| all.remove(at));
    (new, all)
}

/// A template without the label that tells it from the others.
fn bare(template: &Value) -> Value {
    let mut bare = template.clone();
    if let Some(labels) = bare["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    bare
}

fn revision_of(set: &Value) -> i64 {
    set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn make(state: &mut State, key: &Key, deployment: &Value, old: &[Arc<Value>], clock: &Clock) -> Option<String> {
    let hash = pods::hash(&deployment["spec"]["template"]);
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let slack = Slack::of(deployment, wanted);
    let old: Vec<Set> = old.iter().map(|set| Set::of(set)).collect();
    let (replicas, _) = rollout::step(wanted, slack, Set { wanted: 0, available: 0, present: 0 }, &old);
    let mut annotations = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations.remove(REVISION);
    annotations.insert("deployment.kubernetes.io/desired-replicas".into(), json!(wanted.to_string()));
    annotations.insert("deployment.kubernetes.io/max-replicas".into(), json!((wanted + slack.surge).to_string()));
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", key.name), "labels": template["metadata"]["labels"],
            "annotations": annotations, "ownerReferences": [pods::owner(deployment)],
        },
        "spec": {
            "replicas": replicas, "selector": selector, "template": template,
            "minReadySeconds": deployment["spec"]["minReadySeconds"],
        },
    });
    let made = write::make(state, "replicasets.apps", &key.namespace, MANAGER, &clock.stamp(), set)?;
    if replicas > 0 {
        tell_scaling(state, key, &made.name, (0, replicas), clock);
    }
    Some(made.name)
}

/// The newest ReplicaSet has the highest revision, also when it comes back after a rollback.
fn settle_revision(state: &mut State, new: &Value, old: &[Arc<Value>], clock: &Clock) -> i64 {
    let highest = old.iter().map(|set| revision_of(set)).max().unwrap_or(0);
    let revision = revision_of(new).max(highest + 1);
    if revision != revision_of(new) {
        let key = Key::of("replicasets.apps", new);
        write::edit(state, &key, Part::Main, MANAGER, &clock.stamp(), |set| {
            set["metadata"]["annotations"][REVISION] = json!(revision.to_string());
        });
    }
    revision
}

fn scale(state: &mut State, key: &Key, deployment: &Value, wanted: i64, paused: bool, clock: &Clock) {
    let (new, old) = sets(state, deployment);
    let Some(new) = new else { return };
    let before: Vec<Set> = old.iter().map(|set| Set::of(set)).collect();
    let quiet = before.iter().all(|set| set.wanted == 0);
    if paused && !quiet {
        return; // a rollout that is held keeps its numbers
    }
    let (grown, shrunk) = rollout::step(wanted, Slack::of(deployment, wanted), Set::of(&new), &before);
    set_replicas(state, key, &new, grown, clock);
    for (set, replicas) in old.iter().zip(shrunk) {
        set_replicas(state, key, set, replicas, clock);
    }
}

fn set_replicas(state: &mut State, key: &Key, set: &Value, replicas: i64, clock: &Clock) {
    let before = number(set, "/spec/replicas").unwrap_or(0);
    if before == replicas {
        return;
    }
    let set_key = Key::of("replicasets.apps", set);
    write::edit(state, &set_key, Part::Main, MANAGER, &clock.stamp(), |set| set["spec"]["replicas"] = json!(replicas));
    tell_scaling(state, key, &set_key.name, (before, replicas), clock);
}

fn tell_scaling(state: &mut State, key: &Key, set: &str, (from, to): (i64, i64), clock: &Clock) {
    let way = if to > from { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {set} from {from} to {to}");
    events::record(state, key, ("Normal", "ScalingReplicaSet", &message), "deployment-controller", clock);
}

/// Writes the status. Returns when the rollout will have taken too long.
fn report(
    state: &mut State,
    key: &Key,
    deployment: &Value,
    (new, old): (Option<&Value>, &[Arc<Value>]),
    (revision, made): (Option<i64>, Option<&str>),
    clock: &Clock,
) -> Option<Instant> {
    let sum = |pointer: &str| {
        let all = old.iter().map(|set| &**set).chain(new);
        all.map(|set| number(set, pointer).unwrap_or(0)).sum::<i64>()
    };
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let updated = new.and_then(|new| number(new, "/status/replicas")).unwrap_or(0);
    let (total, ready, available) =
        (sum("/status/replicas"), sum("/status/readyReplicas"), sum("/status/availableReplicas"));
    let unavailable = (sum("/spec/replicas") - available).max(0);
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "terminatingReplicas": sum("/status/terminatingReplicas"),
    });
    let counts = [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", unavailable),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    let now = clock.stamp();
    let least = wanted - Slack::of(deployment, wanted).unavailable;
    let (yes, reason, message) = if available >= least {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let mut serving = pods::condition(deployment, "Available", yes, reason, message, &now);
    touch_update(deployment, &mut serving, &now, false);
    let complete = updated == wanted && total == wanted && available == wanted;
    let moved = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|name| status.get(*name) != deployment["status"].get(*name));
    let (progress, next) = progressing(deployment, new, made, complete, moved, clock);
    // What says something new goes to the end.
    let mut conditions: Vec<Value> = items(deployment, "/status/conditions").cloned().collect();
    for condition in [progress, serving] {
        if !conditions.contains(&condition) {
            conditions.retain(|before| before["type"] != condition["type"]);
            conditions.push(condition);
        }
    }
    status["conditions"] = json!(conditions);
    let annotated = revision.map(|revision| revision.to_string());
    let same_revision = annotated.as_deref().is_none_or(|text| deployment["metadata"]["annotations"][REVISION] == text);
    if deployment["status"] != status || !same_revision {
        write::edit(state, key, Part::Status, MANAGER, &now, |object| {
            object["status"] = status;
            if let Some(revision) = annotated {
                object["metadata"]["annotations"][REVISION] = json!(revision);
            }
        });
    }
    next
}

/// The condition that tells how the rollout goes, and when it will be late.
fn progressing(
    deployment: &Value,
    new: Option<&Value>,
    made: Option<&str>,
    complete: bool,
    moved: bool,
    clock: &Clock,
) -> (Value, Option<Instant>) {
    let now = clock.stamp();
    let before = items(deployment, "/status/conditions").find(|condition| condition["type"] == "Progressing");
    let reason_before = before.map_or("", |before| text(before, "/reason"));
    let name = new.map_or("", |new| text(new, "/metadata/name"));
    let deadline = number(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let since = before.map_or(now.as_str(), |before| text(before, "/lastUpdateTime"));
    let late = clock.later(since, deadline);
    let say = |status: &str, reason: &str, message: String, fresh: bool| {
        let mut condition = pods::condition(deployment, "Progressing", status, reason, &message, &now);
        touch_update(deployment, &mut condition, &now, fresh);
        condition
    };
    let about_new = |template: &str| text_of(before, name, template);
    if deployment["spec"]["paused"] == true {
        return (say("Unknown", "DeploymentPaused", "Deployment is paused".to_owned(), false), None);
    }
    if let Some(made) = made {
        let condition = say("True", "NewReplicaSetCreated", format!("Created new replica set {made:?}"), true);
        return (condition, Some(clock.instant + std::time::Duration::from_secs(deadline.max(0) as u64)));
    }
    if complete || (reason_before == "NewReplicaSetAvailable" && message_names(before, name)) {
        let message = format!("ReplicaSet {name:?} has successfully progressed.");
        return (say("True", "NewReplicaSetAvailable", message, reason_before != "NewReplicaSetAvailable"), None);
    }
    if moved || before.is_none() {
        let condition = say("True", "ReplicaSetUpdated", format!("ReplicaSet {name:?} is progressing."), true);
        return (condition, Some(clock.instant + std::time::Duration::from_secs(deadline.max(0) as u64)));
    }
    if late.is_none() || reason_before == "ProgressDeadlineExceeded" {
        let message = format!("ReplicaSet {name:?} has timed out progressing.");
        return (say("False", "ProgressDeadlineExceeded", message, reason_before != "ProgressDeadlineExceeded"), None);
    }
    let reason = if reason_before.is_empty() { "ReplicaSetUpdated" } else { reason_before };
    (say("True", reason, about_new("is progressing."), false), late)
}

/// The message that stands, or a first one.
fn text_of(before: Option<&Value>, name: &str, template: &str) -> String {
    match before.map(|before| text(before, "/message")) {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("ReplicaSet {name:?} {template}"),
    }
}

fn message_names(before: Option<&Value>, name: &str) -> bool {
    before.is_some_and(|before| text(before, "/message").contains(&format!("{name:?}")))
}

/// `lastUpdateTime` moves when the condition says something new, or when `fresh`.
fn touch_update(deployment: &Value, condition: &mut Value, now: &str, fresh: bool) {
    let kind = condition["type"].clone();
    let before = items(deployment, "/status/conditions").find(|before| before["type"] == kind);
    let same = before
        .filter(|before| !fresh && before["reason"] == condition["reason"] && before["status"] == condition["status"]);
    condition["lastUpdateTime"] = json!(same.map_or(now, |before| text(before, "/lastUpdateTime")));
}

/// Old ReplicaSets beyond the history that is to be kept go.
fn forget_old(state: &mut State, deployment: &Value, old: &[Arc<Value>], clock: &Clock) {
    let keep = number(deployment, "/spec/revisionHistoryLimit").unwrap_or(10).max(0) as usize;
    let empty: Vec<&Arc<Value>> = old
        .iter()
        .filter(|set| number(set, "/spec/replicas") == Some(0) && number(set, "/status/replicas").unwrap_or(0) == 0)
        .collect();
    let Some(kind) = state.kind_of("replicasets.apps") else { return };
    for set in empty.iter().take(empty.len().saturating_sub(keep)) {
        let key = Key::of("replicasets.apps", set);
        let _ = delete::delete(state, &kind, &key, &delete::Terms::default(), &clock.stamp());
    }
}
