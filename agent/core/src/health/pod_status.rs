//! A pod as a row: its status in the word that `kubectl get pods` prints, and its containers.

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{ContainerStatus, PodStatus};
use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::field::{condition_that_is, count, is_true, list, text};
use crate::health::pod::{containers, end};

/// The row of a pod that belongs to an environment.
pub fn pod_status(object: &Value, environment: &EnvironmentId, cluster: &str) -> PodStatus {
    let verdict = crate::health::assess(object);
    PodStatus {
        environment: environment.clone(),
        cluster: cluster.into(),
        namespace: text(object, "/metadata/namespace").into(),
        name: text(object, "/metadata/name").into(),
        owner: owner(object),
        status: word(object).into(),
        health: verdict.health,
        message: if verdict.health == Health::Healthy { "".into() } else { verdict.reason.into() },
        containers: rows(object),
        node: text(object, "/spec/nodeName").into(),
        ip: text(object, "/status/podIP").into(),
        created: text(object, "/metadata/creationTimestamp").parse::<Timestamp>().ok(),
    }
}

/// The object that controls another one.
pub fn owner(object: &Value) -> Option<ResourceRef> {
    let owners = list(object, "/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| is_true(owner, "/controller"))?;
    let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let namespace = text(object, "/metadata/namespace");
    Some(ResourceRef::new(group, text(owner, "/kind"), Some(namespace), text(owner, "/name")))
}

/// The containers of the spec with what is told of them. A sidecar is one of the main containers: it runs beside them
/// and is waited for.
fn rows(object: &Value) -> Vec<ContainerStatus> {
    let row = |spec: &Value, init: bool| {
        let name = text(spec, "/name");
        let told = containers(object).find(|container| container.name() == name && container.init == init);
        let status = told.map(|container| container.status);
        ContainerStatus {
            name: name.into(),
            image: text(spec, "/image").into(),
            state: status.map_or_else(|| "waiting".to_owned(), state).into(),
            ready: status.is_some_and(|status| is_true(status, "/ready")),
            restarts: status.map_or(0, |status| u32::try_from(count(status, "/restartCount")).unwrap_or(0)),
            init: init && text(spec, "/restartPolicy") != "Always",
        }
    };
    let init = list(object, "/spec/initContainers").iter().map(|spec| row(spec, true));
    init.chain(list(object, "/spec/containers").iter().map(|spec| row(spec, false))).collect()
}

fn state(status: &Value) -> String {
    if let Some(terminated) = status.pointer("/state/terminated") {
        return format!("terminated: {}", end(terminated));
    }
    if status.pointer("/state/running").is_some() {
        return "running".to_owned();
    }
    match text(status, "/state/waiting/reason") {
        "" => "waiting".to_owned(),
        reason => format!("waiting: {reason}"),
    }
}

/// The word in the column STATUS of `kubectl get pods`, by the rules of its printer: the newest trouble of the last
/// container that has one, or of the first init container that is not done.
fn word(object: &Value) -> String {
    let phase = text(object, "/status/phase");
    let reason = text(object, "/status/reason");
    let mut word = if reason.is_empty() { phase.to_owned() } else { reason.to_owned() };
    if condition_that_is(object, "PodScheduled", "False").is_some_and(|c| c.reason() == "SchedulingGated") {
        word = "SchedulingGated".to_owned();
    }
    let initializing = initializing(object);
    if let Some(step) = &initializing {
        word.clone_from(step);
    }
    if initializing.is_none() || condition_that_is(object, "Initialized", "True").is_some() {
        main_containers(object, &mut word);
    }
    let is_final = matches!(phase, "Failed" | "Succeeded");
    match text(object, "/metadata/deletionTimestamp") {
        "" => {}
        _ if reason == "NodeLost" => word = "Unknown".to_owned(),
        _ if !is_final => word = "Terminating".to_owned(),
        _ => {}
    }
    word
}

fn initializing(object: &Value) -> Option<String> {
    let all = list(object, "/spec/initContainers").len();
    for (i, container) in containers(object).filter(|container| container.init).enumerate() {
        let status = container.status;
        if container.sidecar && is_true(status, "/started") {
            continue;
        }
        if let Some(terminated) = status.pointer("/state/terminated") {
            if count(terminated, "/exitCode") == 0 {
                continue;
            }
            return Some(format!("Init:{}", how_it_ended(terminated)));
        }
        return Some(match text(status, "/state/waiting/reason") {
            "" | "PodInitializing" => format!("Init:{i}/{all}"),
            reason => format!("Init:{reason}"),
        });
    }
    None
}

fn main_containers(object: &Value, word: &mut String) {
    let mut some_run = false;
    for status in list(object, "/status/containerStatuses").iter().rev() {
        let waiting = text(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(word);
        } else if let Some(terminated) = status.pointer("/state/terminated") {
            *word = how_it_ended(terminated);
        } else if is_true(status, "/ready") && status.pointer("/state/running").is_some() {
            some_run = true;
        }
    }
    if word == "Completed" && some_run {
        let ready = condition_that_is(object, "Ready", "True").is_some();
        *word = if ready { "Running" } else { "NotReady" }.to_owned();
    }
}

fn how_it_ended(terminated: &Value) -> String {
    match (text(terminated, "/reason"), count(terminated, "/signal")) {
        ("", 0) => format!("ExitCode:{}", count(terminated, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::health::tests::object;

    fn pod(metadata: &str, spec: &str, status: &str) -> Value {
        object(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{{metadata}}}, spec: {{{spec}}}, status: {{{status}}}}}"
        ))
    }

    /// As `kubectl get pods` of release 1.32 prints them.
    #[test]
    fn the_word_is_the_one_of_kubectl() {
        let two_steps = "initContainers: [{name: one}, {name: two}], containers: [{name: shop}]";
        let sidecar = "initContainers: [{name: proxy, restartPolicy: Always}], containers: [{name: shop}]";
        let initializing = "containerStatuses: [{name: shop, state: {waiting: {reason: PodInitializing}}}]";
        for (metadata, spec, status, word) in [
            ("", "", "phase: Running, containerStatuses: [{ready: true, state: {running: {}}}]", "Running"),
            ("", "", "phase: Pending", "Pending"),
            (
                "",
                "",
                "phase: Pending, containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]",
                "ContainerCreating",
            ),
            (
                "",
                "",
                "phase: Running, containerStatuses: [{state: {waiting: {reason: CrashLoopBackOff}}}]",
                "CrashLoopBackOff",
            ),
            (
                "",
                "",
                "phase: Running, containerStatuses: [{state: {waiting: {reason: CrashLoopBackOff}}}, {state: {running: {}}, ready: true}]",
                "CrashLoopBackOff",
            ),
            (
                "",
                "",
                "phase: Succeeded, containerStatuses: [{state: {terminated: {exitCode: 0, reason: Completed}}}]",
                "Completed",
            ),
            (
                "",
                "",
                "phase: Failed, containerStatuses: [{state: {terminated: {exitCode: 1, reason: Error}}}]",
                "Error",
            ),
            (
                "",
                "",
                "phase: Running, containerStatuses: [{state: {terminated: {exitCode: 137, reason: OOMKilled}}}]",
                "OOMKilled",
            ),
            ("", "", "phase: Failed, containerStatuses: [{state: {terminated: {exitCode: 3}}}]", "ExitCode:3"),
            ("", "", "phase: Failed, containerStatuses: [{state: {terminated: {exitCode: 0, signal: 9}}}]", "Signal:9"),
            ("", "", "phase: Failed, reason: Evicted", "Evicted"),
            (
                "",
                "",
                "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]",
                "SchedulingGated",
            ),
            (
                "",
                "",
                "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]",
                "Pending",
            ),
            (
                "deletionTimestamp: x",
                "",
                "phase: Running, containerStatuses: [{ready: true, state: {running: {}}}]",
                "Terminating",
            ),
            ("deletionTimestamp: x", "", "phase: Running, reason: NodeLost", "Unknown"),
            ("deletionTimestamp: x", "", "phase: Failed, reason: Evicted", "Evicted"),
            (
                "",
                two_steps,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: one, state: {{running: {{}}}}}}], {initializing}"
                ),
                "Init:0/2",
            ),
            (
                "",
                two_steps,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: one, state: {{terminated: {{exitCode: 0}}}}}}, {{name: two, state: {{waiting: {{reason: PodInitializing}}}}}}], {initializing}"
                ),
                "Init:1/2",
            ),
            (
                "",
                two_steps,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: one, state: {{waiting: {{reason: CrashLoopBackOff}}}}}}], {initializing}"
                ),
                "Init:CrashLoopBackOff",
            ),
            (
                "",
                two_steps,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: one, state: {{terminated: {{exitCode: 1, reason: Error}}}}}}], {initializing}"
                ),
                "Init:Error",
            ),
            (
                "",
                two_steps,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: one, state: {{terminated: {{exitCode: 2}}}}}}], {initializing}"
                ),
                "Init:ExitCode:2",
            ),
            (
                "",
                sidecar,
                &format!(
                    "phase: Pending, initContainerStatuses: [{{name: proxy, started: true, state: {{running: {{}}}}}}], {initializing}"
                ),
                "PodInitializing",
            ),
            (
                "",
                "",
                "phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{state: {terminated: {exitCode: 0, reason: Completed}}}, {ready: true, state: {running: {}}}]",
                "Running",
            ),
            (
                "",
                "",
                "phase: Running, containerStatuses: [{state: {terminated: {exitCode: 0, reason: Completed}}}, {ready: true, state: {running: {}}}]",
                "NotReady",
            ),
        ] {
            assert_eq!(super::word(&pod(metadata, spec, status)), word, "{status}");
        }
    }

    #[test]
    fn a_row_holds_what_a_person_looks_for() {
        let object = pod(
            "name: shop-7b46-x9k, namespace: prod, creationTimestamp: '2026-01-01T00:00:00Z', \
             ownerReferences: [{apiVersion: v1, kind: Other, name: o}, {apiVersion: apps/v1, kind: ReplicaSet, name: shop-7b46, controller: true}]",
            "nodeName: n1, initContainers: [{name: migrate, image: m:1}, {name: proxy, image: p:1, restartPolicy: Always}], containers: [{name: shop, image: s:1}, {name: new, image: n:1}]",
            "phase: Running, podIP: 10.1.2.3, initContainerStatuses: [{name: migrate, state: {terminated: {exitCode: 0, reason: Completed}}}, \
             {name: proxy, ready: true, started: true, state: {running: {}}}], \
             containerStatuses: [{name: shop, restartCount: 4, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}]",
        );
        let row = pod_status(&object, &"shop/prod".parse().unwrap(), "test");
        assert_eq!(row.owner, Some(ResourceRef::new("apps", "ReplicaSet", Some("prod"), "shop-7b46")));
        assert_eq!(
            (&*row.status, row.health, row.ready(), row.restarts()),
            ("CrashLoopBackOff", Health::Degraded, (1, 3), 4)
        );
        assert_eq!(&*row.message, "CrashLoopBackOff in container shop: exit 1, restarted 4 times");
        let containers: Vec<_> = row.containers.iter().map(|c| (&*c.name, &*c.state, c.init)).collect();
        assert_eq!(
            containers,
            [
                ("migrate", "terminated: exit 0", true),
                ("proxy", "running", false),
                ("shop", "waiting: CrashLoopBackOff", false),
                ("new", "waiting", false),
            ]
        );
        assert_eq!(
            (&*row.node, &*row.ip, row.created.unwrap().to_string()),
            ("n1", "10.1.2.3", "2026-01-01T00:00:00Z".to_owned())
        );
    }

    #[test]
    fn a_pod_without_anything_is_a_row_too() {
        let row = pod_status(&json!({"apiVersion": "v1", "kind": "Pod"}), &"shop/prod".parse().unwrap(), "test");
        assert_eq!((&*row.status, row.containers.len(), row.owner), ("", 0, None));
    }
}
