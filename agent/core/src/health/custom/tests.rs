use crate::health::tests::check;

fn custom(metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "{{apiVersion: example.com/v1, kind: Shop, metadata: {{name: a, {metadata}}}, spec: {{{spec}}}, status: {{{status}}}}}"
    )
}

#[test]
fn conditions_decide() {
    for (conditions, expected) in [
        ("{type: Ready, status: 'True', reason: ReconciliationSucceeded, message: ok}", "Healthy"),
        ("{type: Ready, status: True}", "Healthy"),
        (
            "{type: Ready, status: 'False', reason: BuildFailed, message: 'kustomize build failed'}",
            "Degraded: BuildFailed: kustomize build failed",
        ),
        ("{type: Ready, status: 'False', reason: Progressing, message: at it}", "Progressing: Progressing: at it"),
        ("{type: Ready, status: 'False', reason: Creating}", "Progressing: Creating"),
        (
            "{type: Ready, status: 'False', reason: DependencyNotReady, message: db}",
            "Progressing: DependencyNotReady: db",
        ),
        ("{type: Ready, status: 'False', reason: Odd, message: who knows}", "Degraded: Odd: who knows"),
        ("{type: Ready, status: 'False'}", "Progressing: Ready is False"),
        (
            "{type: Ready, status: 'False', message: Waiting for more replicas}",
            "Progressing: Waiting for more replicas",
        ),
        ("{type: Ready, status: 'False', reason: NotReady, message: who knows}", "Degraded: NotReady: who knows"),
        ("{type: Ready, status: 'False', reason: ReconcilePaused}", "Suspended: ReconcilePaused"),
        (
            "{type: NotReady, status: 'True', reason: TimeoutException, message: gone}",
            "Degraded: TimeoutException: gone",
        ),
        ("{type: InvalidSpec, status: 'True', message: odd}, {type: Available, status: 'True'}", "Degraded: odd"),
        (
            "{type: InvalidSpec, status: 'False', reason: ValidationFailed}, {type: Available, status: 'True'}",
            "Healthy",
        ),
        (
            "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}, {type: Available, status: 'True'}",
            "Degraded: ProgressDeadlineExceeded",
        ),
        (
            "{type: FolderSynchronized, status: 'False', reason: ApplyFailed, message: denied}",
            "Degraded: ApplyFailed: denied",
        ),
        ("{type: Ready, status: 'Unknown', reason: Progressing, message: at it}", "Progressing: Progressing: at it"),
        ("{type: Ready, status: 'Unknown'}", "Progressing: Ready is Unknown"),
        ("{type: Ready}", "Progressing: Ready is Unknown"),
        ("{type: Reconciling, status: 'True', reason: Progressing, message: at it}", "Progressing: Progressing: at it"),
        (
            "{type: Reconciling, status: 'True', reason: Progressing}, {type: Ready, status: 'True'}",
            "Progressing: Progressing",
        ),
        (
            "{type: Reconciling, status: 'True', reason: ProgressingWithRetry}, {type: Ready, status: 'False', reason: HealthCheckFailed, message: denied}",
            "Degraded: HealthCheckFailed: denied",
        ),
        (
            "{type: Reconciling, status: 'True', reason: Progressing}, {type: Ready, status: 'False', reason: Odd}",
            "Progressing: Odd",
        ),
        (
            "{type: Stalled, status: 'True', reason: InvalidPath, message: gone}, {type: Ready, status: 'False', reason: InvalidPath}",
            "Degraded: InvalidPath: gone",
        ),
        (
            "{type: Stalled, status: 'True', reason: InvalidPath}, {type: Ready, status: 'True'}",
            "Degraded: InvalidPath",
        ),
        ("{type: Stalled, status: 'False'}, {type: Ready, status: 'True'}", "Healthy"),
        (
            "{type: Issuing, status: 'True'}, {type: Ready, status: 'False', reason: DoesNotExist, message: Issuing certificate}",
            "Progressing: DoesNotExist: Issuing certificate",
        ),
        (
            "{type: Synced, status: 'False', reason: ReconcileError, message: denied}, {type: Ready, status: 'True'}",
            "Degraded: ReconcileError: denied",
        ),
        (
            "{type: Synced, status: 'True'}, {type: Ready, status: 'False', reason: Unavailable}",
            "Degraded: Unavailable",
        ),
        (
            "{type: Available, status: 'False', reason: MissingEndpoints, message: none}",
            "Degraded: MissingEndpoints: none",
        ),
        (
            "{type: Available, status: 'True'}, {type: Progressing, status: 'True'}, {type: Degraded, status: 'False'}",
            "Healthy",
        ),
        (
            "{type: Available, status: 'True'}, {type: Degraded, status: 'True', reason: Quorum, message: lost}",
            "Degraded: Quorum: lost",
        ),
        ("{type: Succeeded, status: 'False', reason: TaskRunTimeout}", "Degraded: TaskRunTimeout"),
        ("{type: Succeeded, status: 'Unknown', reason: Running}", "Progressing: Running"),
        ("{type: Completed, status: 'False'}", "Progressing: Completed is False"),
        ("{type: Paused, status: 'True'}, {type: Ready, status: 'True'}", "Suspended: suspended"),
        (
            "{type: Accepted, status: 'Unknown', reason: Pending, message: Waiting for controller}",
            "Progressing: Pending: Waiting for controller",
        ),
        ("{type: ShopOpen, status: 'False'}", "Progressing: ShopOpen is False"),
        ("{type: ShopOpen, status: 'True'}", "Healthy"),
        ("{type: ready, status: 'False', reason: Pending}", "Progressing: Pending"),
        (
            "{type: TopicReady, status: 'True'}, {type: IndexReady, status: 'False', reason: Pending}",
            "Progressing: Pending",
        ),
        ("{type: Paused, status: 'False'}, {type: Upgradeable, status: 'False'}", "Healthy"),
        (
            "{type: Ready, status: 'False', reason: Odd, message: waiting for shop-0}",
            "Progressing: Odd: waiting for shop-0",
        ),
    ] {
        check(&custom("generation: 2", "", &format!("conditions: [{conditions}]")), expected);
    }
}

