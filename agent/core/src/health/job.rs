//! Job. It is done when it says that it is complete: kstatus is content once it started, which is no answer for who waits
//! for a migration. Pods that failed count once the Job has given up on them.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition_that_is, count, is_true, number};
use crate::sync::plan::Ended;

/// How a Job ended that needs no other in its place once it is gone. One that failed is such only where its time to live
/// takes it away: who deletes a failed Job wants it tried again.
pub fn ended(object: &Value) -> Option<Ended> {
    if object["kind"] != "Job" || !object["apiVersion"].as_str().is_some_and(|api| api.starts_with("batch/")) {
        return None;
    }
    if condition_that_is(object, "Complete", "True").is_some() {
        return Some(Ended::Completed);
    }
    let goes_by_itself = number(object, "/spec/ttlSecondsAfterFinished").is_some();
    condition_that_is(object, "Failed", "True").filter(|_| goes_by_itself).map(|_| Ended::Failed)
}

pub(super) fn assess(object: &Value) -> Verdict {
    let succeeded = count(object, "/status/succeeded");
    let summary = match number(object, "/spec/completions") {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => format!("{succeeded} done"),
    };
    progress(object, succeeded).about(summary)
}

fn progress(object: &Value, succeeded: i64) -> Verdict {
    // FailureTarget comes first, while the last pods are still ending.
    for failing in ["Failed", "FailureTarget"] {
        if let Some(failed) = condition_that_is(object, failing, "True") {
            return Verdict::degraded(failed.summary());
        }
    }
    if condition_that_is(object, "Complete", "True").is_some() {
        return match count(object, "/status/failed") {
            0 => Verdict::healthy(),
            1 => Verdict::healthy_with("completed after 1 failed try"),
            tries => Verdict::healthy_with(format!("completed after {tries} failed tries")),
        };
    }
    let suspended = condition_that_is(object, "Suspended", "True").is_some();
    if is_true(object, "/spec/suspend") || (suspended && object.pointer("/spec/suspend").is_none()) {
        return Verdict::suspended("suspended");
    }
    if condition_that_is(object, "SuccessCriteriaMet", "True").is_some() {
        return Verdict::progressing("it has succeeded, and its last pods are ending");
    }
    let active = count(object, "/status/active");
    let failed = count(object, "/status/failed");
    if active == 0 && failed == 0 && succeeded == 0 {
        return Verdict::progressing("not started yet");
    }
    let parts = [(active, "active"), (succeeded, "succeeded"), (failed, "failed")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let tries = match number(object, "/spec/backoffLimit") {
        Some(limit) if failed > 0 => format!(" of {} tries", limit + 1),
        _ => String::new(),
    };
    Verdict::progressing(format!("running: {}{tries}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::health::tests::check;

    #[test]
    fn a_job_that_ended_needs_no_other() {
        let job = |spec: Value, condition: &str| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "spec": spec,
                "status": {"conditions": [{"type": condition, "status": "True"}]},
            })
        };
        let ttl = || json!({"ttlSecondsAfterFinished": 5});
        for (object, expected) in [
            (job(ttl(), "Complete"), Some(Ended::Completed)),
            (job(json!({}), "Complete"), Some(Ended::Completed)),
            (job(ttl(), "Failed"), Some(Ended::Failed)),
            // Deleted by a person so that it is tried again.
            (job(json!({}), "Failed"), None),
            (job(ttl(), "Suspended"), None),
            (json!({"apiVersion": "v1", "kind": "Pod", "status": job(ttl(), "Complete")["status"]}), None),
        ] {
            assert_eq!(ended(&object), expected, "{object}");
        }
    }

    #[test]
    fn a_job_is_done_when_it_says_so() {
        for (spec, status, expected) in [
            (
                "completions: 1",
                "active: 1, startTime: '2026-01-01T00:00:00Z', ready: 1",
                "Progressing: running: 1 active [0/1]",
            ),
            (
                "completions: 1",
                "succeeded: 1, conditions: [{type: SuccessCriteriaMet, status: 'True'}, {type: Complete, status: 'True'}]",
                "Healthy [1/1]",
            ),
            (
                "completions: 3",
                "succeeded: 3, conditions: [{type: SuccessCriteriaMet, status: 'True'}]",
                "Progressing: it has succeeded, and its last pods are ending [3/3]",
            ),
            (
                "completions: 3, backoffLimit: 6",
                "active: 1, succeeded: 1, failed: 2",
                "Progressing: running: 1 active, 1 succeeded, 2 failed of 7 tries [1/3]",
            ),
            (
                "completions: 1, backoffLimit: 0",
                "failed: 1, conditions: [{type: FailureTarget, status: 'True', reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}, \
                 {type: Failed, status: 'True', reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]",
                "Degraded: BackoffLimitExceeded: Job has reached the specified backoff limit [0/1]",
            ),
            (
                "completions: 1",
                "active: 1, conditions: [{type: FailureTarget, status: 'True', reason: PodFailurePolicy, message: exit 42}]",
                "Degraded: PodFailurePolicy: exit 42 [0/1]",
            ),
            (
                "completions: 1, suspend: true",
                "conditions: [{type: Suspended, status: 'True', reason: JobSuspended, message: Job suspended}]",
                "Suspended: suspended [0/1]",
            ),
            ("completions: 1, suspend: true", "", "Suspended: suspended [0/1]"),
            (
                "completions: 1, suspend: false",
                "active: 1, conditions: [{type: Suspended, status: 'True'}]",
                "Progressing: running: 1 active [0/1]",
            ),
            ("suspend: true", "conditions: [{type: Complete, status: 'True'}]", "Healthy [0 done]"),
            ("completions: 1", "", "Progressing: not started yet [0/1]"),
            ("parallelism: 2", "active: 2, succeeded: 5", "Progressing: running: 2 active, 5 succeeded [5 done]"),
        ] {
            check(
                &format!(
                    "{{apiVersion: batch/v1, kind: Job, metadata: {{name: a, generation: 1}}, spec: {{{spec}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
    }
}
