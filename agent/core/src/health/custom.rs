//! Every other kind, by the conventions that most of them follow: conditions, else a phase, else counts of replicas.
//!
//! The conventions leave one question open: whether `Ready=False` means "not yet" or "no". kstatus takes it for the
//! first, so nothing ever fails; most health rules of Argo CD for the second. We go by what the object says: a condition
//! that work goes on, or a reason that names work, is Progressing; every other reason is Degraded. `Unknown` is how
//! controllers say that they are at it.
//!
//! An object that tells no status at all is taken for well, as kstatus does: many kinds never have one.

mod phase;
mod sound;

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{Condition, conditions, conditions_at, is_true, list, number, observed_is_stale};

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

/// Conditions that say that something it needs is as it should be: False is a failure, True alone says little. Gateways
/// tell them of each listener, routes and policies of each gateway.
const NEEDED: &[&str] = &["Synced", "Accepted", "ResolvedRefs", "Valid"];

/// Conditions that say that it fails, also beside a `Ready` that says otherwise.
const BAD: &[&str] = &["Stalled", "Failed", "Failure", "Failing", "Degraded", "Error", "ACK.Terminal"];

/// Conditions that say that work goes on.
const BUSY: &[&str] = &["Reconciling", "Issuing"];

pub(super) fn assess(object: &Value) -> Verdict {
    if let Some(why) = observed_is_stale(object) {
        return Verdict::progressing(why);
    }
    let own: Vec<Condition<'_>> = conditions(object).collect();
    let of_parts: Vec<Condition<'_>> = ["/status/parents", "/status/ancestors", "/status/listeners"]
        .iter()
        .flat_map(|pointer| parts(object, pointer))
        .collect();
    let find = |kinds: &[&str], status: &str| {
        kinds.iter().find_map(|kind| own.iter().copied().find(|c| c.kind() == *kind && c.is(status)))
    };
    let paused = ["/spec/suspend", "/spec/suspended", "/spec/paused"].iter().any(|pointer| is_true(object, pointer));
    if paused || find(&["Suspended", "Paused"], "True").is_some() {
        return Verdict::suspended("suspended");
    }
    if let Some(bad) = find(BAD, "True") {
        return current(object, bad, Verdict::degraded(bad.words()));
    }
    let busy = find(BUSY, "True");
    let missing = own.iter().chain(&of_parts).copied().find(|c| NEEDED.contains(&c.kind()) && c.is("False"));
    if let Some(missing) = missing {
        return current(object, missing, not_good(object, missing, busy));
    }
    let good = GOOD.iter().find_map(|kind| own.iter().copied().find(|condition| condition.kind() == *kind));
    if good.is_none_or(|good| good.kind() != "Ready")
        && let Some(bad) = own.iter().copied().find(sounds_bad)
    {
        return current(object, bad, Verdict::degraded(bad.words()));
    }
    match (good, busy) {
        (Some(good), _) if good.is("False") => current(object, good, not_good(object, good, busy)),
        (_, Some(busy)) => Verdict::progressing(busy.words()),
        // A phase beside conditions counts where it knows something worse.
        (Some(good), None) if good.is("True") => {
            current(object, good, phase::assess(object).unwrap_or_else(Verdict::healthy))
        }
        (Some(good), None) => Verdict::progressing(good.words()),
        (None, None) => match find(NEEDED, "Unknown") {
            Some(open) => Verdict::progressing(open.words()),
            None => phase::without_conditions(object),
        },
    }
}

/// The conditions of each item of a list.
fn parts<'a>(object: &'a Value, pointer: &str) -> Vec<Condition<'a>> {
    list(object, pointer).iter().flat_map(|part| conditions_at(part, "/conditions")).collect()
}

/// A condition of any type that names a failure and is true, or is false for a reason that names one.
fn sounds_bad(condition: &Condition<'_>) -> bool {
    let bad_when_true = sound::is_failure(condition.kind()) || condition.kind() == "NotReady";
    match condition.status() {
        "True" => bad_when_true,
        "False" => !bad_when_true && sound::is_failure(condition.reason()),
        _ => false,
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

fn not_good(object: &Value, condition: Condition<'_>, busy: Option<Condition<'_>>) -> Verdict {
    let why = if condition.reason().is_empty() { condition.message() } else { condition.reason() };
    if sound::is_failure(why) {
        return Verdict::degraded(condition.words());
    }
    if sound::is_stop(why) {
        return Verdict::suspended(condition.words());
    }
    let says_nothing = why.is_empty();
    let phase = || phase::assess(object).is_some_and(|verdict| verdict.health == Health::Progressing);
    if says_nothing || busy.is_some() || AT_THE_END.contains(&condition.kind()) || sound::is_work(why) || phase() {
        Verdict::progressing(condition.words())
    } else {
        Verdict::degraded(condition.words())
    }
}

#[cfg(test)]
mod tests;
