//! The part of the configuration that is in git, and what of it is in force.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::revision::CommitId;

/// The part of the configuration that is in git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Its repository, redacted.
    pub repository: String,
    /// Its branch; the repository's default branch where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The file or folder in the repository.
    pub path: String,
    /// The commit that is in force; absent where none was read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Who signed it; empty where that was not asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signer: String,
    /// The files that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Since when it is in force, in this run of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It is what an earlier run read: the repository was not read in this one.
    #[serde(default)]
    pub kept: bool,
    /// Why a newer commit is not in force, or why the repository was not read: commit, file and line where there are such; absent
    /// where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ConfigurationStatus {
    /// `quarterdeck.toml of https://forge.example/ops/fleet.git at 1f3c2a9`.
    pub fn place(&self) -> String {
        let Self { repository, path, commit, .. } = self;
        let at = commit.as_ref().map_or_else(|| "not read yet".to_owned(), |commit| format!("at {}", commit.short()));
        format!("{path} of {repository} {at}")
    }

    /// What is wrong with it, and what is in force meanwhile; nothing where all is well.
    pub fn trouble(&self) -> Option<String> {
        let error = self.error.as_ref()?.lines().collect::<Vec<_>>().join("; ");
        let meanwhile = match &self.commit {
            Some(commit) => format!("commit {} stays in use", commit.short()),
            None => "only the local file is in use".to_owned(),
        };
        Some(format!("configuration in git is not in use, {meanwhile}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_is_in_use_meanwhile() {
        let mut status = ConfigurationStatus {
            repository: "https://forge/ops/fleet.git".to_owned(),
            branch: String::new(),
            path: "quarterdeck.toml".to_owned(),
            commit: None,
            signer: String::new(),
            files: Vec::new(),
            since: None,
            kept: false,
            error: None,
        };
        assert_eq!(status.trouble(), None);
        assert_eq!(status.place(), "quarterdeck.toml of https://forge/ops/fleet.git not read yet");
        status.error = Some("a:1:1: one\na:2:1: two".to_owned());
        let words = "configuration in git is not in use, only the local file is in use: a:1:1: one; a:2:1: two";
        assert_eq!(status.trouble().as_deref(), Some(words));
        status.commit = Some("1f3c2a9d".repeat(5).parse().unwrap());
        assert_eq!(status.place(), "quarterdeck.toml of https://forge/ops/fleet.git at 1f3c2a9");
        assert!(status.trouble().unwrap().contains(", commit 1f3c2a9 stays in use: "));
    }
}
