//! What git says, in words: ids, refs, commits, and edits that become a commit. The files of a commit are [`crate::tree`]. Who
//! asks git is not here.

mod id;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::id::{BadId, CommitId, ObjectId, TreeId};

/// The refs of a remote at one moment: what one poll answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefSnapshot {
    /// Branches by name without `refs/heads/`.
    pub branches: BTreeMap<String, CommitId>,
    /// Tags by name without `refs/tags/`.
    pub tags: BTreeMap<String, TagRef>,
    /// The heads of merge requests by number, closed ones too; nothing where they were not asked for.
    pub merge_requests: Option<BTreeMap<u64, MergeRequestRef>>,
    /// The branch that `HEAD` of the remote points to, if the remote says so. It may be unborn.
    pub default_branch: Option<String>,
    /// Refs left out because of their names (not UTF-8, or none that git allows), escaped for reading; at most
    /// [`RefSnapshot::SKIPPED_MAX`].
    pub skipped: Vec<String>,
}

impl RefSnapshot {
    /// As many skipped names are kept as a person would read.
    pub const SKIPPED_MAX: usize = 20;
}

/// The head of a merge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequestRef {
    /// The whole name that the forge gives it: `refs/merge-requests/7/head`, `refs/pull/7/head`.
    pub name: String,
    /// Its newest commit.
    pub commit: CommitId,
}

impl MergeRequestRef {
    /// Where forges keep them: GitLab; GitHub, Gitea and Forgejo.
    pub const PLACES: [&'static str; 2] = ["refs/merge-requests/", "refs/pull/"];

    /// The number of a merge request by the whole name of its head; nothing where it is another ref.
    pub fn number(name: &str) -> Option<u64> {
        let rest = Self::PLACES.iter().find_map(|place| name.strip_prefix(place))?;
        rest.strip_suffix("/head")?.parse().ok()
    }
}

/// What a tag points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRef {
    /// The tag object of an annotated tag, the commit of a lightweight one. It changes whenever the tag is moved or
    /// written anew, also when the commit stays: so this is the identity of a trigger.
    pub object: ObjectId,
    /// The commit at the end of the tag; `None` while it is known only that the tag points to something else (a tree,
    /// a blob). A lightweight tag counts as a commit until its object has been fetched and is seen to be another kind.
    pub commit: Option<CommitId>,
}

/// What to resolve to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// The tip of a branch, by name without `refs/heads/`.
    Branch(String),
    /// The commit of a tag, by name without `refs/tags/`.
    Tag(String),
    /// This very commit, which has to be in the mirror.
    Commit(CommitId),
    /// The default branch of the remote.
    Default,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Branch(name) => write!(f, "branch {name}"),
            Target::Tag(name) => write!(f, "tag {name}"),
            Target::Commit(id) => write!(f, "commit {id}"),
            Target::Default => f.write_str("the default branch"),
        }
    }
}

/// A commit, for reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// The commit.
    pub id: CommitId,
    /// The first paragraph of the message, on one line, without control characters.
    pub subject: String,
    /// The whole message, bounded at 64 KiB.
    pub message: String,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub author_email: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
    /// Its root tree.
    pub tree: TreeId,
}

/// One file to write in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The path from the root of the repository, with `/`.
    pub path: String,
    /// The whole new content.
    pub content: Vec<u8>,
}

/// Who makes a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name as git prints it.
    pub name: String,
    /// The e-mail address as git prints it.
    pub email: String,
}
