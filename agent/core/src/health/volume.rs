//! PersistentVolumeClaim and PersistentVolume. A claim whose storage class waits for the first pod is as it should be
//! without a volume; the claim itself does not tell, so the class has to be known (see [`Surroundings`]).

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::field::{condition_that_is, text};
use crate::health::{Surroundings, Verdict};

pub(super) fn assess_claim(object: &Value, surroundings: Surroundings<'_>) -> Verdict {
    let capacity = text(object, "/status/capacity/storage");
    let size = if capacity.is_empty() { text(object, "/spec/resources/requests/storage") } else { capacity };
    let verdict = match text(object, "/status/phase") {
        "Bound" => bound(object),
        "Lost" => Verdict::degraded(format!("its volume {} is lost", text(object, "/spec/volumeName"))),
        "Pending" | "" => pending(object, surroundings),
        other => Verdict::new(Health::Unknown, format!("its phase is {other}")),
    };
    verdict.about(size)
}

fn bound(object: &Value) -> Verdict {
    for failing in ["ControllerResizeError", "NodeResizeError"] {
        if let Some(error) = condition_that_is(object, failing, "True") {
            return Verdict::degraded(error.summary());
        }
    }
    let states =
        object.pointer("/status/allocatedResourceStatuses/storage").and_then(Value::as_str).unwrap_or_default();
    if states.ends_with("Infeasible") || states.ends_with("Failed") {
        return Verdict::degraded(format!("it cannot be resized: {states}"));
    }
    if condition_that_is(object, "Resizing", "True").is_some() {
        return Verdict::progressing("it is being resized");
    }
    // The rest happens when a pod mounts it, which nobody may be waiting for.
    match condition_that_is(object, "FileSystemResizePending", "True") {
        Some(waits) => Verdict::healthy_with(waits.summary()),
        None => Verdict::healthy(),
    }
}

fn pending(object: &Value, surroundings: Surroundings<'_>) -> Verdict {
    let annotation =
        |key: &str| object.pointer("/metadata/annotations").and_then(|all| all.get(key)).and_then(Value::as_str);
    let class = text(object, "/spec/storageClassName");
    let node = annotation("volume.kubernetes.io/selected-node");
    if node.is_none() && (surroundings.waits_for_first_consumer)(class) == Some(true) {
        return Verdict::healthy_with("its volume is made for the first pod that uses it");
    }
    let provisioner = annotation("volume.kubernetes.io/storage-provisioner")
        .or(annotation("volume.beta.kubernetes.io/storage-provisioner"));
    Verdict::progressing(match (provisioner, class) {
        (Some(provisioner), _) => format!("waits for {provisioner} to make its volume"),
        (None, "") => "waits for a volume, and names no storage class".to_owned(),
        (None, class) => format!("waits for a volume of the storage class {class}"),
    })
}

pub(super) fn assess(object: &Value) -> Verdict {
    let why = text(object, "/status/message");
    let verdict = match text(object, "/status/phase") {
        "Bound" | "Available" => Verdict::healthy(),
        "Released" => Verdict::healthy_with("its claim is gone"),
        "Failed" if why.is_empty() => Verdict::degraded("it could not be reclaimed"),
        "Failed" => Verdict::degraded(why),
        _ => Verdict::progressing("not available yet"),
    };
    verdict.about(text(object, "/spec/capacity/storage"))
}

#[cfg(test)]
mod tests {
    use crate::health::tests::{check, line, object};
    use crate::health::{Surroundings, assess_in};

    fn claim(annotations: &str, status: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: data, annotations: {{{annotations}}}}}, \
             spec: {{storageClassName: fast, volumeName: pv-1, resources: {{requests: {{storage: 5Gi}}}}}}, status: {{{status}}}}}"
        )
    }

    #[test]
    fn a_claim_is_followed_to_its_volume() {
        let asked = "volume.kubernetes.io/storage-provisioner: csi.example.com";
        for (annotations, status, expected) in [
            ("", "phase: Bound, capacity: {storage: 10Gi}", "Healthy [10Gi]"),
            ("", "phase: Pending", "Progressing: waits for a volume of the storage class fast [5Gi]"),
            (asked, "phase: Pending", "Progressing: waits for csi.example.com to make its volume [5Gi]"),
            ("", "phase: Lost", "Degraded: its volume pv-1 is lost [5Gi]"),
            (
                "",
                "phase: Bound, capacity: {storage: 5Gi}, conditions: [{type: Resizing, status: 'True'}]",
                "Progressing: it is being resized [5Gi]",
            ),
            (
                "",
                "phase: Bound, conditions: [{type: FileSystemResizePending, status: 'True', message: Waiting for user to (re-)start a pod}]",
                "Healthy: Waiting for user to (re-)start a pod [5Gi]",
            ),
            (
                "",
                "phase: Bound, conditions: [{type: NodeResizeError, status: 'True', message: no space}]",
                "Degraded: no space [5Gi]",
            ),
            (
                "",
                "phase: Bound, allocatedResourceStatuses: {storage: ControllerResizeInfeasible}",
                "Degraded: it cannot be resized: ControllerResizeInfeasible [5Gi]",
            ),
            ("", "", "Progressing: waits for a volume of the storage class fast [5Gi]"),
            ("", "phase: Odd", "Unknown: its phase is Odd [5Gi]"),
        ] {
            check(&claim(annotations, status), expected);
        }
        check(
            "{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Pending}}",
            "Progressing: waits for a volume, and names no storage class",
        );
    }

    #[test]
    fn a_claim_of_a_class_that_waits_for_pods_is_well_without_a_volume() {
        let surroundings =
            Surroundings { waits_for_first_consumer: &|class| Some(class == "fast"), ..Surroundings::default() };
        for (annotations, expected) in [
            ("", "Healthy: its volume is made for the first pod that uses it [5Gi]"),
            (
                "volume.kubernetes.io/selected-node: n1",
                "Progressing: waits for a volume of the storage class fast [5Gi]",
            ),
        ] {
            let verdict = assess_in(&object(&claim(annotations, "phase: Pending")), surroundings);
            assert_eq!(line(&verdict), expected);
        }
    }

    #[test]
    fn volumes_have_phases() {
        for (status, expected) in [
            ("phase: Bound", "Healthy [1Gi]"),
            ("phase: Available", "Healthy [1Gi]"),
            ("phase: Released", "Healthy: its claim is gone [1Gi]"),
            ("phase: Failed, message: recycler failed", "Degraded: recycler failed [1Gi]"),
            ("phase: Pending", "Progressing: not available yet [1Gi]"),
        ] {
            check(
                &format!(
                    "{{apiVersion: v1, kind: PersistentVolume, spec: {{capacity: {{storage: 1Gi}}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
    }
}
