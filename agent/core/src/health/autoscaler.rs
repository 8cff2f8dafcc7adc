//! HorizontalPodAutoscaler. One that cannot read its metric or its target scales nothing and is Degraded; one that waits
//! between two steps, or is at its limit, works.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{Condition, conditions, conditions_at, count, number, observed_is_stale, text};
use crate::health::time::Patience;

pub(super) fn assess(object: &Value) -> Verdict {
    let (min, max) = (number(object, "/spec/minReplicas").unwrap_or(1), count(object, "/spec/maxReplicas"));
    let now = count(object, "/status/currentReplicas");
    // Version 1 of the API has no conditions, so the server puts them into an annotation.
    let annotation =
        object.pointer("/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions").and_then(Value::as_str);
    let written: Option<Value> = annotation.and_then(|text| serde_json::from_str(text).ok());
    let mut all: Vec<Condition<'_>> = conditions(object).collect();
    if let (true, Some(written)) = (all.is_empty(), &written) {
        all = conditions_at(written, "").collect();
    }
    scaling(object, &all).about(format!("{now} of {min} to {max}"))
}

fn scaling(object: &Value, all: &[Condition<'_>]) -> Verdict {
    if let Some(why) = observed_is_stale(object) {
        return Verdict::progressing(why);
    }
    let find = |kind: &str| all.iter().copied().find(|condition| condition.kind() == kind);
    let able = find("AbleToScale");
    match able.filter(|condition| condition.is("False")) {
        // It waits between two steps.
        Some(waits) if waits.reason().starts_with("Backoff") => {}
        Some(fails) if fails.reason().starts_with("Failed") => return Verdict::degraded(fails.summary()),
        Some(not_yet) => return Verdict::progressing(not_yet.summary()),
        None => {}
    }
    match find("ScalingActive").filter(|condition| condition.is("False")) {
        // Somebody scaled its target to zero, which turns it off.
        Some(off) if off.reason() == "ScalingDisabled" => return Verdict::healthy_with(off.summary()),
        // The pods of a new target have no metrics yet.
        Some(fails) => return Verdict::degraded(fails.summary()).for_a_while(Patience::METRICS),
        None => {}
    }
    if able.is_none() {
        let name = text(object, "/spec/scaleTargetRef/name");
        return Verdict::progressing(format!("its controller has not judged {name} yet"));
    }
    match find("ScalingLimited").filter(|condition| condition.is("True")) {
        Some(limited) => Verdict::healthy_with(limited.summary()),
        None => Verdict::healthy(),
    }
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn what_keeps_it_from_scaling_is_told() {
        let able = "{type: AbleToScale, status: 'True', reason: ReadyForNewScale, message: ready}";
        let active = "{type: ScalingActive, status: 'True', reason: ValidMetricFound, message: ok}";
        for (conditions, expected) in [
            (format!("{able}, {active}, {{type: ScalingLimited, status: 'False', reason: DesiredWithinRange}}"), "Healthy [3 of 2 to 5]"),
            (
                format!("{able}, {active}, {{type: ScalingLimited, status: 'True', reason: TooManyReplicas, message: at the maximum}}"),
                "Healthy: TooManyReplicas: at the maximum [3 of 2 to 5]",
            ),
            (
                format!("{able}, {{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: 'unable to get metrics for resource cpu'}}"),
                "Degraded: FailedGetResourceMetric: unable to get metrics for resource cpu [3 of 2 to 5]",
            ),
            (
                "{type: AbleToScale, status: 'False', reason: FailedGetScale, message: 'deployments.apps \"shop\" not found'}".to_owned(),
                "Degraded: FailedGetScale: deployments.apps \"shop\" not found [3 of 2 to 5]",
            ),
            (format!("{{type: AbleToScale, status: 'False', reason: BackoffBoth}}, {active}"), "Healthy [3 of 2 to 5]"),
            (
                format!("{able}, {{type: ScalingActive, status: 'False', reason: ScalingDisabled, message: scaling is disabled since the replica count of the target is zero}}"),
                "Healthy: ScalingDisabled: scaling is disabled since the replica count of the target is zero [3 of 2 to 5]",
            ),
            (
                "{type: AbleToScale, status: 'False', reason: Odd, message: not yet}".to_owned(),
                "Progressing: Odd: not yet [3 of 2 to 5]",
            ),
            (String::new(), "Progressing: its controller has not judged shop yet [3 of 2 to 5]"),
        ] {
            check(
                &format!(
                    "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: a}}, spec: {{minReplicas: 2, maxReplicas: 5, \
                     scaleTargetRef: {{name: shop}}}}, status: {{currentReplicas: 3, conditions: [{conditions}]}}}}"
                ),
                expected,
            );
        }
    }

    #[test]
    fn version_1_has_its_conditions_in_an_annotation() {
        let conditions = r#"[{"type":"AbleToScale","status":"True"},{"type":"ScalingActive","status":"False","reason":"FailedGetResourceMetric"}]"#;
        check(
            &format!(
                "{{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {{annotations: {{autoscaling.alpha.kubernetes.io/conditions: '{conditions}'}}}}, \
                 spec: {{maxReplicas: 4}}, status: {{currentReplicas: 1}}}}"
            ),
            "Degraded: FailedGetResourceMetric [1 of 1 to 4]",
        );
    }
}
