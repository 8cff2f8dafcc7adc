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
}

impl ApplicationSourceStatus {
    /// What is wrong, in one line; empty where nothing is.
    pub fn line(&self) -> String {
        self.error.as_deref().map(|error| error.lines().collect::<Vec<_>>().join("; ")).unwrap_or_default()
    }
}

/// Where an application is defined that is not in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinedIn {
    /// The source.
    pub source: SourceName,
    /// The file, from the root of the source's repository; the template where it is made of one.
    pub file: String,
}
