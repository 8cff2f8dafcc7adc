//! What an object without telling conditions says: a state in one word, an error, or how many replicas are ready.

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::custom::lexicon;
use crate::health::field::{number, text};

/// Fields that are named for a state of the whole, first come first heard.
const FIELDS: [&str; 8] = [
    "/status/phase",
    "/status/state",
    "/status/health/status",
    "/status/health",
    "/status/healthStatus",
    "/status/status",
    "/status/currentState",
    "/status/reconciliationStatus",
];

/// What is ready, and what of it is wanted: the fields of the common shapes.
const COUNTS: [(&str, &str, &str); 13] = [
    ("/spec/replicas", "/status/readyReplicas", "ready"),
    ("/spec/replicas", "/status/availableReplicas", "available"),
    ("/spec/replicas", "/status/updatedReplicas", "updated"),
    ("/status/replicas", "/status/readyReplicas", "ready"),
    ("/status/replicas", "/status/availableReplicas", "available"),
    ("/spec/instances", "/status/readyInstances", "ready"),
    ("/spec/size", "/status/readyReplicas", "ready"),
    ("/spec/nodeCount", "/status/readyNodes", "ready"),
    ("/status/pods", "/status/readyPods", "ready"),
    ("/status/desiredNumberScheduled", "/status/updatedNumberScheduled", "updated"),
    ("/status/desiredNumberScheduled", "/status/numberAvailable", "available"),
    ("/status/desiredHealthy", "/status/currentHealthy", "healthy"),
    ("/status/expectedMachines", "/status/currentHealthy", "healthy"),
];

/// What a state in one word says, in the fields that are named for it.
pub(super) fn assess(object: &Value) -> Option<Verdict> {
    let phase = FIELDS.iter().map(|pointer| text(object, pointer)).find(|phase| !phase.is_empty())?;
    judge(object, phase)
}

/// Everything that an object without conditions may say; the worst of it counts. Nothing where its status says nothing of
/// how it is.
pub(super) fn without_conditions(object: &Value, has_status: Option<bool>) -> Option<Verdict> {
    let told = object.get("status").filter(|status| !is_empty(status));
    let Some(status) = told else {
        return Some(match has_status {
            Some(true) => Verdict::progressing("its controller has reported no status yet").waits_for_status(),
            _ => Verdict::healthy_with("it has no status"),
        });
    };
    if let Some(error) = error(status) {
        return Some(Verdict::degraded(error));
    }
    let fields = || status.as_object().into_iter().flatten();
    let words = |value: &Value| value.as_str().filter(|word| !word.is_empty()).map(str::to_owned);
    let own: Vec<String> = fields().filter(|(name, _)| is_phase(name)).filter_map(|(_, value)| words(value)).collect();
    // Deeper only where the object has no word of its own: parts have their own lives.
    let deeper = || {
        let mut found = Vec::new();
        fields().filter(|(name, _)| !is_other(name)).for_each(|(_, value)| words_below(value, 2, &mut found));
        found
    };
    let all: Vec<String> = if own.is_empty() { deeper() } else { own };
    let judged = all
        .iter()
        .map(|word| judge(object, word).unwrap_or_else(|| Verdict::progressing(format!("{word}: unknown state"))));
    let says_nothing = all.is_empty() && fields().any(|(name, value)| is_phase(name) && value.as_str() == Some(""));
    let silent = says_nothing.then(|| Verdict::progressing("its controller has reported no state yet"));
    judged.chain(replicas(object)).chain(flags(status)).chain(silent).max_by_key(|verdict| verdict.health)
}

/// The states of parts, a few levels down.
fn words_below(value: &Value, levels: usize, found: &mut Vec<String>) {
    let Some(fields) = value.as_object().filter(|_| levels > 0) else { return };
    for (name, value) in fields {
        match value {
            Value::String(word) if is_phase(name) && !word.is_empty() => found.push(word.clone()),
            Value::Object(_) if !is_other(name) => words_below(value, levels - 1, found),
            _ => {}
        }
    }
}

/// `ready: false` is not yet; `valid: false` is no.
fn flags(status: &Value) -> Option<Verdict> {
    let is_false = |name: &&&str| status.get(**name).and_then(Value::as_bool) == Some(false);
    let no = ["valid", "applied", "successful", "succeeded", "healthy", "pass"];
    let not_yet = ["ready", "readyToUse", "finished", "completed", "available", "synced"];
    let words = |name: &str| format!("{name} is false");
    let told = |name: &&str| Verdict::degraded(words(name));
    no.iter()
        .find(is_false)
        .map(told)
        .or_else(|| not_yet.iter().find(is_false).map(|name| Verdict::progressing(words(name))))
}

fn is_empty(status: &Value) -> bool {
    match status {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// `phase`, `state`, `clusterStatus`, `jobState`; not what was before, or is wanted.
fn is_phase(field: &str) -> bool {
    let lower = field.to_ascii_lowercase();
    !is_other(field)
        && ["phase", "state", "status", "health", "stage", "verdict", "compliant"]
            .iter()
            .any(|end| lower.ends_with(end))
}

fn is_other(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["last", "prev", "old", "desired", "target", "next"].iter().any(|begin| field.starts_with(begin))
}

/// The fields that hold an error and are empty without one.
fn error(status: &Value) -> Option<String> {
    let fields = [
        "/error",
        "/error/message",
        "/errorMessage",
        "/errMsg",
        "/failureMessage",
        "/failureReason",
        "/validationError",
        "/lastError",
        "/lastSyncError",
    ];
    fields.iter().map(|pointer| text(status, pointer)).find(|error| !error.is_empty()).map(str::to_owned)
}

/// What can be scaled says how many replicas it should have, and most kinds how many are ready.
pub(super) fn replicas(object: &Value) -> Option<Verdict> {
    COUNTS.iter().find_map(|(wanted, ready, word)| {
        let (wanted, ready) = (number(object, wanted)?, number(object, ready)?);
        (ready < wanted).then(|| Verdict::progressing(format!("{ready} of {wanted} {word}")))
    })
}

/// What a word says; nothing where only its maker knows.
fn judge(object: &Value, phase: &str) -> Option<Verdict> {
    let fields = ["/status/message", "/status/reason", "/status/health/message", "/status/statusMessage"];
    let message = fields.iter().map(|pointer| text(object, pointer)).find(|text| !text.is_empty());
    let words = message.map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}"));
    Some(match lexicon::state(phase)? {
        Health::Healthy if phase.eq_ignore_ascii_case("running") && runs_to_an_end(object) => {
            Verdict::progressing(words)
        }
        Health::Degraded => Verdict::degraded(words),
        Health::Suspended => Verdict::suspended(words),
        Health::Progressing => Verdict::progressing(words),
        Health::Healthy if message.is_some() => Verdict::healthy_with(words),
        Health::Healthy => Verdict::healthy(),
        other => Verdict::new(other, words),
    })
}

/// Whether objects of the kind are done when they end, so that a running one is on its way.
pub(super) fn runs_to_an_end(object: &Value) -> bool {
    const ENDS: &[&str] = &[
        "Backup",
        "Build",
        "Experiment",
        "Job",
        "Migration",
        "Promotion",
        "Restore",
        "Run",
        "Scan",
        "Task",
        "Test",
        "Workflow",
    ];
    let kind = text(object, "/kind");
    ENDS.iter().any(|end| kind.ends_with(end))
}
