//! StatefulSet. Whatever the update strategy, pods that are not ready come first. A partition holds a part of the pods
//! at the old revision and OnDelete all of them until a person acts: both are done, not on their way.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{count, not_observed, number, pods, text};

pub(super) fn assess(object: &Value) -> Verdict {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let ready = count(object, "/status/readyReplicas");
    rollout(object, wanted, ready).about(format!("{ready}/{wanted}"))
}

fn rollout(object: &Value, wanted: i64, ready: i64) -> Verdict {
    let all = count(object, "/status/replicas");
    let updated = count(object, "/status/updatedReplicas");
    if let Some(why) = not_observed(object) {
        return Verdict::progressing(why);
    }
    if ready < wanted {
        return Verdict::progressing(format!("{ready} of {wanted} ready"));
    }
    if all > wanted {
        return Verdict::progressing(format!("{} to end", pods(all - wanted)));
    }
    // Older servers do not tell it.
    if let Some(available) = number(object, "/status/availableReplicas").filter(|available| *available < wanted) {
        return Verdict::progressing(format!("{available} of {wanted} available"));
    }
    let (current, update) = (text(object, "/status/currentRevision"), text(object, "/status/updateRevision"));
    let is_updating = current != update && !update.is_empty();
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        let held = format!("{updated} of {wanted} updated; the others update when they are deleted (OnDelete)");
        return if is_updating { Verdict::healthy_with(held) } else { Verdict::healthy() };
    }
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition").clamp(0, wanted.max(0));
    if partition > 0 {
        let to_update = wanted - partition;
        return match updated >= to_update || !is_updating {
            true if is_updating => Verdict::healthy_with(format!(
                "{updated} of {wanted} updated, the rest held back by partition {partition}"
            )),
            true => Verdict::healthy(),
            false => Verdict::progressing(format!(
                "{updated} of {to_update} updated, {partition} held back by the partition"
            )),
        };
    }
    if is_updating {
        return Verdict::progressing(format!("{updated} of {wanted} updated"));
    }
    if wanted == 0 { Verdict::healthy_with("scaled to zero") } else { Verdict::healthy() }
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    fn stateful_set(spec: &str, status: &str) -> String {
        format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: db, generation: 2}}, spec: {{replicas: 3, {spec}}}, status: {{{status}}}}}"
        )
    }

    const READY: &str = "observedGeneration: 2, replicas: 3, readyReplicas: 3, availableReplicas: 3";

    #[test]
    fn a_rollout_is_followed_to_its_end() {
        for (status, expected) in [
            (format!("{READY}, updatedReplicas: 3, currentReplicas: 3, currentRevision: db-1, updateRevision: db-1"), "Healthy [3/3]"),
            (format!("{READY}, updatedReplicas: 1, currentRevision: db-1, updateRevision: db-2"), "Progressing: 1 of 3 updated [3/3]"),
            ("observedGeneration: 2, replicas: 3, readyReplicas: 2, updatedReplicas: 2, currentRevision: db-1, updateRevision: db-2".to_owned(), "Progressing: 2 of 3 ready [2/3]"),
            ("observedGeneration: 2, replicas: 3, readyReplicas: 3, availableReplicas: 1, currentRevision: a, updateRevision: a".to_owned(), "Progressing: 1 of 3 available [3/3]"),
            ("observedGeneration: 2, replicas: 5, readyReplicas: 5, availableReplicas: 5, currentRevision: a, updateRevision: a".to_owned(), "Progressing: 2 pods to end [5/3]"),
            (format!("{}, updatedReplicas: 3", READY.replace("Generation: 2", "Generation: 1")), "Progressing: its controller has seen generation 1, not 2 yet [3/3]"),
            ("replicas: 3, readyReplicas: 3".to_owned(), "Progressing: its controller has not seen it yet [3/3]"),
            (String::new(), "Progressing: its controller has not seen it yet [0/3]"),
            // Servers before 1.22 do not tell availability.
            ("observedGeneration: 2, replicas: 3, readyReplicas: 3, currentRevision: a, updateRevision: a".to_owned(), "Healthy [3/3]"),
        ] {
            check(&stateful_set("", &status), expected);
        }
    }

    #[test]
    fn a_partition_and_on_delete_hold_pods_back_on_purpose() {
        let partition = "updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}";
        let on_delete = "updateStrategy: {type: OnDelete}";
        for (spec, status, expected) in [
            (
                partition,
                format!("{READY}, updatedReplicas: 1, currentRevision: db-1, updateRevision: db-2"),
                "Healthy: 1 of 3 updated, the rest held back by partition 2 [3/3]",
            ),
            (
                partition,
                format!("{READY}, currentRevision: db-1, updateRevision: db-2"),
                "Progressing: 0 of 1 updated, 2 held back by the partition [3/3]",
            ),
            (
                partition,
                format!("{READY}, updatedReplicas: 3, currentRevision: db-2, updateRevision: db-2"),
                "Healthy [3/3]",
            ),
            (
                "updateStrategy: {rollingUpdate: {partition: 9}}",
                format!("{READY}, currentRevision: db-1, updateRevision: db-2"),
                "Healthy: 0 of 3 updated, the rest held back by partition 3 [3/3]",
            ),
            (
                on_delete,
                format!("{READY}, updatedReplicas: 1, currentRevision: db-1, updateRevision: db-2"),
                "Healthy: 1 of 3 updated; the others update when they are deleted (OnDelete) [3/3]",
            ),
            (
                on_delete,
                "observedGeneration: 2, replicas: 3, readyReplicas: 1, currentRevision: db-1, updateRevision: db-2"
                    .to_owned(),
                "Progressing: 1 of 3 ready [1/3]",
            ),
        ] {
            check(&stateful_set(spec, &status), expected);
        }
    }
}
