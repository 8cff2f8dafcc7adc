//! Deployment. A pause is Suspended, a missed deadline and pods that may not be made are Degraded; else the pods are
//! counted. kstatus waits for the deadline to tell that a quota refuses pods; the condition tells it at once.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition_that_is, count, is_true, not_observed, number, pods};

pub(super) fn assess(object: &Value) -> Verdict {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let ready = count(object, "/status/readyReplicas");
    rollout(object, wanted).about(format!("{ready}/{wanted}"))
}

fn rollout(object: &Value, wanted: i64) -> Verdict {
    let all = count(object, "/status/replicas");
    let updated = count(object, "/status/updatedReplicas");
    let available = count(object, "/status/availableReplicas");
    if let Some(why) = not_observed(object) {
        return Verdict::progressing(why);
    }
    if let Some(failure) = condition_that_is(object, "ReplicaFailure", "True") {
        return Verdict::degraded(failure.summary());
    }
    // ProgressDeadlineExceeded, or a ReplicaSet that could not be made.
    if let Some(stuck) = condition_that_is(object, "Progressing", "False") {
        return Verdict::degraded(format!("{updated} of {wanted} updated, {available} available: {}", stuck.summary()));
    }
    if is_true(object, "/spec/paused") {
        return Verdict::suspended(format!("paused with {updated} of {wanted} updated, {available} available"));
    }
    if updated < wanted {
        return Verdict::progressing(format!("{updated} of {wanted} updated"));
    }
    if all > updated {
        return Verdict::progressing(format!("{} of the old version to end", pods(all - updated)));
    }
    if all > wanted {
        return Verdict::progressing(format!("{} to end", pods(all - wanted)));
    }
    if available < wanted {
        return Verdict::progressing(format!("{available} of {wanted} available"));
    }
    if let Some(missing) = condition_that_is(object, "Available", "False") {
        return Verdict::progressing(missing.summary());
    }
    if wanted == 0 { Verdict::healthy_with("scaled to zero") } else { Verdict::healthy() }
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    fn deployment(generation: &str, spec: &str, status: &str) -> String {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: shop{generation}}}, spec: {{{spec}}}, status: {{{status}}}}}"
        )
    }

    const COMPLETE: &str = "{type: Available, status: 'True', reason: MinimumReplicasAvailable, message: Deployment has minimum availability.}, \
        {type: Progressing, status: 'True', reason: NewReplicaSetAvailable, message: ReplicaSet \"shop-7b46\" has successfully progressed.}";
    const DEADLINE: &str = "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: ReplicaSet \"shop-7b46\" has timed out progressing.}";
    const QUOTA: &str = "{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: 'pods \"shop-1\" is forbidden: exceeded quota: pods'}";
    const UNAVAILABLE: &str = "{type: Available, status: 'False', reason: MinimumReplicasUnavailable, message: Deployment does not have minimum availability.}";

    #[test]
    fn a_rollout_is_followed_to_its_end() {
        let at_2 = ", generation: 2";
        for (status, expected) in [
            (
                format!(
                    "observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3, conditions: [{COMPLETE}]"
                ),
                "Healthy [3/3]",
            ),
            (
                format!(
                    "observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3, conditions: [{COMPLETE}]"
                ),
                "Progressing: its controller has seen generation 1, not 2 yet [3/3]",
            ),
            (
                "replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3".to_owned(),
                "Progressing: its controller has not seen it yet [3/3]",
            ),
            (
                "observedGeneration: 2, replicas: 4, updatedReplicas: 2, readyReplicas: 3, availableReplicas: 3"
                    .to_owned(),
                "Progressing: 2 of 3 updated [3/3]",
            ),
            (
                "observedGeneration: 2, replicas: 4, updatedReplicas: 3, readyReplicas: 4, availableReplicas: 4"
                    .to_owned(),
                "Progressing: 1 pod of the old version to end [4/3]",
            ),
            (
                "observedGeneration: 2, replicas: 5, updatedReplicas: 5, readyReplicas: 5, availableReplicas: 5"
                    .to_owned(),
                "Progressing: 2 pods to end [5/3]",
            ),
            (
                "observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 2"
                    .to_owned(),
                "Progressing: 2 of 3 available [3/3]",
            ),
            (
                "observedGeneration: 2, replicas: 3, updatedReplicas: 3, unavailableReplicas: 3".to_owned(),
                "Progressing: 0 of 3 available [0/3]",
            ),
            (
                format!(
                    "observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3, conditions: [{UNAVAILABLE}]"
                ),
                "Progressing: MinimumReplicasUnavailable: Deployment does not have minimum availability. [3/3]",
            ),
            ("observedGeneration: 2".to_owned(), "Progressing: 0 of 3 updated [0/3]"),
        ] {
            check(&deployment(at_2, "replicas: 3", &status), expected);
        }
    }

    #[test]
    fn what_stops_a_rollout_is_told() {
        let status = |conditions: &str| {
            format!(
                "observedGeneration: 1, replicas: 3, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2, conditions: [{conditions}]"
            )
        };
        for (spec, conditions, expected) in [
            (
                "replicas: 3",
                DEADLINE.to_owned(),
                "Degraded: 1 of 3 updated, 2 available: ProgressDeadlineExceeded: ReplicaSet \"shop-7b46\" has timed out progressing. [2/3]",
            ),
            (
                "replicas: 3",
                format!("{COMPLETE}, {QUOTA}"),
                "Degraded: FailedCreate: pods \"shop-1\" is forbidden: exceeded quota: pods [2/3]",
            ),
            (
                "replicas: 3, paused: true",
                COMPLETE.to_owned(),
                "Suspended: paused with 1 of 3 updated, 2 available [2/3]",
            ),
            (
                "replicas: 3, paused: true",
                QUOTA.to_owned(),
                "Degraded: FailedCreate: pods \"shop-1\" is forbidden: exceeded quota: pods [2/3]",
            ),
        ] {
            check(&deployment(", generation: 1", spec, &status(conditions.as_str())), expected);
        }
    }

    #[test]
    fn a_new_generation_makes_an_old_failure_old() {
        let status = format!("observedGeneration: 1, replicas: 3, updatedReplicas: 1, conditions: [{DEADLINE}]");
        check(
            &deployment(", generation: 2", "replicas: 3", &status),
            "Progressing: its controller has seen generation 1, not 2 yet [0/3]",
        );
    }

    #[test]
    fn replicas_are_one_where_nobody_says_and_may_be_none() {
        check(
            &deployment(
                ", generation: 1",
                "",
                "observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1",
            ),
            "Healthy [1/1]",
        );
        check(
            &deployment(", generation: 1", "replicas: 0", &format!("observedGeneration: 1, conditions: [{COMPLETE}]")),
            "Healthy: scaled to zero [0/0]",
        );
        check(
            &deployment(
                ", generation: 2",
                "replicas: 0",
                "observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2",
            ),
            "Progressing: 2 pods to end [2/0]",
        );
        check(&deployment("", "", ""), "Progressing: 0 of 1 updated [0/1]");
    }
}
