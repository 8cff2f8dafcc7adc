//! DaemonSet. It has no replicas of its own: its controller tells on how many nodes it should run.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{count, not_observed, number, text};

pub(super) fn assess(object: &Value) -> Verdict {
    let Some(wanted) = number(object, "/status/desiredNumberScheduled") else {
        return Verdict::progressing("its controller has not seen it yet");
    };
    let ready = count(object, "/status/numberReady");
    rollout(object, wanted).about(format!("{ready}/{wanted}"))
}

fn rollout(object: &Value, wanted: i64) -> Verdict {
    let scheduled = count(object, "/status/currentNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let available = count(object, "/status/numberAvailable");
    let on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    if let Some(why) = not_observed(object) {
        return Verdict::progressing(why);
    }
    if scheduled < wanted {
        return Verdict::progressing(format!("on {scheduled} of {wanted} nodes"));
    }
    if updated < wanted && !on_delete {
        return Verdict::progressing(format!("{updated} of {wanted} updated"));
    }
    if available < wanted {
        return Verdict::progressing(format!("{available} of {wanted} available"));
    }
    let reason = match wanted {
        0 => "no node is to run it".to_owned(),
        _ if updated < wanted => {
            format!("{updated} of {wanted} updated; the others update when they are deleted (OnDelete)")
        }
        _ => String::new(),
    };
    Verdict::healthy_with(reason)
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn nodes_are_counted() {
        let rolling = "updateStrategy: {type: RollingUpdate}";
        let on_delete = "updateStrategy: {type: OnDelete}";
        for (spec, status, expected) in [
            (
                rolling,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 3, numberAvailable: 3",
                "Healthy [3/3]",
            ),
            (
                rolling,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 2, numberReady: 2, updatedNumberScheduled: 2",
                "Progressing: on 2 of 3 nodes [2/3]",
            ),
            (
                rolling,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 1, numberAvailable: 3",
                "Progressing: 1 of 3 updated [3/3]",
            ),
            (
                rolling,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2, updatedNumberScheduled: 3, numberAvailable: 2, numberUnavailable: 1",
                "Progressing: 2 of 3 available [2/3]",
            ),
            (
                rolling,
                "observedGeneration: 1, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 3, numberAvailable: 3",
                "Progressing: its controller has seen generation 1, not 2 yet [3/3]",
            ),
            (
                rolling,
                "observedGeneration: 2, desiredNumberScheduled: 0, currentNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0",
                "Healthy: no node is to run it [0/0]",
            ),
            (rolling, "", "Progressing: its controller has not seen it yet"),
            (
                on_delete,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 1, numberAvailable: 3",
                "Healthy: 1 of 3 updated; the others update when they are deleted (OnDelete) [3/3]",
            ),
            (
                on_delete,
                "observedGeneration: 2, desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 1, updatedNumberScheduled: 1, numberAvailable: 1",
                "Progressing: 1 of 3 available [1/3]",
            ),
        ] {
            check(
                &format!(
                    "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: log, generation: 2}}, spec: {{{spec}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
    }
}
