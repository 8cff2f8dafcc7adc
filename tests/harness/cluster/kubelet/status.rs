//! The status of a pod, as the kubelet writes it. Pure.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::container::{Container, Ended, State};
use super::{NODE_IP, Pod};
use crate::cluster::Pace;
use crate::cluster::clock::stamp;
use crate::cluster::ids::digits;
use crate::cluster::store::{items, number, text};

/// The status of this pod now.
pub(super) fn of(object: &Value, pod: &Pod, now: Instant, clock: Timestamp, pace: &Pace) -> Value {
    let ended = |container: &Container| match &container.state {
        State::Ended(ended, None) => Some(ended.code),
        _ => None,
    };
    let initialised = pod.init.iter().all(|container| ended(container) == Some(0));
    let codes: Vec<Option<i32>> = pod.containers.iter().map(ended).collect();
    let over = codes.iter().all(Option::is_some);
    let failed = pod.init.iter().any(|container| ended(container).is_some_and(|code| code != 0));
    let begun = pod.containers.iter().any(|container| !container.image_id.is_empty());
    let phase = match () {
        () if failed => "Failed",
        () if over && codes.iter().all(|code| *code == Some(0)) => "Succeeded",
        () if over => "Failed",
        () if begun => "Running",
        () => "Pending",
    };
    let lagging: Vec<&str> = pod
        .containers
        .iter()
        .filter(|container| !container.ready(now, pace))
        .map(|container| container.name.as_str())
        .collect();
    let ready = lagging.is_empty() && pod.stop.is_none();
    let unready = match () {
        () if ready => None,
        () if phase == "Succeeded" => Some(("PodCompleted", String::new())),
        () if phase == "Failed" => Some(("PodFailed", String::new())),
        () => Some(("ContainersNotReady", format!("containers with unready status: [{}]", lagging.join(" ")))),
    };
    let uninitialised = (!initialised).then(|| {
        let names: Vec<&str> =
            pod.init.iter().filter(|one| ended(one) != Some(0)).map(|container| container.name.as_str()).collect();
        ("ContainersNotInitialized", format!("containers with incomplete status: [{}]", names.join(" ")))
    });
    let generation = number(object, "/metadata/generation");
    let ended = ["Succeeded", "Failed"].contains(&phase).then(|| ("", String::new()));
    let conditions = [
        condition(object, "PodReadyToStartContainers", ended, generation, clock),
        condition(object, "Initialized", uninitialised, generation, clock),
        condition(object, "Ready", unready.clone(), generation, clock),
        condition(object, "ContainersReady", unready, generation, clock),
        condition(object, "PodScheduled", None, generation, clock),
    ];
    let mut status = json!({
        "phase": phase, "conditions": conditions, "hostIP": NODE_IP, "hostIPs": [{"ip": NODE_IP}],
        "podIP": pod.ip, "podIPs": [{"ip": pod.ip}], "startTime": stamp(pod.started),
        "qosClass": text(object, "/status/qosClass"),
        "containerStatuses": pod.containers.iter().map(|one| container(one, pod, false, now, pace)).collect::<Vec<_>>(),
    });
    if let Some(generation) = generation {
        status["observedGeneration"] = json!(generation);
    }
    if !pod.init.is_empty() {
        status["initContainerStatuses"] = pod.init.iter().map(|one| container(one, pod, true, now, pace)).collect();
    }
    status
}

/// A condition of the pod; its time is kept while its status is.
pub(super) fn condition(
    object: &Value,
    kind: &str,
    trouble: Option<(&str, String)>,
    generation: Option<i64>,
    clock: Timestamp,
) -> Value {
    let status = if trouble.is_some() { "False" } else { "True" };
    let before = items(object, "/status/conditions").find(|before| before["type"] == kind);
    let since = before.filter(|before| before["status"] == status).map(|before| text(before, "/lastTransitionTime"));
    let since = since.map_or_else(|| stamp(clock), str::to_owned);
    let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
    if let Some(generation) = generation {
        condition["observedGeneration"] = json!(generation);
    }
    if let Some((reason, message)) = trouble {
        if !reason.is_empty() {
            condition["reason"] = json!(reason);
        }
        if !message.is_empty() {
            condition["message"] = json!(message);
        }
    }
    condition
}

fn container(container: &Container, pod: &Pod, initial: bool, now: Instant, pace: &Pace) -> Value {
    let Container { name, image, state, restarts, last, image_id, .. } = container;
    let id = |life: u32| format!("containerd://{}", digits(&format!("{}/{name}/{life}", pod.uid), 64));
    let ended = |Ended { code, started, finished }: &Ended, life: u32| {
        json!({"terminated": {
            "exitCode": code, "reason": if *code == 0 { "Completed" } else { "Error" },
            "startedAt": stamp(*started), "finishedAt": stamp(*finished), "containerID": id(life),
        }})
    };
    let running = matches!(state, State::Running { .. });
    let served = initial && matches!(state, State::Ended(ended, None) if ended.code == 0);
    let now_state = match state {
        State::Waiting { reason, message, .. } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        State::Waiting { reason, message, .. } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { started, .. } => json!({"running": {"startedAt": stamp(*started)}}),
        State::Ended(how, _) => ended(how, *restarts),
    };
    let before = last.as_ref().map_or(json!({}), |last| ended(last, restarts.saturating_sub(u32::from(running))));
    let mut status = json!({
        "name": name, "image": image, "imageID": image_id, "restartCount": restarts,
        "ready": served || container.ready(now, pace), "started": running, "state": now_state, "lastState": before,
        "resources": {},
    });
    if !image_id.is_empty() {
        status["containerID"] = json!(id(*restarts));
    }
    status
}
