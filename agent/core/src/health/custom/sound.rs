//! What the words of reasons and phases sound like. Nobody has agreed on these words, but controllers of all makers use
//! the same few dozen.

/// `BuildFailed`, `InvalidPath`, `ErrImagePull`.
pub(super) fn is_failure(word: &str) -> bool {
    const SOUNDS: &[&str] = &[
        "abort",
        "backoff",
        "conflict",
        "crash",
        "degraded",
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
        "unhealthy",
        "unsupported",
    ];
    let word = word.to_ascii_lowercase();
    word.starts_with("err") || SOUNDS.iter().any(|sound| word.contains(sound))
}

/// `Creating`, `Pending`, `MigratingData`, `Waiting for more replicas`.
pub(super) fn is_work(word: &str) -> bool {
    const SOUNDS: &[&str] =
        &["dependencynotready", "doesnotexist", "notcomplete", "notyet", "pending", "progress", "requested", "wait"];
    let lower = word.to_ascii_lowercase();
    let begins = lower.starts_with("init") && !lower.ends_with("ized");
    begins || is_doing(word) || SOUNDS.iter().any(|sound| lower.contains(sound))
}

/// Whether a word begins or ends with a part in -ing, and its end does not say that it is over. Running is the very
/// thing, not the way to it.
fn is_doing(word: &str) -> bool {
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
    ["paused", "suspended", "stopped", "hibernated", "disabled"].iter().any(|sound| word.ends_with(sound))
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
            ("NoMatchingParent", false, false, false),
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
