//! A run: what it is to reach, and how far it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{ApplicationName, EnvironmentName};
use crate::artifact::Artifact;
use crate::event::Cause;
use crate::id::RunId;
use crate::revision::CommitId;
use crate::snapshot::{ScanResult, TestResult};
use crate::status::{Phase, Stage};

/// A run: the delivery of one application for one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Which.
    pub id: RunId,
    /// The first run that was queued for this trigger, where this one takes up what was cut off: its place in the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<RunId>,
    /// The run of the application that is done before this one, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<RunId>,
    /// Whose.
    pub application: ApplicationName,
    /// What it is to reach.
    pub goal: RunGoal,
    /// Whether the images are built anew, whatever exists already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuild: bool,
    /// Why it exists.
    pub cause: Cause,
    /// Whether it may run on the engine, where its code is of a fork; absent where it is the repository's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
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
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// What was built, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// What its tests came to, in their order, as far as they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestResult>,
    /// What the scans of its images came to, in their order, as far as they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<ScanResult>,
    /// By environment, the commit that wrote it into the manifests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub promoted: BTreeMap<EnvironmentName, CommitId>,
}

impl RunStatus {
    /// Its place in the order of its application: runs are done from the lowest to the highest. A run that takes up one
    /// that was cut off has the place of that one, so that no restart turns the order round.
    pub fn place(&self) -> RunId {
        self.resumes.unwrap_or(self.id)
    }

    /// Whether it waits for a person to allow it.
    pub fn awaits_permission(&self) -> bool {
        self.phase == Phase::Queued && self.permission == Some(Permission::Awaited)
    }

    /// Whether a commit of a branch or merge request made it: it only looks whether that commit is good.
    pub fn is_check(&self) -> bool {
        matches!(self.cause, Cause::Branch { .. } | Cause::MergeRequest { .. })
    }

    /// The merge request that it is of, also where a person queued it once more.
    pub fn merge_request(&self) -> Option<u64> {
        match self.cause {
            Cause::MergeRequest { number, .. } => Some(number),
            _ => self.reference.strip_prefix("merge-request-")?.parse().ok(),
        }
    }

    /// What it comes to, in a line: its message, or what it waits for.
    pub fn line(&self) -> std::borrow::Cow<'_, str> {
        match self.behind {
            _ if self.awaits_permission() => {
                let number = self.id.number;
                format!("its code is of a fork and waits for a person: qd runs allow {number}").into()
            }
            Some(run) if self.phase == Phase::Queued => format!("queued behind run {}", run.number).into(),
            _ => (&*self.message).into(),
        }
    }
}

/// Whether a run of a fork's code may run on the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// It waits for a person.
    Awaited,
    /// By a person, or by the configuration. It gets no secrets all the same, and nothing of it is pushed.
    Given,
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunGoal {
    /// The images are built.
    Build,
    /// The images of a merge request are in the registry, under a tag of their own; no environment gets them.
    Preview,
    /// The images are in the registry, and in the manifests of each environment where promotion is on.
    Push,
}

impl RunGoal {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Preview => "preview",
            Self::Push => "push",
        }
    }
}
