//! Where applications are defined beside the configuration: a source of them in git.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::SourceName;
use crate::revision::CommitId;

/// A source of applications, and what of it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationSourceStatus {
    /// Its name in the configuration.
    pub name: SourceName,
    /// Its repository, redacted.
    pub repository: String,
    /// Its branch; the repository's default branch where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The commit whose applications are in force; absent where none was read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// How many they are.
    pub applications: u32,
    /// Since when they are in force, in this run of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is wrong with a newer commit, or with some of them: file, line and what would be right; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Environments that left it and whose objects are being deleted, each with what that waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruning: Vec<String>,
}

impl ApplicationSourceStatus {
    /// What is wrong and what is under way, in one line; empty where nothing is.
    pub fn line(&self) -> String {
        let error = self.error.as_deref().map(|error| error.lines().collect::<Vec<_>>().join("; "));
        let pruning = (!self.pruning.is_empty()).then(|| format!("pruning {}", self.pruning.join(", ")));
        error.into_iter().chain(pruning).collect::<Vec<_>>().join("; ")
    }
}

/// Where in git an application is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinedIn {
    /// The source of applications; absent where that is the configuration in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// The file, from the root of its repository; the template where it is made of one.
    pub file: String,
}
