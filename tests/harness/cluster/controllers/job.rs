//! Job: pods until enough have ended well, or too many have not.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::pods;
use crate::cluster::clock::Clock;
use crate::cluster::delete;
use crate::cluster::events;
use crate::cluster::store::{Key, State, items, number, text};

pub(super) fn reconcile(state: &mut State, key: &Key, clock: &Clock) -> Option<Instant> {
    let job = state.get(key).cloned()?;
    if job.pointer("/metadata/deletionTimestamp").is_some() {
        return None;
    }
    if let Some(over) = items(&job, "/status/conditions")
        .find(|one| ["Complete", "Failed"].contains(&text(one, "/type")) && one["status"] == "True")
    {
        return clean_up(state, key, &job, text(over, "/lastTransitionTime"), clock);
    }
    let all = state.owned_objects(text(&job, "/metadata/uid"), "pods");
    let in_phase = |phase: &str| all.iter().filter(|pod| text(pod, "/status/phase") == phase).count() as i64;
    let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
    let active = pods::active(state, &job);
    let restarts: i64 = active
        .iter()
        .flat_map(|pod| items(pod, "/status/containerStatuses"))
        .filter_map(|one| number(one, "/restartCount"))
        .sum();
    let wanted = number(&job, "/spec/completions").unwrap_or(1);
    let limit = number(&job, "/spec/backoffLimit").unwrap_or(6);
    let started = text(&job, "/status/startTime").to_owned();
    let deadline = number(&job, "/spec/activeDeadlineSeconds").filter(|_| !started.is_empty());
    let late = deadline.map(|seconds| clock.later(&started, seconds));
    let suspended = job["spec"]["suspend"] == true;

    let verdict = match () {
        () if suspended => None,
        () if succeeded >= wanted => {
            Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"))
        }
        () if failed > limit || restarts > limit => {
            Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
        }
        () if late == Some(None) => {
            Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
        }
        () => None,
    };
    if suspended || verdict.is_some() {
        active.iter().for_each(|pod| pods::delete(state, key, pod, clock));
    } else {
        let room = number(&job, "/spec/parallelism").unwrap_or(1).min(wanted - succeeded) - active.len() as i64;
        for _ in 0..room.max(0) {
            pods::make(state, key, clock, |_| {});
        }
    }
    report(state, key, &job, (succeeded, failed, suspended), verdict, clock);
    late.flatten()
}

fn report(
    state: &mut State,
    key: &Key,
    job: &Value,
    (succeeded, failed, suspended): (i64, i64, bool),
    verdict: Option<(&str, &str, &str)>,
    clock: &Clock,
) {
    let now = clock.stamp();
    let active: Vec<Arc<Value>> = if verdict.is_some() { Vec::new() } else { pods::active(state, job) };
    let ready = active.iter().filter(|pod| pods::ready(pod).is_some()).count();
    let mut status = json!({
        "ready": ready, "terminating": pods::leaving(state, job), "uncountedTerminatedPods": {},
    });
    if !suspended {
        let started = text(job, "/status/startTime");
        status["startTime"] = json!(if started.is_empty() { now.as_str() } else { started });
    }
    let counts = [("active", active.len() as i64), ("succeeded", succeeded), ("failed", failed)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = json!(count);
    }
    let mut conditions: Vec<Value> =
        items(job, "/status/conditions").filter(|one| one["type"] != "Suspended").cloned().collect();
    let was_suspended =
        items(job, "/status/conditions").any(|one| one["type"] == "Suspended" && one["status"] == "True");
    let mut add = |kind: &str, yes: &str, reason: &str, message: &str| {
        let mut condition = pods::condition(job, kind, yes, reason, message, &now);
        condition["lastProbeTime"] = condition["lastTransitionTime"].clone();
        conditions.push(condition);
    };
    match verdict {
        _ if suspended => add("Suspended", "True", "JobSuspended", "Job suspended"),
        _ if was_suspended => add("Suspended", "False", "JobResumed", "Job resumed"),
        _ => {}
    }
    if let Some((kind, reason, message)) = verdict {
        let first = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        add(first, "True", reason, message);
        add(kind, "True", reason, message);
        if kind == "Complete" {
            status["completionTime"] = json!(now);
        }
        let (word, reason) = if kind == "Complete" { ("Normal", "Completed") } else { ("Warning", reason) };
        let message = if kind == "Complete" { "Job completed" } else { message };
        events::record(state, key, (word, reason, message), "job-controller", clock);
    }
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    pods::set_status(state, key, status, clock);
}

/// `ttlSecondsAfterFinished`
fn clean_up(state: &mut State, key: &Key, job: &Value, since: &str, clock: &Clock) -> Option<Instant> {
    let seconds = number(job, "/spec/ttlSecondsAfterFinished")?;
    let at = clock.later(since, seconds);
    if at.is_none() {
        let kind = state.kind_of("jobs.batch")?;
        let _ = delete::delete(state, &kind, key, &delete::Terms::default(), &clock.stamp());
    }
    at
}
