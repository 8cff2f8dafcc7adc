//! A run and its number.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::ApplicationName;
use crate::artifact::Artifact;
use crate::event::Cause;
use crate::revision::CommitId;
use crate::status::{Phase, Stage};

/// The number of a run, as people type it: counts up over all applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run: the delivery of one application for one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Its number.
    pub id: RunId,
    /// Whose.
    pub application: ApplicationName,
    /// What it is to reach.
    pub goal: RunGoal,
    /// Why it exists.
    pub cause: Cause,
    /// The git tag that named it, or what a person asked for.
    pub reference: String,
    /// The commit that is delivered.
    pub commit: CommitId,
    /// The first line of its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Where it stands.
    pub phase: Phase,
    /// Its steps, in order.
    pub stages: Vec<Stage>,
    /// When the trigger was seen.
    pub queued: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// One line: what came out, or why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The image, once built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The commit that wrote it into the manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<CommitId>,
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunGoal {
    /// The image is built.
    Build,
    /// The image is in the registry, and in the manifests where promotion is on.
    Push,
}

impl RunGoal {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Push => "push",
        }
    }
}
