use crate::health::tests::check;

fn pod(spec: &str, status: &str) -> String {
    let spec = if spec.is_empty() { "containers: [{name: shop}]" } else { spec };
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{{spec}}}, status: {{{status}}}}}")
}

/// A pod with one container in this state.
fn with(phase: &str, ready: &str, container: &str) -> String {
    pod(
        "",
        &format!(
            "phase: {phase}, conditions: [{{type: Ready, status: '{ready}'}}], containerStatuses: [{{name: shop, {container}}}]"
        ),
    )
}

const CRASHED: &str =
    "lastState: {terminated: {exitCode: 1, reason: Error, message: \"starting\\nmissing DATABASE_URL\\n\"}}";

#[test]
fn what_runs_well_is_healthy() {
    check(&with("Running", "True", "ready: true, state: {running: {}}, restartCount: 0"), "Healthy [1/1]");
    check(
        &with("Running", "True", &format!("ready: true, state: {{running: {{}}}}, restartCount: 3, {CRASHED}")),
        "Healthy [1/1]",
    );
    check(&pod("", "phase: Succeeded"), "Healthy: completed [0/1]");
    check(&pod("", ""), "Progressing: not seen by the scheduler yet [0/1]");
    check(
        &pod("", "phase: Unknown, reason: NodeLost, message: Node n1 was lost"),
        "Unknown: NodeLost: Node n1 was lost [0/1]",
    );
}

#[test]
fn a_silent_node_is_told_by_its_name() {
    let pod = |metadata: &str, ready: &str, container: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a{metadata}}}, spec: {{nodeName: n1, containers: [{{name: shop}}]}}, \
             status: {{phase: Running, conditions: [{{type: Ready, status: 'False'{ready}}}, {{type: ContainersReady, status: 'True'}}], \
             containerStatuses: [{{name: shop, state: {{running: {{}}}}, ready: {container}}}]}}}}"
        )
    };
    let evicted = ", deletionTimestamp: '2026-01-01T00:00:00Z'";
    for (metadata, ready, container, expected) in [
        ("", "", "true", "Degraded: node n1 is not responding [1/1]"),
        ("", ", reason: NodeNotReady", "true", "Degraded: node n1 is not responding [1/1]"),
        (evicted, "", "true", "Degraded: node n1 is not responding, and it is being deleted [1/1]"),
        (
            "",
            ", reason: ReadinessGatesNotReady, message: 'gate a is False'",
            "true",
            "Progressing: ReadinessGatesNotReady: gate a is False [1/1]",
        ),
        (
            "",
            ", reason: ContainersNotReady",
            "false",
            "Progressing: container shop runs and is not ready: its readiness probe has not passed [0/1]",
        ),
    ] {
        check(&pod(metadata, ready, container), expected);
    }
}

