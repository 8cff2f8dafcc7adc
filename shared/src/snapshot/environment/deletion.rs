//! A deletion: all objects of an environment are deleted, since a person wants that.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Cause;
use crate::status::Phase;

/// A deletion of the objects of an environment, from the request to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for, which tells it from others.
    pub at: Timestamp,
    /// Who asked.
    pub cause: Cause,
    /// Whether the hooks of its chart are left out.
    #[serde(default)]
    pub skip_hooks: bool,
    /// Where it stands.
    pub phase: Phase,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// `12 deleted, 1 hook done`, or why not; empty until it ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}
