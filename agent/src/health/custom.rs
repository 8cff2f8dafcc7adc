//! Every other kind, by the conventions that most of them follow: conditions, else a phase.
//!
//! The conventions leave one question open: whether `Ready=False` means "not yet" or "no". kstatus takes it for the
//! first, so nothing ever fails; most health rules of Argo CD for the second. We go by what the object says: a condition
//! that work goes on, or a reason that names work, is Progressing; everything else that is not ready is Degraded.
//! `Unknown` is how controllers say that they are at it.

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{Condition, conditions, conditions_at, is_true, list, number, observed_is_stale, text};

/// Conditions that say that the object does its work. The first that is there decides.
const GOOD: &[&str] = &[
    "Ready",
    "Available",
    "Healthy",
    "Succeeded",
    "Established",
    "Programmed",
    "Deployed",
    "ACK.ResourceSynced",
    "Completed",
    "Complete",
    "Running",
];

/// Of these, the ones that are False for as long as the object is at work.
const AT_THE_END: &[&str] = &["Completed", "Complete", "Running"];

/// Conditions that say that something it needs is as it should be: False is a failure, True alone says little.
const NEEDED: &[&str] = &["Synced", "Accepted", "ResolvedRefs", "Valid"];

/// Conditions that say that it fails.
const BAD: &[&str] = &["Stalled", "Failed", "Failure", "Failing", "Degraded", "Error", "ACK.Terminal"];

/// Conditions that say that work goes on.
const BUSY: &[&str] = &["Reconciling", "Issuing"];

pub(super) fn assess(object: &Value) -> Verdict {
    if let Some(why) = observed_is_stale(object) {
        return Verdict::progressing(why);
    }
    // What routes say of each gateway is as good as their own condition.
    let parents = list(object, "/status/parents").iter().flat_map(|parent| conditions_at(parent, "/conditions"));
    let all: Vec<Condition<'_>> = conditions(object).chain(parents).collect();
    let find = |kinds: &[&str], status: &str| {
        let mut found = kinds.iter().filter_map(|kind| all.iter().copied().find(|c| c.kind() == *kind && c.is(status)));
        found.next()
    };
    let paused = ["/spec/suspend", "/spec/suspended", "/spec/paused"].iter().any(|pointer| is_true(object, pointer));
    if paused || find(&["Suspended", "Paused"], "True").is_some() {
        return Verdict::suspended("suspended");
    }
    if let Some(bad) = find(BAD, "True") {
        return current(object, bad, Verdict::degraded(bad.words()));
    }
    let busy = find(BUSY, "True");
    if let Some(missing) = find(NEEDED, "False") {
        return current(object, missing, not_good(missing, busy));
    }
    let good = GOOD.iter().find_map(|kind| all.iter().copied().find(|condition| condition.kind() == *kind));
    match (good, busy) {
        (Some(good), _) if good.is("False") => current(object, good, not_good(good, busy)),
        (_, Some(busy)) => Verdict::progressing(busy.words()),
        // A phase beside conditions counts where it knows something worse.
        (Some(good), None) if good.is("True") => current(object, good, phase(object).unwrap_or_else(Verdict::healthy)),
        (Some(good), None) => Verdict::progressing(good.words()),
        (None, None) => phase(object).unwrap_or_else(|| match object.get("status") {
            None | Some(Value::Null) => Verdict { reason: "it tells no status".to_owned(), ..Verdict::healthy() },
            Some(_) => Verdict::healthy(),
        }),
    }
}

/// A verdict, unless the condition that it rests on is about an older object.
fn current(object: &Value, condition: Condition<'_>, verdict: Verdict) -> Verdict {
    match (number(object, "/metadata/generation"), condition.observed_generation()) {
        (Some(generation), Some(observed)) if observed < generation => {
            let kind = condition.kind();
            Verdict::progressing(format!("its condition {kind} is about generation {observed}, not {generation} yet"))
        }
        _ => verdict,
    }
}

fn not_good(condition: Condition<'_>, busy: Option<Condition<'_>>) -> Verdict {
    let fails = sounds_like_failure(condition.reason());
    let works = busy.is_some() || AT_THE_END.contains(&condition.kind()) || sounds_like_work(condition.reason());
    if works && !fails { Verdict::progressing(condition.words()) } else { Verdict::degraded(condition.words()) }
}

