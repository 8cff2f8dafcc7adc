//! Health over time. Some states are normal for a moment and a failure when they stay: an autoscaler without metrics, a pod
//! without a node, a load balancer without an address, an object that no controller has looked at. Who judges them says
//! for how long; here the clock decides.

use jiff::{SignedDuration, Timestamp};
use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{conditions, text};

/// For how long a state is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// The condition whose last change began it; else the creation of the object does.
    condition: &'static str,
    minutes: i64,
    /// What it is before and after.
    before: Health,
    after: Health,
}

impl Patience {
    /// A controller that runs reports within seconds; ten minutes allow for one that is being upgraded.
    pub(super) const STATUS: Self = Self::degrades("", 10).to(Health::Unknown);
    /// Clouds make a load balancer in two to five minutes.
    pub(super) const ADDRESS: Self = Self::degrades("", 15);
    /// The metrics server reads a new pod after one to two periods of a minute; adapters of other makers are slower.
    pub(super) const METRICS: Self = Self::degrades("ScalingActive", 5);
    /// A cluster autoscaler adds a node in two to five minutes, rarely ten; kstatus waits 15 s.
    pub(super) const NODE: Self = Self::degrades("PodScheduled", 10);

    const fn degrades(condition: &'static str, minutes: i64) -> Self {
        Self { condition, minutes, before: Health::Progressing, after: Health::Degraded }
    }

    const fn to(self, after: Health) -> Self {
        Self { after, ..self }
    }

    fn began(&self, object: &Value) -> Option<Timestamp> {
        let changed = conditions(object).find(|condition| condition.kind() == self.condition);
        let changed = changed.and_then(|condition| condition.changed_at());
        changed.or_else(|| text(object, "/metadata/creationTimestamp").parse().ok())
    }
}

/// What a verdict is at a time. Without a time, or where the object does not tell when it began, it is as it was judged.
pub(super) fn at(now: Option<Timestamp>, object: &Value, verdict: Verdict) -> Verdict {
    let Some(patience) = verdict.patience else { return verdict };
    let (Some(now), Some(began)) = (now, patience.began(object)) else { return verdict };
    let Ok(until) = began.checked_add(SignedDuration::from_mins(patience.minutes)) else { return verdict };
    if now < until {
        return Verdict { health: patience.before, changes_at: Some(until), ..verdict };
    }
    over(patience, verdict)
}

/// What a verdict is when its time is over.
pub(super) fn over(patience: Patience, verdict: Verdict) -> Verdict {
    let reason = format!("{}, for more than {} minutes", verdict.reason, patience.minutes);
    Verdict { health: patience.after, reason, changes_at: None, patience: None, ..verdict }
}

#[cfg(test)]
mod tests {

    use crate::health::tests::{line, object};
    use crate::health::{Surroundings, assess_in};

    fn at_minute(minute: u32, yaml: &str) -> (String, Option<String>) {
        let now = Some(format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap());
        let surroundings = Surroundings { now, has_status: &|_, _| Some(true), ..Surroundings::default() };
        let verdict = assess_in(&object(yaml), surroundings);
        (line(&verdict), verdict.changes_at.map(|at| at.to_string()))
    }

    #[test]
    fn what_is_normal_for_a_moment_is_so_for_a_bounded_while() {
        let created = "creationTimestamp: '2026-01-01T00:00:00Z'";
        let balancer = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: a, {created}}}, spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}, status: {{}}}}"
        );
        let shop = format!("{{apiVersion: example.com/v1, kind: Shop, metadata: {{name: a, {created}}}}}");
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a, {created}}}, status: {{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', \
             reason: Unschedulable, message: no room, lastTransitionTime: '2026-01-01T00:02:00Z'}}]}}}}"
        );
        let scaler = format!(
            "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: a, {created}}}, spec: {{maxReplicas: 2}}, status: {{conditions: \
             [{{type: AbleToScale, status: 'True'}}, {{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, lastTransitionTime: '2026-01-01T00:01:00Z'}}]}}}}"
        );
        for (yaml, minute, health, changes_at) in [
            (&balancer, 14, "Progressing", Some("2026-01-01T00:15:00Z")),
            (&balancer, 15, "Degraded", None),
            (&shop, 9, "Progressing", Some("2026-01-01T00:10:00Z")),
            (&shop, 10, "Unknown", None),
            (&pod, 11, "Progressing", Some("2026-01-01T00:12:00Z")),
            (&pod, 12, "Degraded", None),
            (&scaler, 5, "Progressing", Some("2026-01-01T00:06:00Z")),
            (&scaler, 6, "Degraded", None),
        ] {
            let (line, again) = at_minute(minute, yaml);
            assert!(line.starts_with(health), "minute {minute}: {line} of {yaml}");
            assert_eq!(again.as_deref(), changes_at, "minute {minute} of {yaml}");
        }
    }
}
