//! Every other kind, by the conventions that most of them follow: conditions, else a state in one word, else counts of
//! replicas.
//!
//! The conventions leave one question open: whether `Ready=False` means "not yet" or "no". kstatus takes it for the
//! first, so nothing ever fails; most health rules of Argo CD for the second. We go by what the object says: a condition
//! that work goes on, or a reason that names work, is Progressing; every other reason is Degraded. `Unknown` is how
//! controllers say that they are at it.
//!
//! What has conditions or a state that we do not understand is Progressing, never Healthy: a word that only its maker
//! knows may be the one for a failure. What tells no status at all is judged by whether its kind has one
//! ([`super::Surroundings::has_status`]).

pub(super) mod lexicon;
mod phase;
mod polarity;

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::custom::polarity::{AT_THE_END, Polarity, SUMS, polarity};
use crate::health::field::{Condition, conditions, conditions_at, is_true, number, observed_is_stale, text};

/// Judges by the conventions. `has_status` says whether objects of this kind tell a status, where that is known.
pub(super) fn assess(object: &Value, has_status: Option<bool>) -> Verdict {
    if let Some(why) = observed_is_stale(object) {
        return Verdict::progressing(why);
    }
    if let Some(why) = paused(object) {
        return Verdict::suspended(why);
    }
    let own: Vec<Condition<'_>> = conditions(object).filter(|condition| !condition.kind().is_empty()).collect();
    if let Some(bad) = own.iter().copied().find(|c| polarity(c.kind()) == Polarity::Bad && c.is("True")) {
        return current(object, bad, Verdict::degraded(bad.summary()));
    }
    let of_parts = parts(object);
    let busy = own.iter().copied().find(|c| polarity(c.kind()) == Polarity::Busy && c.is("True"));
    let is_needed = |c: &Condition<'_>| polarity(c.kind()) == Polarity::Needed && c.is("False");
    let is_part_missing = |c: &&Condition<'_>| {
        matches!(polarity(c.kind()), Polarity::Needed | Polarity::Good)
            && c.is("False")
            && lexicon::is_failure(c.reason())
    };
    if let Some(part) = of_parts.iter().find(is_part_missing) {
        return current(object, *part, Verdict::degraded(part.summary()));
    }
    if let Some(missing) = own.iter().chain(&of_parts).copied().find(is_needed) {
        return current(object, missing, not_good(object, missing, busy));
    }
    let good = SUMS.iter().find_map(|sum| own.iter().copied().find(|c| c.kind().eq_ignore_ascii_case(sum)));
    let is_ready = good.is_some_and(|good| good.kind().eq_ignore_ascii_case("ready"));
    if !is_ready && let Some(bad) = own.iter().copied().find(sounds_bad) {
        return current(object, bad, Verdict::degraded(bad.summary()));
    }
    // Only Ready is known to sum up all others: beside another sum a part that is not well counts.
    let is_part = |c: &Condition<'_>| {
        let ends = AT_THE_END.iter().any(|end| c.kind().eq_ignore_ascii_case(end));
        polarity(c.kind()) == Polarity::Good && c.is("False") && !ends
    };
    if !is_ready
        && good.is_some_and(|good| good.is("True"))
        && let Some(part) = own.iter().copied().find(is_part)
    {
        return current(object, part, not_good(object, part, busy));
    }
    match (good, busy) {
        (Some(good), _) if good.is("False") => current(object, good, not_good(object, good, busy)),
        // `Progressing=True` beside `Available=True` is how what is at rest says that its last roll-out went well.
        (Some(_), Some(busy)) if is_at_rest(busy) => Verdict::healthy(),
        (_, Some(busy)) => Verdict::progressing(busy.summary()),
        // A phase beside conditions counts where it knows something worse.
        (Some(good), None) if good.kind() == "Running" && good.is("True") && phase::runs_to_an_end(object) => {
            Verdict::progressing(good.summary())
        }
        (Some(good), None) if good.is("True") => {
            let worse = phase::assess(object).filter(|verdict| verdict.health > Health::Healthy);
            current(object, good, worse.or_else(|| phase::replicas(object)).unwrap_or_else(Verdict::healthy))
        }
        (Some(good), None) => Verdict::progressing(good.summary()),
        (None, None) => without_a_sum(object, &own, &of_parts, has_status),
    }
}