#[test]
fn what_fails_tells_which_container_and_its_end() {
    for (container, expected) in [
        (
            format!("restartCount: 4, state: {{waiting: {{reason: CrashLoopBackOff, message: back-off 40s}}}}, {CRASHED}"),
            "Degraded: CrashLoopBackOff in container shop: exit 1, \"missing DATABASE_URL\", restarted 4 times [0/1]",
        ),
        (
            "restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}".to_owned(),
            "Degraded: CrashLoopBackOff in container shop: OOMKilled (exit 137), restarted once [0/1]",
        ),
        (
            "state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image \"x:1\"'}}".to_owned(),
            "Degraded: ImagePullBackOff in container shop: Back-off pulling image \"x:1\" [0/1]",
        ),
        (
            "state: {waiting: {reason: ErrImagePull, message: 'manifest for x:1 not found'}}".to_owned(),
            "Degraded: ErrImagePull in container shop: manifest for x:1 not found [0/1]",
        ),
        (
            "state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image \"r.io/x:1\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"r.io/x:1\": failed to resolve reference \"r.io/x:1\": r.io/x:1: not found'}}".to_owned(),
            "Degraded: ImagePullBackOff in container shop: r.io/x:1: not found [0/1]",
        ),
        (
            "state: {waiting: {reason: ErrImagePull, message: 'failed to pull and unpack image \"r.io/x:1\": failed to resolve reference \"r.io/x:1\": failed to authorize: 401 Unauthorized'}}".to_owned(),
            "Degraded: ErrImagePull in container shop: r.io/x:1: failed to authorize: 401 Unauthorized [0/1]",
        ),
        ("state: {waiting: {reason: ErrImageNeverPull}}".to_owned(), "Degraded: ErrImageNeverPull in container shop: no reason reported [0/1]"),
        (
            "state: {waiting: {reason: CreateContainerConfigError, message: configmap \"shop\" not found}}".to_owned(),
            "Degraded: CreateContainerConfigError in container shop: configmap \"shop\" not found [0/1]",
        ),
        ("state: {waiting: {reason: InvalidImageName, message: odd}}".to_owned(), "Degraded: InvalidImageName in container shop: odd [0/1]"),
        ("restartCount: 2, state: {terminated: {exitCode: 2, reason: Error}}".to_owned(), "Degraded: container shop: exit 2, restarted 2 times [0/1]"),
        (
            format!("restartCount: 2, ready: false, state: {{running: {{}}}}, {CRASHED}"),
            "Degraded: container shop is not ready after exit 1, \"missing DATABASE_URL\", restarted 2 times [0/1]",
        ),
    ] {
        check(&with("Running", "False", &container), expected);
    }
}

#[test]
fn a_failed_pod_tells_who_ended_it() {
    for (status, expected) in [
        (
            "phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.'",
            "Degraded: Evicted: The node was low on resource: memory. [0/1]",
        ),
        (
            "phase: Failed, containerStatuses: [{name: ok, state: {terminated: {exitCode: 0, reason: Completed}}}, {name: shop, state: {terminated: {exitCode: 3, reason: Error}}}]",
            "Degraded: container shop: exit 3 [0/1]",
        ),
        (
            "phase: Failed, reason: DeadlineExceeded, message: Pod was active on the node longer than the specified deadline, \
             containerStatuses: [{name: shop, state: {terminated: {exitCode: 143, signal: 15}}}]",
            "Degraded: DeadlineExceeded: Pod was active on the node longer than the specified deadline; container shop: signal 15 [0/1]",
        ),
        ("phase: Failed", "Degraded: it has failed [0/1]"),
    ] {
        check(&pod("", status), expected);
    }
}

/// An etcd that is set back brings pods back that their kubelet has ended; they stay, and their successors run.
#[test]
fn a_failed_pod_that_its_controller_replaces_does_not_count() {
    let killed =
        "phase: Failed, containerStatuses: [{name: shop, state: {terminated: {exitCode: 137, reason: Error}}}]";
    let evicted = "phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.'";
    for (kind, status, expected) in [
        ("ReplicaSet", killed, "Healthy: container shop: exit 137; its ReplicaSet replaces it [0/1]"),
        ("DaemonSet", killed, "Healthy: container shop: exit 137; its DaemonSet replaces it [0/1]"),
        (
            "ReplicaSet",
            evicted,
            "Healthy: Evicted: The node was low on resource: memory.; its ReplicaSet replaces it [0/1]",
        ),
        ("Job", killed, "Degraded: container shop: exit 137 [0/1]"),
        ("StatefulSet", killed, "Degraded: container shop: exit 137 [0/1]"),
    ] {
        let owner = format!("metadata: {{name: a, ownerReferences: [{{kind: {kind}, name: o, controller: true}}]}}");
        check(&pod("", status).replace("metadata: {name: a}", &owner), expected);
    }
}

