//! ReplicaSet, and the ReplicationController before it.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition_that_is, count, not_observed, number, pods};

pub(super) fn assess(object: &Value) -> Verdict {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let ready = count(object, "/status/readyReplicas");
    replicas(object, wanted).about(format!("{ready}/{wanted}"))
}

fn replicas(object: &Value, wanted: i64) -> Verdict {
    let all = count(object, "/status/replicas");
    let available = count(object, "/status/availableReplicas");
    if let Some(why) = not_observed(object) {
        return Verdict::progressing(why);
    }
    if let Some(failure) = condition_that_is(object, "ReplicaFailure", "True") {
        return Verdict::degraded(failure.summary());
    }
    if all > wanted {
        return Verdict::progressing(format!("{} to end", pods(all - wanted)));
    }
    if available < wanted {
        return Verdict::progressing(format!("{available} of {wanted} available"));
    }
    Verdict::healthy()
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn replicas_are_counted() {
        for (generation, status, expected) in [
            (1, "observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2", "Healthy [2/2]"),
            (1, "observedGeneration: 1, replicas: 2, readyReplicas: 1", "Progressing: 0 of 2 available [1/2]"),
            (
                2,
                "observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2",
                "Progressing: its controller has seen generation 1, not 2 yet [2/2]",
            ),
            (
                1,
                "observedGeneration: 1, replicas: 3, readyReplicas: 3, availableReplicas: 3",
                "Progressing: 1 pod to end [3/2]",
            ),
            (
                1,
                "observedGeneration: 1, replicas: 1, conditions: [{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: denied}]",
                "Degraded: FailedCreate: denied [0/2]",
            ),
        ] {
            check(
                &format!(
                    "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: a, generation: {generation}}}, spec: {{replicas: 2}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
        check(
            "{apiVersion: v1, kind: ReplicationController, spec: {replicas: 0}, status: {replicas: 0}}",
            "Healthy [0/0]",
        );
    }
}