/// What a phase in one word says. A word that only its maker knows says nothing against the object.
fn phase(object: &Value) -> Option<Verdict> {
    let first = |pointers: &[&str]| pointers.iter().map(|pointer| text(object, pointer)).find(|text| !text.is_empty());
    let phase = first(&["/status/phase", "/status/state", "/status/health/status", "/status/health"])?;
    let message = first(&["/status/message", "/status/reason"]);
    let words = message.map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}"));
    let word = phase.to_ascii_lowercase();
    let is_one_of = |words: &[&str]| words.contains(&word.as_str());
    if is_one_of(&["suspended", "paused", "stopped", "hibernated", "disabled"]) {
        return Some(Verdict::suspended(words));
    }
    if is_one_of(&["running", "serving", "listening", "working", "operating"]) {
        return Some(Verdict::healthy());
    }
    if is_one_of(&["unknown", "unreachable"]) {
        return Some(Verdict::new(Health::Unknown, words));
    }
    if sounds_like_failure(phase)
        || is_one_of(&["dead", "degraded", "down", "lost", "notready", "red", "unavailable", "unhealthy"])
    {
        return Some(Verdict::degraded(words));
    }
    if sounds_like_work(phase) || is_one_of(&["new", "queued", "yellow"]) {
        return Some(Verdict::progressing(words));
    }
    Some(Verdict { reason: if message.is_some() { words } else { String::new() }, ..Verdict::healthy() })
}

fn sounds_like_failure(reason: &str) -> bool {
    const SOUNDS: &[&str] = &[
        "abort",
        "backoff",
        "conflict",
        "crash",
        "denied",
        "error",
        "exceeded",
        "exhausted",
        "expired",
        "fail",
        "forbidden",
        "invalid",
        "mismatch",
        "missing",
        "notallowed",
        "notfound",
        "refused",
        "reject",
        "timedout",
        "timeout",
        "unauthorized",
        "unsupported",
    ];
    let word = reason.to_ascii_lowercase();
    word.starts_with("err") || SOUNDS.iter().any(|sound| word.contains(sound))
}

