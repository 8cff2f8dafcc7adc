//! Writing a commit into the object database: no checkout, no index, no ref. A push makes it known.

use std::collections::{BTreeMap, BTreeSet};

use gix::object::tree::EntryKind;
use quarterdeck_core::tree::memory::Files;

use super::Mirror;
use super::fetch::{KEPT, deletion, update};
use crate::id::GixId;
use crate::{Author, CommitId, EntryMode, FileEdit, GitError};

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
        write(&repository, tree, Some(base), author, message, time).map_err(failed)
    }

    /// A commit without a parent, of exactly these files. The same arguments give the same commit. It is unreachable until
    /// [`Mirror::hold`] holds it.
    pub fn commit_files(
        &self,
        files: &Files,
        author: &Author,
        message: &str,
        time: jiff::Timestamp,
    ) -> Result<CommitId, GitError> {
        let _writing = self.writing();
        let repository = self.repository();
        let failed = |error: gix::Error| self.broken("writing a commit", &error);
        let mut editor = repository.edit_tree(repository.empty_tree().id).map_err(failed)?;
        for (path, (mode, content)) in &files.files {
            let bad = |why: &str| GitError::BadEdit { path: path.clone(), why: why.to_owned() };
            if let Some(why) = unsound(&path.split('/').collect::<Vec<_>>()) {
                return Err(bad(why));
            }
            let kind = match mode {
                EntryMode::File => EntryKind::Blob,
                EntryMode::Executable => EntryKind::BlobExecutable,
                EntryMode::Symlink => EntryKind::Link,
                EntryMode::Submodule => return Err(bad("it is a submodule")),
            };
            let blob = repository.write_blob(content).map_err(failed)?;
            editor.upsert(path.as_str(), kind, blob).map_err(failed)?;
        }
        let tree = editor.write().map_err(failed)?.detach();
        write(&repository, tree, None, author, message, time).map_err(failed)
    }

    /// Makes the mirror hold exactly these commits, where nothing is fetched: a branch, and others by the names that they are
    /// to be kept under.
    pub fn hold(&self, branch: Option<(&str, &CommitId)>, kept: &BTreeMap<String, CommitId>) -> Result<(), GitError> {
        let _writing = self.writing();
        let repository = self.repository();
        let branch = branch.map(|(name, commit)| (format!("refs/heads/{name}"), commit.to_gix()));
        let kept = kept.iter().map(|(name, commit)| (format!("{KEPT}{name}"), commit.to_gix()));
        let want: BTreeMap<String, gix::ObjectId> = branch.into_iter().chain(kept).collect();
        let have = self.own_refs(&repository)?;
        let gone = have.keys().filter(|name| !want.contains_key(*name)).map(|name| deletion(name));
        let differ = want.iter().filter(|(name, id)| have.get(*name) != Some(id)).map(|(name, id)| update(name, *id));
        self.edit(&repository, gone.chain(differ))?;
        self.complete();
        Ok(())
    }
}

fn write(
    repository: &gix::Repository,
    tree: gix::ObjectId,
    parent: Option<&CommitId>,
    author: &Author,
    message: &str,
    time: jiff::Timestamp,
) -> Result<CommitId, gix::Error> {
    let signature = gix::actor::Signature {
        name: one_line(&author.name).into(),
        email: one_line(&author.email).into(),
        time: gix::date::Time::new(time.as_second(), 0),
    };
    let commit = gix::objs::Commit {
        tree,
        parents: parent.map(GixId::to_gix).into_iter().collect(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    };
    repository.write_object(&commit).map(|id| CommitId::from_gix(id.detach()))
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
