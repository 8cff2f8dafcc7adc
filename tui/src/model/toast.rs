//! Toasts: what is told for a few seconds, such as the answer to a command.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a toast is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// It was done.
    Done,
    /// Something to know.
    Note,
    /// It was not done.
    Problem,
}

/// Something that is told for a few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toast {
    /// How it is meant.
    pub said: Said,
    /// What.
    pub text: String,
    /// What to do next; may be empty.
    pub hints: Vec<String>,
    /// When it goes.
    pub until: Timestamp,
}

/// Toasts at once: more than three are not read but cover what is.
const TOASTS_MAX: usize = 3;
/// Long enough to read a sentence.
const SHOWN: Duration = Duration::from_secs(4);
/// An error is read twice, and its hint too.
const SHOWN_BAD: Duration = Duration::from_secs(12);

/// Shows something for a few seconds.
pub fn show(toasts: &mut Vec<Toast>, now: Timestamp, said: Said, text: String, hints: Vec<String>) {
    let shown = if said == Said::Problem { SHOWN_BAD } else { SHOWN };
    let until = now.saturating_add(shown).unwrap_or(Timestamp::MAX);
    toasts.retain(|toast| toast.text != text);
    toasts.push(Toast { said, text, hints, until });
    let surplus = toasts.len().saturating_sub(TOASTS_MAX);
    toasts.drain(..surplus);
}

/// Takes away what has been shown long enough. What would be shown longer than anything is, is of before the clock was set
/// back.
pub fn expire(toasts: &mut Vec<Toast>, now: Timestamp) {
    let last = now.saturating_add(SHOWN_BAD).unwrap_or(Timestamp::MAX);
    toasts.retain(|toast| toast.until > now && toast.until <= last);
}
