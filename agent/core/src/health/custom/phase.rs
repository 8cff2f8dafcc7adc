//! What an object without telling conditions says: a phase in one word, an error, or how many replicas are ready.

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::custom::sound;
use crate::health::field::{number, text};

/// What a phase in one word says, in the fields that are named for it. A word that only its maker knows says nothing
/// against the object.
pub(super) fn assess(object: &Value) -> Option<Verdict> {
    let fields = ["/status/phase", "/status/state", "/status/health/status", "/status/health"];
    let phase = fields.iter().map(|pointer| text(object, pointer)).find(|phase| !phase.is_empty())?;
    Some(judge(object, phase))
}

/// Everything that an object without conditions may say; the worst of it counts.
pub(super) fn without_conditions(object: &Value) -> Verdict {
    let Some(status) = object.get("status").filter(|status| !status.is_null()) else {
        return Verdict { reason: "it tells no status".to_owned(), ..Verdict::healthy() };
    };
    if let Some(error) = error(status) {
        return Verdict::degraded(error);
    }
    let phases = status.as_object().into_iter().flatten().filter(|(field, _)| is_phase(field));
    let named = phases
        .filter_map(|(_, value)| value.as_str().filter(|phase| !phase.is_empty()))
        .map(|phase| judge(object, phase));
    let all = named.chain(assess(object)).chain(replicas(object));
    all.max_by_key(|verdict| verdict.health).unwrap_or_else(Verdict::healthy)
}

/// `phase`, `state`, `clusterStatus`, `jobState`; not what was before, or is wanted.
fn is_phase(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    let is_other = ["last", "prev", "old", "desired", "target", "next"].iter().any(|begin| field.starts_with(begin));
    !is_other && ["phase", "state", "status", "health"].iter().any(|end| field.ends_with(end))
}

/// The fields that hold an error and are empty without one.
fn error(status: &Value) -> Option<String> {
    let fields = ["/error", "/error/message", "/errorMessage", "/failureMessage", "/failureReason", "/validationError"];
    fields.iter().map(|pointer| text(status, pointer)).find(|error| !error.is_empty()).map(str::to_owned)
}

/// What can be scaled says how many replicas it should have, and most kinds how many are ready.
fn replicas(object: &Value) -> Option<Verdict> {
    let wanted = number(object, "/spec/replicas")?;
    let ready = number(object, "/status/readyReplicas").or(number(object, "/status/availableReplicas"))?;
    (ready < wanted).then(|| Verdict::progressing(format!("{ready} of {wanted} ready")))
}

fn judge(object: &Value, phase: &str) -> Verdict {
    let message =
        ["/status/message", "/status/reason"].iter().map(|pointer| text(object, pointer)).find(|text| !text.is_empty());
    let words = message.map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}"));
    let word = phase.to_ascii_lowercase();
    let is_one_of = |words: &[&str]| words.contains(&word.as_str());
    if is_one_of(&["unknown", "unreachable"]) {
        return Verdict::new(Health::Unknown, words);
    }
    if sound::is_failure(phase) || is_one_of(&["dead", "down", "lost", "notready", "red", "unavailable"]) {
        return Verdict::degraded(words);
    }
    if sound::is_stop(phase) {
        return Verdict::suspended(words);
    }
    if sound::is_work(phase) || is_one_of(&["new", "queued", "yellow"]) {
        return Verdict::progressing(words);
    }
    // `Ready`, `Active`, `Running`, `Succeeded`, and words that only their makers know: nothing says that it fails.
    Verdict { reason: if message.is_some() { words } else { String::new() }, ..Verdict::healthy() }
}
