//! Which way a condition points. Kubernetes leaves it open whether True is the good end (`Ready`) or the bad one (`Stalled`),
//! so that a reader has to know the words; controllers of all makers use the same few dozen.

use crate::health::custom::lexicon;

/// What a condition means when it is True.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polarity {
    /// The object does its work; False says that it does not, or not yet.
    Good,
    /// Something the object needs is as it should be: False is a failure, True alone says little.
    Needed,
    /// The object fails, also beside a `Ready` that says otherwise.
    Bad,
    /// Work goes on.
    Busy,
    /// A person stopped it.
    Stopped,
    /// Tells of something that is neither: that it can be upgraded, that it is at its limit.
    Neutral,
    /// Nobody but its maker knows.
    Open,
}

/// What sums the whole object up, best first: where one of these is told, other good conditions are its parts.
pub(super) const SUMS: &[&str] = &[
    "ready",
    "available",
    "healthy",
    "succeeded",
    "established",
    "programmed",
    "deployed",
    "ack.resourcesynced",
    "completed",
    "complete",
    "running",
    "reconciled",
    "reconcilesuccess",
    "reconcilesucceeded",
];

/// Of the good ones, those that are False for as long as the object is at work.
pub(super) const AT_THE_END: &[&str] = &["completed", "complete", "running", "finished", "done"];

const NEEDED: &[&str] = &["synced", "accepted", "resolvedrefs", "valid", "validated"];

const STOPPED: &[&str] = &["suspended", "paused", "hibernated", "hibernation"];

const BUSY: &[&str] = &["reconciling", "issuing", "inprogress", "queued", "pending", "reconfiguring"];

const NEUTRAL: &[&str] = &[
    "active",
    "conflicted",
    "deprecated",
    "disruptionallowed",
    "evaluationstatus",
    "fallback",
    "idle",
    "passive",
    "recommendation",
    "scalinglimited",
    "upgradeable",
    "abletoscale",
];

/// Endings of types whose True is good.
const GOOD_ENDS: &[&str] = &[
    "accepted",
    "admitted",
    "attached",
    "available",
    "bound",
    "built",
    "completed",
    "configured",
    "connected",
    "created",
    "deployed",
    "done",
    "established",
    "finished",
    "healthy",
    "initialized",
    "installed",
    "joined",
    "launched",
    "loaded",
    "matched",
    "ok",
    "programmed",
    "provisioned",
    "published",
    "ready",
    "reconciled",
    "registered",
    "resolved",
    "running",
    "scheduled",
    "succeeded",
    "success",
    "successful",
    "synced",
    "synchronized",
    "uptodate",
    "valid",
    "validated",
    "verified",
];

/// Beginnings that turn a good ending round: `NotReady`, `Unavailable`, `Misconfigured`.
const TURNED: &[&str] =
    &["partiallyready", "notready", "unready", "unavailable", "unhealthy", "misconfigured", "outofdate", "outofsync"];

/// What a condition of this type means when it is True.
pub(super) fn polarity(kind: &str) -> Polarity {
    // A type may be qualified: `ACK.Terminal`, `serving.example.com/Ready`.
    let word = kind.rsplit('/').next().unwrap_or(kind).to_ascii_lowercase();
    let is_in = |words: &[&str]| words.contains(&word.as_str());
    if word == "ack.terminal" || word == "ack.recoverable" || word == "stalled" {
        Polarity::Bad
    } else if is_in(NEUTRAL) || word.starts_with("last") {
        Polarity::Neutral
    } else if is_in(STOPPED) {
        Polarity::Stopped
    } else if is_in(NEEDED) {
        Polarity::Needed
    } else if is_in(BUSY) {
        Polarity::Busy
    } else if lexicon::is_failure(kind) || TURNED.iter().any(|bad| word.ends_with(bad)) || word.ends_with("pressure") {
        Polarity::Bad
    } else if is_in(SUMS) || GOOD_ENDS.iter().any(|good| word.ends_with(good)) {
        Polarity::Good
    } else if lexicon::is_doing(kind) {
        Polarity::Busy
    } else {
        Polarity::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_point_one_way() {
        for (kind, expected) in [
            ("Ready", Polarity::Good),
            ("ready", Polarity::Good),
            ("CertificateReady", Polarity::Good),
            ("KafkaRestProxyReady", Polarity::Good),
            ("Established", Polarity::Good),
            ("NotReady", Polarity::Bad),
            ("Installed", Polarity::Good),
            ("Stalled", Polarity::Bad),
            ("Failed", Polarity::Bad),
            ("ReconcileError", Polarity::Bad),
            ("Unavailable", Polarity::Bad),
            ("DiskPressure", Polarity::Bad),
            ("Degraded", Polarity::Bad),
            ("ACK.Terminal", Polarity::Bad),
            ("Synced", Polarity::Needed),
            ("Accepted", Polarity::Needed),
            ("Progressing", Polarity::Busy),
            ("RollingUpdate", Polarity::Busy),
            ("Running", Polarity::Good),
            ("Paused", Polarity::Stopped),
            ("Upgradeable", Polarity::Neutral),
            ("StorageProvisioningSucceeded", Polarity::Good),
            ("ShopOpen", Polarity::Open),
        ] {
            assert_eq!(polarity(kind), expected, "{kind}");
        }
    }
}
