//! Revisions: a commit, and the name it was reached by. Printed as Flux prints them: `main@sha1:1f3c…`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a commit in lower-case hex: 40 digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(Box<str>);

impl CommitId {
    /// The whole id in hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

/// A text that is no commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a commit id: expected 40 or 64 hexadecimal digits")]
pub struct CommitIdError(String);

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(CommitIdError(text.to_owned())) }
    }
}

impl TryFrom<String> for CommitId {
    type Error = CommitIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit that a branch, a tag or a pin resolved to. On the wire and on screen: `main@sha1:1f3c…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision {
    /// The branch or tag that was resolved, without `refs/…/`; `pin` for a pinned commit.
    pub reference: String,
    /// What it resolved to.
    pub commit: CommitId,
}

impl Revision {
    /// The name of `reference` where a person pinned a commit.
    pub const PIN: &'static str = "pin";

    /// A revision of a named reference.
    pub fn new(reference: impl Into<String>, commit: CommitId) -> Self {
        Self { reference: reference.into(), commit }
    }

    /// `main@1f3c2a9`, for people.
    pub fn short(&self) -> String {
        format!("{}@{}", self.reference, self.commit.short())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = if self.commit.as_str().len() == 64 { "sha256" } else { "sha1" };
        write!(f, "{}@{algorithm}:{}", self.reference, self.commit)
    }
}

/// A text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a revision: expected reference@sha1:commit")]
pub struct RevisionError(String);

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RevisionError(text.to_owned());
        // A reference may itself hold `@`; a commit never does.
        let (reference, commit) = text.rsplit_once('@').ok_or_else(error)?;
        let (_, hex) = commit.split_once(':').ok_or_else(error)?;
        let commit = hex.parse().map_err(|_| error())?;
        Ok(Self { reference: reference.to_owned(), commit })
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";

    #[test]
    fn revisions_print_and_parse() {
        for reference in ["main", "release/1.x", "user@host", "pin"] {
            let revision = Revision::new(reference, SHA.parse().unwrap());
            assert_eq!(revision.to_string(), format!("{reference}@sha1:{SHA}"));
            assert_eq!(revision.to_string().parse(), Ok(revision.clone()));
            assert_eq!(revision.short(), format!("{reference}@1f3c2a9"));
        }
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        for text in ["", "main", "main@1f3c2a9", "main@sha1:1f3c", "main@sha1:zz3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d"]
        {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }
}