/// No condition speaks for the whole: all that are there have to agree.
fn without_a_sum(
    object: &Value,
    own: &[Condition<'_>],
    of_parts: &[Condition<'_>],
    has_status: Option<bool>,
) -> Verdict {
    let counts = |c: &Condition<'_>| matches!(polarity(c.kind()), Polarity::Good | Polarity::Needed);
    if let Some(not_yet) = own.iter().copied().find(|c| counts(c) && c.is("False")) {
        return current(object, not_yet, not_good(object, not_yet, None));
    }
    if let Some(open) = own.iter().chain(of_parts).copied().find(|c| counts(c) && !c.is("True")) {
        return Verdict::progressing(open.summary());
    }
    if let Some(stale) = own.iter().chain(of_parts).find_map(|c| is_about_older(object, *c)) {
        return Verdict::progressing(stale);
    }
    let told = phase::without_conditions(object, has_status);
    if own.is_empty() || told.as_ref().is_some_and(|verdict| verdict.health > Health::Healthy) {
        return told.unwrap_or_else(|| match object.pointer("/status/conditions") {
            Some(_) if of_parts.is_empty() => Verdict::progressing("its controller has reported no condition yet"),
            _ => Verdict::healthy(),
        });
    }
    let says_well = own.iter().any(|c| c.is("True") && polarity(c.kind()) != Polarity::Neutral) || told.is_some();
    match own.iter().copied().find(|c| polarity(c.kind()) == Polarity::Open && !c.is("True")) {
        Some(open) => Verdict::progressing(open.summary()),
        None if says_well || own.iter().all(|c| polarity(c.kind()) == Polarity::Neutral) => Verdict::healthy(),
        // Nothing is wrong, and nothing says that it works.
        None if own.iter().any(|c| c.is("Unknown")) => Verdict::progressing(own[0].summary()),
        None => Verdict::healthy(),
    }
}

/// Why it stands still on purpose: a field or an annotation of the usual names, or a condition.
pub(super) fn paused(object: &Value) -> Option<&'static str> {
    let fields = ["/spec/suspend", "/spec/suspended", "/spec/paused", "/spec/pause"];
    let by_condition = || conditions(object).any(|c| polarity(c.kind()) == Polarity::Stopped && c.is("True"));
    if fields.iter().any(|pointer| is_true(object, pointer)) || by_condition() {
        return Some("suspended");
    }
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let is_pause = |(name, value): (&String, &Value)| {
        let name = name.rsplit('/').next().unwrap_or_default();
        let by_value = matches!(name, "paused" | "pause" | "reconcile-paused" | "pause-reconciliation" | "suspend");
        by_value && value.as_str().is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    annotations.into_iter().flatten().any(is_pause).then_some("paused by an annotation")
}

/// What an object says of itself where it is not well: the condition that says why, else a message, else its state.
pub(super) fn summary(object: &Value, otherwise: &str) -> String {
    let own: Vec<Condition<'_>> = conditions(object).filter(|condition| !condition.kind().is_empty()).collect();
    let is_bad = |c: &&Condition<'_>| match polarity(c.kind()) {
        Polarity::Bad | Polarity::Busy => c.is("True"),
        Polarity::Good | Polarity::Needed => !c.is("True"),
        _ => c.is("False") && lexicon::is_failure(c.reason()),
    };
    let by_condition =
        own.iter().filter(is_bad).max_by_key(|c| (lexicon::is_failure(c.reason()), !c.message().is_empty()));
    if let Some(condition) = by_condition {
        return condition.summary();
    }
    let pick = |pointers: &[&str]| {
        pointers
            .iter()
            .map(|pointer| text(object, pointer))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let state = pick(&["/status/phase", "/status/state", "/status/health/status", "/status/health", "/status/status"]);
    let message = pick(&["/status/message", "/status/reason", "/status/error", "/status/health/message"]);
    match (state.is_empty(), message.is_empty()) {
        (true, true) => otherwise.to_owned(),
        (true, false) => message,
        (false, true) => state,
        (false, false) => format!("{state}: {message}"),
    }
}

/// The conditions of the parts that a status lists: gateways tell them of each listener, routes of each gateway.
fn parts(object: &Value) -> Vec<Condition<'_>> {
    let lists = object.get("status").and_then(Value::as_object).into_iter().flatten().map(|(_, value)| value);
    let items = lists.filter_map(Value::as_array).flatten();
    items.flat_map(|part| conditions_at(part, "/conditions")).collect()
}

/// Whether a condition that work goes on says in its reason that it has gone well.
fn is_at_rest(condition: Condition<'_>) -> bool {
    let reason = condition.reason().to_ascii_lowercase();
    reason.is_empty() && condition.message().is_empty() && condition.kind() == "Progressing"
        || ["available", "asexpected", "complete", "success", "ready", "minimumreplicas"]
            .iter()
            .any(|end| reason.contains(end))
            && !lexicon::is_work(condition.reason())
}

/// A condition of any type that is false for a reason that names a failure.
fn sounds_bad(condition: &Condition<'_>) -> bool {
    let polarity = polarity(condition.kind());
    condition.is("False") && polarity != Polarity::Bad && lexicon::is_failure(condition.reason())
        || !matches!(condition.word(), "" | "True" | "False" | "Unknown") && lexicon::is_failure(condition.word())
}

/// Why a condition does not count: it is about an older object.
fn is_about_older(object: &Value, condition: Condition<'_>) -> Option<String> {
    let (generation, observed) = (number(object, "/metadata/generation")?, condition.observed_generation()?);
    let kind = condition.kind();
    let words = || format!("its condition {kind} is about generation {observed}, not {generation} yet");
    (observed < generation).then(words)
}

/// A verdict, unless the condition that it rests on is about an older object.
fn current(object: &Value, condition: Condition<'_>, verdict: Verdict) -> Verdict {
    is_about_older(object, condition).map_or(verdict, Verdict::progressing)
}

fn not_good(object: &Value, condition: Condition<'_>, busy: Option<Condition<'_>>) -> Verdict {
    let why = if condition.reason().is_empty() { condition.message() } else { condition.reason() };
    if lexicon::is_failure(why) {
        return Verdict::degraded(condition.summary());
    }
    if lexicon::is_stop(why) {
        return Verdict::suspended(condition.summary());
    }
    let says_nothing = why.is_empty();
    let phase = || phase::assess(object).is_some_and(|verdict| verdict.health == Health::Progressing);
    let ends = AT_THE_END.iter().any(|end| condition.kind().eq_ignore_ascii_case(end));
    if says_nothing
        || busy.is_some()
        || ends
        || lexicon::is_work(why)
        || lexicon::tells_of_work(condition.message())
        || phase()
    {
        Verdict::progressing(condition.summary())
    } else {
        Verdict::degraded(condition.summary())
    }
}

#[cfg(test)]
mod tests;
