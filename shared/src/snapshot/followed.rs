//! An image that an application follows: which tag is wanted now, and what each environment makes of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{ApplicationName, EnvironmentName};

/// An image that an application follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedImage {
    /// Whose.
    pub application: ApplicationName,
    /// Registry and repository without a tag.
    pub image: String,
    /// Which of its tags is wanted, in words: `semver >=6.0 <7`.
    pub policy: String,
    /// The tag that is wanted; absent until the registry answered, or where it has none that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest that the registry has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the registry last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// By environment what its manifests make of the tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<EnvironmentName, FollowedIn>,
    /// Why the registry could not be asked; absent where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// What the manifests of an environment make of the tag that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedIn {
    /// Where it stands.
    pub state: FollowState,
    /// One line.
    pub message: String,
    /// What to do about it; empty where nothing is known that helps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// Where an environment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowState {
    /// The manifests name it.
    Current,
    /// It was promoted before and the manifests name another one since: it is not promoted again.
    Held,
    /// It cannot be written into them.
    Failed,
}

impl FollowedImage {
    /// The first thing that is wrong: with the registry, else with an environment; and what to do about it.
    pub fn problem(&self) -> Option<(&str, &str)> {
        let error = self.error.as_deref().map(|error| (error, &*self.hint));
        let failed = self.environments.values().find(|one| one.state == FollowState::Failed);
        error.or_else(|| failed.map(|one| (&*one.message, &*one.hint)))
    }

    /// Whether an environment keeps another tag than the one that is wanted.
    pub fn is_held(&self) -> bool {
        self.environments.values().any(|one| one.state == FollowState::Held)
    }

    /// What it comes to, in a line.
    pub fn line(&self) -> String {
        if let Some((error, _)) = self.problem() {
            return error.to_owned();
        }
        let of = |(name, one): (&EnvironmentName, &FollowedIn)| format!("{name}: {}", one.message);
        self.environments.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}
