//! What the words of reasons and phases sound like. Nobody has agreed on these words, but controllers of all makers use
//! the same few dozen.

use quarterdeck_shared::status::Health;

/// What a state in one word says of the whole; nothing where the word is only its maker's.
pub(in crate::health) fn state(word: &str) -> Option<Health> {
    let lower: String = word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_one_of = |words: &[&str]| words.contains(&lower.as_str());
    if is_one_of(&["unknown", "unreachable"]) {
        Some(Health::Unknown)
    } else if is_failure(word) || is_one_of(BAD_STATES) {
        Some(Health::Degraded)
    } else if is_stop(word) || is_one_of(&["suspend", "halted", "onhold", "disabled"]) {
        Some(Health::Suspended)
    } else if is_work(word) || is_one_of(WORK_STATES) || lower.starts_with("not") {
        Some(Health::Progressing)
    } else if GOOD_STATES.iter().any(|good| lower == *good || (good.len() > 4 && lower.ends_with(good))) {
        Some(Health::Healthy)
    } else {
        None
    }
}

const BAD_STATES: &[&str] = &[
    "bad",
    "broken",
    "cancelled",
    "canceled",
    "critical",
    "dead",
    "down",
    "drifted",
    "false",
    "killed",
    "lost",
    "nok",
    "notok",
    "notready",
    "notsynced",
    "offline",
    "orphaned",
    "outofsync",
    "red",
    "stalled",
    "unavailable",
    "unschedulable",
    "unsuccessful",
    "violated",
];

const WORK_STATES: &[&str] = &[
    "accepted",
    "created",
    "modified",
    "new",
    "none",
    "outofdate",
    "planned",
    "queued",
    "scheduled",
    "started",
    "submitted",
    "yellow",
    "unbound",
    "uninitialized",
    "unsynced",
];

const GOOD_STATES: &[&str] = &[
    "active",
    "applied",
    "attached",
    "available",
    "bound",
    "complete",
    "completed",
    "configured",
    "connected",
    "current",
    "deployed",
    "done",
    "enabled",
    "established",
    "finished",
    "good",
    "green",
    "healthy",
    "idle",
    "initialized",
    "installed",
    "joined",
    "live",
    "normal",
    "ok",
    "okay",
    "online",
    "operational",
    "passed",
    "programmed",
    "provisioned",
    "published",
    "ready",
    "reconciled",
    "registered",
    "running",
    "serving",
    "stable",
    "succeeded",
    "success",
    "successful",
    "successfully",
    "synced",
    "synchronized",
    "true",
    "up",
    "uptodate",
    "valid",
    "verified",
];

/// Whether a message begins with, or speaks of, something that goes on.
pub(super) fn tells_of_work(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    let begins =
        ["waiting", "pending", "creating", "updating", "provisioning", "in progress", "starting", "installing"];
    begins.iter().any(|begin| lower.starts_with(begin))
        || ["waiting for", "in progress", "is being", "not yet", "still "].iter().any(|part| lower.contains(part))
            && !is_failure(&lower)
}

/// `BuildFailed`, `InvalidPath`, `ErrImagePull`.
pub(super) fn is_failure(word: &str) -> bool {
    const STEMS: &[&str] = &[
        "abort",
        "backoff",
        "conflict",
        "crash",
        "cannot",
        "corrupt",
        "degraded",
        "denied",
        "diverged",
        "error",
        "exceeded",
        "exhausted",
        "expired",
        "fail",
        "fatal",
        "fault",
        "forbidden",
        "invalid",
        "misconfigured",
        "mismatch",
        "missing",
        "nomatch",
        "noncompliant",
        "notallowed",
        "notfound",
        "notpermitted",
        "notsupported",
        "refused",
        "reject",
        "rollback",
        "rolledback",
        "timedout",
        "timeout",
        "unable",
        "unauthorized",
        "unhealthy",
        "unrecognized",
        "unresolved",
        "unsupported",
        "violation",
    ];
    let word = word.to_ascii_lowercase();
    // `DefaultTLSCertificate`, `failover`, `NoErrors`.
    let word = word.replace("default", "").replace("failover", "").replace("noerror", "").replace("nofail", "");
    word.starts_with("err") || STEMS.iter().any(|stem| word.contains(stem))
}

/// `Creating`, `Pending`, `MigratingData`, `Waiting for more replicas`.
pub(super) fn is_work(word: &str) -> bool {
    const STEMS: &[&str] = &[
        "awaiting",
        "dependencynotready",
        "doesnotexist",
        "inprogress",
        "notcomplete",
        "notinitialized",
        "notyet",
        "pending",
        "progress",
        "requested",
        "retry",
        "rollout",
        "rolling",
        "tobe",
        "wait",
    ];
    let lower = word.to_ascii_lowercase();
    let begins = lower.starts_with("init") && !lower.ends_with("ized");
    begins || is_doing(word) || STEMS.iter().any(|stem| lower.contains(stem))
}

/// Whether a word begins or ends with a part in -ing, and its end does not say that it is over. Running is the very
/// thing, not the way to it.
pub(super) fn is_doing(word: &str) -> bool {
    const OVER: &[&str] = &["complete", "completed", "done", "finished", "ready", "succeeded", "success"];
    const THE_VERY_THING: &[&str] = &["running", "serving", "listening", "working", "operating"];
    let cut = |c: char| !c.is_ascii_alphanumeric();
    let parts = word.split(cut).flat_map(camel_parts).map(str::to_ascii_lowercase).filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.collect();
    let is_over = parts.last().is_some_and(|part| OVER.contains(&part.as_str()));
    let outer = parts.first().into_iter().chain(parts.last());
    !is_over && outer.into_iter().any(|part| part.ends_with("ing") && !THE_VERY_THING.contains(&part.as_str()))
}

/// `MigratingData` is `Migrating` and `Data`.
fn camel_parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (i, c) in word.char_indices().skip(1) {
        if c.is_ascii_uppercase() {
            parts.push(&word[begin..i]);
            begin = i;
        }
    }
    parts.push(&word[begin..]);
    parts
}

/// `ReconcilePaused`, `Stopped`.
pub(super) fn is_stop(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["paused", "suspended", "stopped", "hibernated", "disabled", "hibernating"].iter().any(|stem| word.ends_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_sound_like_what_they_mean() {
        for (word, failure, work, stop) in [
            ("BuildFailed", true, false, false),
            ("ErrImagePull", true, false, false),
            ("Overriding", false, true, false),
            ("InProgress", false, true, false),
            ("MigratingData", false, true, false),
            ("NoMatchingParent", true, false, false),
            ("SchedulingComplete", false, false, false),
            ("provisioning", false, true, false),
            ("Kingdom", false, false, false),
            ("Initializing", false, true, false),
            ("Init", false, true, false),
            ("Initialized", false, false, false),
            ("ClusterRunning", false, false, false),
            ("ReconcilePaused", false, false, true),
            ("Ready", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!((is_failure(word), is_work(word), is_stop(word)), (failure, work, stop), "{word}");
        }
    }
}