#[test]
fn generations_count_for_the_whole_and_for_each_condition() {
    let ready = "conditions: [{type: Ready, status: 'True', observedGeneration: 1}]";
    for (metadata, status, expected) in [
        (
            "generation: 2",
            "observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]",
            "Progressing: its controller has seen generation 1, not 2 yet",
        ),
        (
            "generation: 2",
            "observedGeneration: 1, conditions: [{type: Stalled, status: 'True'}]",
            "Progressing: its controller has seen generation 1, not 2 yet",
        ),
        ("generation: 2", "observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]", "Healthy"),
        ("generation: 2", ready, "Progressing: its condition Ready is about generation 1, not 2 yet"),
        ("generation: 1", ready, "Healthy"),
        (
            "generation: 2",
            "conditions: [{type: Ready, status: 'False', reason: Failed, observedGeneration: 1}]",
            "Progressing: its condition Ready is about generation 1, not 2 yet",
        ),
        ("generation: 7", "observedGeneration: '6', phase: Ready", "Healthy"),
    ] {
        check(&custom(metadata, "", status), expected);
    }
}

#[test]
fn phases_are_read_where_there_are_no_conditions() {
    for (status, expected) in [
        ("phase: Running", "Healthy"),
        ("phase: Ready", "Healthy"),
        ("phase: Succeeded, message: done", "Healthy: Succeeded: done"),
        ("phase: Failed, message: no space", "Degraded: Failed: no space"),
        ("phase: PartiallyFailed", "Degraded: PartiallyFailed"),
        ("phase: Error", "Degraded: Error"),
        ("phase: NotReady", "Degraded: NotReady"),
        ("phase: Pending", "Progressing: Pending"),
        ("phase: Creating", "Progressing: Creating"),
        ("phase: InProgress", "Progressing: InProgress"),
        ("state: updating", "Progressing: updating"),
        ("phase: Paused", "Suspended: Paused"),
        ("phase: Unknown", "Unknown: Unknown"),
        ("health: green", "Healthy"),
        ("health: {status: Degraded}", "Degraded: Degraded"),
        ("phase: Quux", "Progressing: Quux: unknown state"),
        ("conditions: [], phase: Failed", "Degraded: Failed"),
        ("conditions: [{type: Ready, status: 'True'}], phase: Failed", "Degraded: Failed"),
        ("replicas: 3", "Healthy"),
        ("clusterStatus: UpdateFailed", "Degraded: UpdateFailed"),
        ("lastState: Failed, phase: ClusterRunning", "Healthy"),
        ("state: Running, brokerState: Creating", "Progressing: Creating"),
        ("healthStatus: unhealthy", "Degraded: unhealthy"),
        ("sync: {status: OutOfSync}", "Degraded: OutOfSync"),
        ("shop: {phase: Pending}", "Progressing: Pending"),
        ("conditions: []", "Progressing: its controller has reported no condition yet"),
        ("phase: Ready, errorMessage: no such bucket", "Degraded: no such bucket"),
        ("error: {message: gone}", "Degraded: gone"),
    ] {
        check(&custom("", "", status), expected);
    }
    check("{apiVersion: example.com/v1, kind: Shop, metadata: {name: a}, spec: {}}", "Healthy: it has no status");
}

#[test]
fn a_stop_on_purpose_is_no_failure() {
    for spec in ["suspend: true", "suspended: true", "paused: true"] {
        check(
            &custom("", spec, "conditions: [{type: Ready, status: 'False', reason: Failed}]"),
            "Suspended: suspended",
        );
    }
}

#[test]
fn routes_tell_of_each_gateway() {
    let parents = "parents: [{conditions: [{type: Accepted, status: 'True'}]}, {conditions: [{type: Accepted, status: 'False', reason: NoMatchingParent, message: none}]}]";
    check(&custom("", "", parents), "Degraded: NoMatchingParent: none");
    check(&custom("", "", "parents: [{conditions: [{type: Accepted, status: 'True'}]}]"), "Healthy");
    check(
        &custom(
            "",
            "",
            "listeners: [{conditions: [{type: ResolvedRefs, status: 'False', reason: InvalidCertificateRef}]}]",
        ),
        "Degraded: InvalidCertificateRef",
    );
}

#[test]
fn replicas_are_counted_where_there_are_some() {
    check(&custom("", "replicas: 3", "readyReplicas: 2"), "Progressing: 2 of 3 ready");
    check(&custom("", "replicas: 3", "readyReplicas: 3, phase: Running"), "Healthy");
    check(&custom("", "replicas: 3", "phase: Running"), "Healthy");
    check(&custom("", "instances: 3", "readyInstances: 1"), "Progressing: 1 of 3 ready");
}

#[test]
fn a_disruption_budget_that_cannot_be_computed_protects_nothing() {
    let budget = |reason: &str| {
        format!(
            "{{apiVersion: policy/v1, kind: PodDisruptionBudget, status: {{conditions: [{{type: DisruptionAllowed, status: 'False', reason: {reason}}}]}}}}"
        )
    };
    check(&budget("InsufficientPods"), "Healthy");
    check(&budget("SyncFailed"), "Degraded: SyncFailed");
}
