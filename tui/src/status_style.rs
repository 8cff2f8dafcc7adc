//! What a word means to a person: a tone and a sign, the same on every screen and in every table. Pure.
//!
//! A tone is drawn as a colour by whoever draws. Nothing is said by colour alone: each tone that matters has a sign.

use quarterdeck_shared::application::Severity;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::protocol::CheckResult;
use quarterdeck_shared::status::{Health, Phase, SyncStatus};

/// How a text is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Beside the point: ages, ids, what did not change.
    Quiet,
    /// What a reader looks for: names, titles.
    Strong,
    /// All is well; what is added.
    Good,
    /// On its way.
    Busy,
    /// Look at it; what changes.
    Warning,
    /// It fails; what goes.
    Bad,
}

/// The tone and the sign of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusStyle {
    /// Its tone.
    pub tone: Tone,
    /// One column wide.
    pub sign: char,
}

const fn meaning(tone: Tone, sign: char) -> StatusStyle {
    StatusStyle { tone, sign }
}

/// An environment whose syncing is stopped on purpose.
pub const SUSPENDED: StatusStyle = meaning(Tone::Warning, '‖');

/// An environment that stays at a revision on purpose.
pub const PINNED: StatusStyle = meaning(Tone::Warning, '‖');

/// What was so when it was last seen: no news, good or bad.
pub const OLD: StatusStyle = meaning(Tone::Quiet, '?');

/// Of a sync status.
pub fn of_sync(status: SyncStatus) -> StatusStyle {
    match status {
        SyncStatus::Synced => meaning(Tone::Good, '✔'),
        SyncStatus::OutOfSync => meaning(Tone::Warning, '≠'),
        SyncStatus::Unknown => meaning(Tone::Quiet, '?'),
    }
}

/// Of a health.
pub fn of_health(health: Health) -> StatusStyle {
    match health {
        Health::Healthy => meaning(Tone::Good, '●'),
        Health::Suspended => SUSPENDED,
        Health::Progressing => meaning(Tone::Busy, '◐'),
        Health::Missing => meaning(Tone::Warning, '○'),
        Health::Degraded => meaning(Tone::Bad, '✖'),
        Health::Unknown => meaning(Tone::Quiet, '?'),
    }
}

/// Of a phase.
pub fn of_phase(phase: Phase) -> StatusStyle {
    match phase {
        Phase::Queued => meaning(Tone::Quiet, '·'),
        Phase::Running => meaning(Tone::Busy, '◐'),
        Phase::Succeeded => meaning(Tone::Good, '✔'),
        Phase::Failed => meaning(Tone::Bad, '✖'),
        Phase::Skipped => meaning(Tone::Quiet, '–'),
        Phase::Cancelled => meaning(Tone::Warning, '■'),
        Phase::Interrupted => meaning(Tone::Warning, '!'),
    }
}

/// Of an action.
pub fn of_action(action: Action) -> StatusStyle {
    let tone = match action {
        Action::Create => Tone::Good,
        Action::Configure => Tone::Warning,
        Action::Prune => Tone::Bad,
        Action::Unchanged | Action::Skip => Tone::Quiet,
    };
    meaning(tone, action.sign())
}

/// Of a check.
pub fn of_check(result: CheckResult) -> StatusStyle {
    match result {
        CheckResult::Good => meaning(Tone::Good, '✔'),
        CheckResult::Warning => meaning(Tone::Warning, '!'),
        CheckResult::Bad => meaning(Tone::Bad, '✖'),
    }
}

/// Of the severity of a vulnerability; its word says it, so it has no sign.
pub fn of_severity(severity: Severity) -> Tone {
    match severity {
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Warning,
        Severity::Low | Severity::Negligible | Severity::Unknown => Tone::Plain,
    }
}
