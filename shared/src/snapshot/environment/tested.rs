//! The tests of a chart: objects that run when a person asks, and say how the release is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Cause;
use crate::revision::Revision;
use crate::status::Phase;

/// A run of the tests of an environment's chart, from the request to its end. What each of them said is fetched on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartTests {
    /// When it was asked for, which tells it from others.
    pub at: Timestamp,
    /// Who asked.
    pub cause: Cause,
    /// Only the tests of these names; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Each has to be done within so many seconds, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// What was deployed.
    pub revision: Revision,
    /// Where it stands.
    pub phase: Phase,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// `2 passed`, or why not; empty until it ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}
