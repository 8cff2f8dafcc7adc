//! Where code and manifests come from: git repositories, as the rest of the agent sees them.
//!
//! The words are [`quarterdeck_core::git`] (ids, refs, commits, edits) and [`quarterdeck_core::tree`] (the files of a commit); `error` holds failures, `remote` the part of the configuration
//! that says how a repository is reached. Neither does I/O: [`mirror`] does, by gix and the git program, behind
//! [`mirror::Mirror`].
//!
//! ```text
//! url ─► mirror::Mirror ── list_refs ─► RefSnapshot ─► (trigger decides) ── fetch ─► the mirror holds these refs
//!                   └── tree_of, entries, blob, log: read from the object database, nothing is checked out
//!                   └── commit_edits, push: a promotion becomes a commit, and the commit reaches the branch
//! ```
//!
//! [`own`] holds repositories on this machine instead of reaching them elsewhere.
//!
//! Invariant: nothing here or below ever prompts, and no text made here holds a password, a token or a key.

pub mod url;

mod error;
pub(crate) mod id;
mod remote;

pub mod local;
pub mod mirror;
pub mod own;

pub use error::{GitError, GitErrorKind};
pub use quarterdeck_core::git::{
    Author, BadId, CommitId, CommitInfo, FileEdit, MergeRequestRef, ObjectId, RefSnapshot, TagRef, Target, TreeId,
};
pub use quarterdeck_core::tree::{EntryMode, TreeEntry, TreeListing};
pub use remote::{ConfigProblem, Remote, RemoteLimits, RepositoryConfig};

/// What a fetch did to the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchOutcome {
    /// Full names of the refs that are new or point elsewhere now.
    pub updated: Vec<String>,
    /// Full names of the refs that are gone.
    pub pruned: Vec<String>,
    /// Objects received; zero when the mirror had them all.
    pub objects: u32,
}

/// How a push ended, where that is no failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The branch is at the new commit.
    Pushed,
    /// Somebody else was faster: nothing was changed, and the decision has to be made anew.
    Raced {
        /// Where the branch is now; `None` if it is gone.
        now: Option<CommitId>,
    },
}
