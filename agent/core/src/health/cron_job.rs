//! CronJob. It is as well as its last finished run; one that runs now is no reason to worry. kstatus always calls it
//! current.

use jiff::Timestamp;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{is_true, list, text};

pub(super) fn assess(object: &Value) -> Verdict {
    runs(object).about(text(object, "/spec/schedule"))
}

fn runs(object: &Value) -> Verdict {
    if is_true(object, "/spec/suspend") {
        return Verdict::suspended("suspended: it starts no jobs");
    }
    let time = |pointer: &str| text(object, pointer).parse::<Timestamp>().ok();
    let Some(scheduled) = time("/status/lastScheduleTime") else { return Verdict::healthy_with("it has not run yet") };
    let succeeded = time("/status/lastSuccessfulTime");
    let active = list(object, "/status/active").len();
    if active > 0 {
        return Verdict::healthy_with(if active == 1 {
            "1 job is running".to_owned()
        } else {
            format!("{active} jobs are running")
        });
    }
    if succeeded.is_none_or(|succeeded| succeeded < scheduled)
        && let Some(changed) = changed_at(object).filter(|changed| *changed > scheduled)
    {
        return Verdict::healthy_with(format!(
            "the run of {scheduled} did not succeed; it was changed {changed}, and has not run since"
        ));
    }
    match succeeded {
        Some(succeeded) if succeeded >= scheduled => Verdict::healthy(),
        Some(succeeded) => Verdict::degraded(format!(
            "the run of {scheduled} did not succeed; the last one that did ended {succeeded}"
        )),
        // The controller notes a success when it sees the finished Job (kubernetes/kubernetes#122025).
        None if removes_finished_jobs(object) => {
            Verdict::healthy_with("how its runs end is not known: finished jobs are removed before that is noted")
        }
        None => Verdict::degraded(format!("the run of {scheduled} did not succeed, and none before it")),
    }
}

/// Whether a Job that did what it should is gone before it is seen.
fn removes_finished_jobs(object: &Value) -> bool {
    /// The controllers of a busy cluster are behind by seconds.
    const SEEN_WITHIN_SECONDS: u64 = 30;
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
    number("/spec/successfulJobsHistoryLimit") == Some(0)
        || number("/spec/jobTemplate/spec/ttlSecondsAfterFinished").is_some_and(|ttl| ttl < SEEN_WITHIN_SECONDS)
}

/// When somebody last wrote to what it is to do: a failed run before that says nothing of the next.
fn changed_at(object: &Value) -> Option<Timestamp> {
    let writes = list(object, "/metadata/managedFields").iter();
    let to_spec =
        writes.filter(|write| write.get("subresource").is_none() && write.pointer("/fieldsV1/f:spec").is_some());
    to_spec.filter_map(|write| text(write, "/time").parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn a_cron_job_is_as_well_as_its_last_run() {
        for (spec, status, expected) in [
            ("", "", "Healthy: it has not run yet [0 3 * * *]"),
            (
                "",
                "lastScheduleTime: '2026-01-02T03:00:00Z', lastSuccessfulTime: '2026-01-02T03:00:09Z'",
                "Healthy [0 3 * * *]",
            ),
            (
                "",
                "lastScheduleTime: '2026-01-02T03:00:00Z', lastSuccessfulTime: '2026-01-01T03:00:09Z', active: [{kind: Job, name: a}]",
                "Healthy: 1 job is running [0 3 * * *]",
            ),
            (
                "",
                "lastScheduleTime: '2026-01-02T03:00:00Z', lastSuccessfulTime: '2026-01-01T03:00:09Z'",
                "Degraded: the run of 2026-01-02T03:00:00Z did not succeed; the last one that did ended 2026-01-01T03:00:09Z [0 3 * * *]",
            ),
            (
                "",
                "lastScheduleTime: '2026-01-02T03:00:00Z'",
                "Degraded: the run of 2026-01-02T03:00:00Z did not succeed, and none before it [0 3 * * *]",
            ),
            (
                ", successfulJobsHistoryLimit: 0",
                "lastScheduleTime: '2026-01-02T03:00:00Z'",
                "Healthy: how its runs end is not known: finished jobs are removed before that is noted [0 3 * * *]",
            ),
            (
                ", jobTemplate: {spec: {ttlSecondsAfterFinished: 0}}",
                "lastScheduleTime: '2026-01-02T03:00:00Z'",
                "Healthy: how its runs end is not known: finished jobs are removed before that is noted [0 3 * * *]",
            ),
            (
                ", jobTemplate: {spec: {ttlSecondsAfterFinished: 3600}}",
                "lastScheduleTime: '2026-01-02T03:00:00Z'",
                "Degraded: the run of 2026-01-02T03:00:00Z did not succeed, and none before it [0 3 * * *]",
            ),
            (
                ", successfulJobsHistoryLimit: 0",
                "lastScheduleTime: '2026-01-02T03:00:00Z', lastSuccessfulTime: '2026-01-01T03:00:09Z'",
                "Degraded: the run of 2026-01-02T03:00:00Z did not succeed; the last one that did ended 2026-01-01T03:00:09Z [0 3 * * *]",
            ),
            (
                ", suspend: true",
                "lastScheduleTime: '2026-01-02T03:00:00Z'",
                "Suspended: suspended: it starts no jobs [0 3 * * *]",
            ),
            (", suspend: false", "lastScheduleTime: not a time", "Healthy: it has not run yet [0 3 * * *]"),
        ] {
            check(
                &format!(
                    "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: a}}, spec: {{schedule: 0 3 * * *{spec}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
    }
}