fn sounds_like_work(reason: &str) -> bool {
    const SOUNDS: &[&str] =
        &["doesnotexist", "initial", "notready", "notyet", "pending", "progress", "requested", "wait"];
    let word = reason.to_ascii_lowercase();
    word.ends_with("ing") || SOUNDS.iter().any(|sound| word.contains(sound))
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    fn custom(metadata: &str, spec: &str, status: &str) -> String {
        format!(
            "{{apiVersion: example.com/v1, kind: Shop, metadata: {{name: a, {metadata}}}, spec: {{{spec}}}, status: {{{status}}}}}"
        )
    }

    #[test]
    fn conditions_decide() {
        for (conditions, expected) in [
            ("{type: Ready, status: 'True', reason: ReconciliationSucceeded, message: ok}", "Healthy"),
            ("{type: Ready, status: True}", "Healthy"),
            (
                "{type: Ready, status: 'False', reason: BuildFailed, message: 'kustomize build failed'}",
                "Degraded: BuildFailed: kustomize build failed",
            ),
            ("{type: Ready, status: 'False', reason: Progressing, message: at it}", "Progressing: Progressing: at it"),
            ("{type: Ready, status: 'False', reason: Creating}", "Progressing: Creating"),
            (
                "{type: Ready, status: 'False', reason: DependencyNotReady, message: db}",
                "Progressing: DependencyNotReady: db",
            ),
            ("{type: Ready, status: 'False', reason: Odd, message: who knows}", "Degraded: Odd: who knows"),
            ("{type: Ready, status: 'False'}", "Degraded: Ready is False"),
            (
                "{type: Ready, status: 'Unknown', reason: Progressing, message: at it}",
                "Progressing: Progressing: at it",
            ),
            ("{type: Ready, status: 'Unknown'}", "Progressing: Ready is Unknown"),
            ("{type: Ready}", "Progressing: Ready is Unknown"),
            (
                "{type: Reconciling, status: 'True', reason: Progressing, message: at it}",
                "Progressing: Progressing: at it",
            ),
            (
                "{type: Reconciling, status: 'True', reason: Progressing}, {type: Ready, status: 'True'}",
                "Progressing: Progressing",
            ),
            (
                "{type: Reconciling, status: 'True', reason: ProgressingWithRetry}, {type: Ready, status: 'False', reason: HealthCheckFailed, message: denied}",
                "Degraded: HealthCheckFailed: denied",
            ),
            (
                "{type: Reconciling, status: 'True', reason: Progressing}, {type: Ready, status: 'False', reason: Odd}",
                "Progressing: Odd",
            ),
            (
                "{type: Stalled, status: 'True', reason: InvalidPath, message: gone}, {type: Ready, status: 'False', reason: InvalidPath}",
                "Degraded: InvalidPath: gone",
            ),
            (
                "{type: Stalled, status: 'True', reason: InvalidPath}, {type: Ready, status: 'True'}",
                "Degraded: InvalidPath",
            ),
            ("{type: Stalled, status: 'False'}, {type: Ready, status: 'True'}", "Healthy"),
            (
                "{type: Issuing, status: 'True'}, {type: Ready, status: 'False', reason: DoesNotExist, message: Issuing certificate}",
                "Progressing: DoesNotExist: Issuing certificate",
            ),
            (
                "{type: Synced, status: 'False', reason: ReconcileError, message: denied}, {type: Ready, status: 'True'}",
                "Degraded: ReconcileError: denied",
            ),
            (
                "{type: Synced, status: 'True'}, {type: Ready, status: 'False', reason: Unavailable}",
                "Degraded: Unavailable",
            ),
            (
                "{type: Available, status: 'False', reason: MissingEndpoints, message: none}",
                "Degraded: MissingEndpoints: none",
            ),
            (
                "{type: Available, status: 'True'}, {type: Progressing, status: 'True'}, {type: Degraded, status: 'False'}",
                "Healthy",
            ),
            (
                "{type: Available, status: 'True'}, {type: Degraded, status: 'True', reason: Quorum, message: lost}",
                "Degraded: Quorum: lost",
            ),
            ("{type: Succeeded, status: 'False', reason: TaskRunTimeout}", "Degraded: TaskRunTimeout"),
            ("{type: Succeeded, status: 'Unknown', reason: Running}", "Progressing: Running"),
            ("{type: Completed, status: 'False'}", "Progressing: Completed is False"),
            ("{type: Paused, status: 'True'}, {type: Ready, status: 'True'}", "Suspended: suspended"),
            ("{type: SomethingElse, status: 'False'}", "Healthy"),
        ] {
            check(&custom("generation: 2", "", &format!("conditions: [{conditions}]")), expected);
        }
    }

    #[test]
    fn generations_count_for_the_whole_and_for_each_condition() {
        let ready = "conditions: [{type: Ready, status: 'True', observedGeneration: 1}]";
        for (metadata, status, expected) in [
            (
                "generation: 2",
                "observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]",
                "Progressing: its controller has seen generation 1, not 2 yet",
            ),
            (
                "generation: 2",
                "observedGeneration: 1, conditions: [{type: Stalled, status: 'True'}]",
                "Progressing: its controller has seen generation 1, not 2 yet",
            ),
            ("generation: 2", "observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]", "Healthy"),
            ("generation: 2", ready, "Progressing: its condition Ready is about generation 1, not 2 yet"),
            ("generation: 1", ready, "Healthy"),
            (
                "generation: 2",
                "conditions: [{type: Ready, status: 'False', reason: Failed, observedGeneration: 1}]",
                "Progressing: its condition Ready is about generation 1, not 2 yet",
            ),
            ("generation: 7", "observedGeneration: '6', phase: Ready", "Healthy"),
        ] {
            check(&custom(metadata, "", status), expected);
        }
    }

    #[test]
    fn phases_are_read_where_there_are_no_conditions() {
        for (status, expected) in [
            ("phase: Running", "Healthy"),
            ("phase: Ready", "Healthy"),
            ("phase: Succeeded, message: done", "Healthy: Succeeded: done"),
            ("phase: Failed, message: no space", "Degraded: Failed: no space"),
            ("phase: PartiallyFailed", "Degraded: PartiallyFailed"),
            ("phase: Error", "Degraded: Error"),
            ("phase: NotReady", "Degraded: NotReady"),
            ("phase: Pending", "Progressing: Pending"),
            ("phase: Creating", "Progressing: Creating"),
            ("phase: InProgress", "Progressing: InProgress"),
            ("state: updating", "Progressing: updating"),
            ("phase: Paused", "Suspended: Paused"),
            ("phase: Unknown", "Unknown: Unknown"),
            ("health: green", "Healthy"),
            ("health: {status: Degraded}", "Degraded: Degraded"),
            ("phase: Quux", "Healthy"),
            ("conditions: [], phase: Failed", "Degraded: Failed"),
            ("conditions: [{type: Ready, status: 'True'}], phase: Failed", "Degraded: Failed"),
            ("replicas: 3", "Healthy"),
        ] {
            check(&custom("", "", status), expected);
        }
        check("{apiVersion: example.com/v1, kind: Shop, metadata: {name: a}, spec: {}}", "Healthy: it tells no status");
    }

    #[test]
    fn a_stop_on_purpose_is_no_failure() {
        for spec in ["suspend: true", "suspended: true", "paused: true"] {
            check(
                &custom("", spec, "conditions: [{type: Ready, status: 'False', reason: Failed}]"),
                "Suspended: suspended",
            );
        }
    }

    #[test]
    fn routes_tell_of_each_gateway() {
        let parents = "parents: [{conditions: [{type: Accepted, status: 'True'}]}, {conditions: [{type: Accepted, status: 'False', reason: NoMatchingParent, message: none}]}]";
        check(&custom("", "", parents), "Degraded: NoMatchingParent: none");
        check(&custom("", "", "parents: [{conditions: [{type: Accepted, status: 'True'}]}]"), "Healthy");
    }
}
