//! Writing a commit into the object database: no checkout, no index, no ref. A push makes it known.

use std::collections::BTreeSet;

use gix::object::tree::EntryKind;

use super::Mirror;
use crate::id::GixId;
use crate::{Author, CommitId, FileEdit, GitError};

impl Mirror {
    /// A commit on top of `base` with these files written, existing ones keeping their executable bit. The same
    /// arguments give the same commit. It is in the mirror only, and unreachable until it is pushed.
    pub fn commit_edits(
        &self,
        base: &CommitId,
        edits: &[FileEdit],
        author: &Author,
        message: &str,
        time: jiff::Timestamp,
    ) -> Result<CommitId, GitError> {
        let _writing = self.writing();
        let repository = self.repository();
        let failed = |error: gix::Error| self.broken("writing a commit", &error);
        let root = self.root(&repository, base)?;
        let mut editor = repository.edit_tree(root.id).map_err(failed)?;
        let mut paths = BTreeSet::new();
        for edit in edits {
            let bad = |why: &str| GitError::BadEdit { path: edit.path.clone(), why: why.to_owned() };
            let parts: Vec<&str> = edit.path.split('/').collect();
            if let Some(why) = unsound(&parts) {
                return Err(bad(why));
            }
            if !paths.insert(&edit.path) {
                return Err(bad("it is written twice"));
            }
            let kind = match root.lookup_entry(parts.iter().copied()).map_err(failed)?.map(|entry| entry.mode().kind())
            {
                None => EntryKind::Blob,
                Some(kind @ (EntryKind::Blob | EntryKind::BlobExecutable)) => kind,
                Some(EntryKind::Tree) => return Err(bad("it is a directory")),
                Some(EntryKind::Link) => return Err(bad("it is a symbolic link; edit the file it points to")),
                Some(EntryKind::Commit) => return Err(bad("it is a submodule")),
            };
            let blob = repository.write_blob(&edit.content).map_err(failed)?;
            editor.upsert(edit.path.as_str(), kind, blob).map_err(failed)?;
        }
        let tree = editor.write().map_err(failed)?.detach();
        let signature = gix::actor::Signature {
            name: one_line(&author.name).into(),
            email: one_line(&author.email).into(),
            time: gix::date::Time::new(time.as_second(), 0),
        };
        let commit = gix::objs::Commit {
            tree,
            parents: [base.to_gix()].into_iter().collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        repository.write_object(&commit).map(|id| CommitId::from_gix(id.detach())).map_err(failed)
    }
}

/// Why a path may not be written, if so: git refuses these on checkout, and so would every clone.
fn unsound(parts: &[&str]) -> Option<&'static str> {
    for part in parts {
        if part.is_empty() || matches!(*part, "." | "..") {
            return Some("its path is not from the root of the repository, with single slashes");
        }
        if part.eq_ignore_ascii_case(".git") {
            return Some("git keeps the name .git for itself");
        }
        if part.chars().any(char::is_control) {
            return Some("its path has control characters");
        }
    }
    None
}

/// What separates the fields of a signature may not be in them.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect::<String>().trim().to_owned()
}