#[test]
fn what_is_on_its_way_tells_what_it_waits_for() {
    for (text, expected) in [
        (
            with("Pending", "False", "state: {waiting: {reason: ContainerCreating}}"),
            "Progressing: ContainerCreating in container shop [0/1]",
        ),
        (
            with("Running", "False", "ready: false, state: {running: {}}, restartCount: 0"),
            "Progressing: container shop runs and is not ready: its readiness probe has not passed [0/1]",
        ),
        (
            pod(
                "containers: [{name: a}, {name: b}]",
                "phase: Running, containerStatuses: [{name: a, state: {running: {}}}, {name: b, ready: false, state: {running: {}}}]",
            ),
            "Progressing: containers a, b run and are not ready: their readiness probes have not passed [0/2]",
        ),
        (
            pod(
                "",
                "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated, message: Scheduling is blocked due to non-empty scheduling gates}]",
            ),
            "Progressing: SchedulingGated: Scheduling is blocked due to non-empty scheduling gates [0/1]",
        ),
        (
            pod(
                "",
                "phase: Running, conditions: [{type: Ready, status: 'False', reason: ReadinessGatesNotReady, message: gate}], containerStatuses: [{name: shop, ready: true, state: {running: {}}}]",
            ),
            "Progressing: ReadinessGatesNotReady: gate [1/1]",
        ),
        (
            pod(
                "",
                "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/3 nodes are available: 3 Insufficient cpu.'}]",
            ),
            "Degraded: no node can take it: 0/3 nodes are available: 3 Insufficient cpu. [0/1]",
        ),
        (pod("", "phase: Pending"), "Progressing: not ready yet [0/1]"),
    ] {
        check(&text, expected);
    }
}

#[test]
fn init_containers_and_sidecars_count() {
    let spec = "initContainers: [{name: migrate}, {name: proxy, restartPolicy: Always}], containers: [{name: shop}]";
    let waits = "containerStatuses: [{name: shop, state: {waiting: {reason: PodInitializing}}}]";
    for (status, expected) in [
        (format!("phase: Pending, initContainerStatuses: [{{name: migrate, state: {{running: {{}}}}}}], {waits}"), "Progressing: init container migrate is running [0/2]"),
        (
            format!("phase: Pending, initContainerStatuses: [{{name: migrate, restartCount: 3, state: {{waiting: {{reason: CrashLoopBackOff}}}}, lastState: {{terminated: {{exitCode: 1, reason: Error}}}}}}], {waits}"),
            "Degraded: CrashLoopBackOff in init container migrate: exit 1, restarted 3 times [0/2]",
        ),
        (
            format!("phase: Pending, initContainerStatuses: [{{name: migrate, restartCount: 1, state: {{running: {{}}}}, lastState: {{terminated: {{exitCode: 1}}}}}}], {waits}"),
            "Degraded: init container migrate is not ready after exit 1, restarted once [0/2]",
        ),
        (
            format!("phase: Pending, initContainerStatuses: [{{name: migrate, state: {{terminated: {{exitCode: 1, reason: Error}}}}}}], {waits}"),
            "Degraded: init container migrate: exit 1 [0/2]",
        ),
        (
            "phase: Running, conditions: [{type: Ready, status: 'True'}], initContainerStatuses: [{name: migrate, ready: true, state: {terminated: {exitCode: 0, reason: Completed}}}, \
             {name: proxy, ready: true, started: true, state: {running: {}}}], containerStatuses: [{name: shop, ready: true, state: {running: {}}}]"
                .to_owned(),
            "Healthy [2/2]",
        ),
        (
            "phase: Running, conditions: [{type: Ready, status: 'False'}], initContainerStatuses: [{name: proxy, ready: false, started: true, state: {running: {}}}], \
             containerStatuses: [{name: shop, ready: true, state: {running: {}}}]"
                .to_owned(),
            "Progressing: container proxy runs and is not ready: its readiness probe has not passed [1/2]",
        ),
    ] {
        check(&pod(spec, &status), expected);
    }
}

#[test]
fn what_runs_to_its_end_is_not_done_before() {
    for policy in ["Never", "OnFailure"] {
        let spec = format!("restartPolicy: {policy}, containers: [{{name: shop}}]");
        let status = "phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: shop, ready: true, state: {running: {}}}]";
        check(&pod(&spec, status), "Progressing: running to its end [1/1]");
    }
}

#[test]
fn a_pod_that_ends_is_on_its_way_out() {
    check(
        "{apiVersion: v1, kind: Pod, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
        "Progressing: it is being deleted [0/0]",
    );
}
