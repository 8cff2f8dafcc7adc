//! Reading what a commit holds, from the object database: nothing is checked out.

use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::object::tree::EntryKind;

use super::Mirror;
use super::known::Folder;
use crate::error::Escaped;
use crate::id::GixId;
use crate::{CommitId, EntryMode, GitError, ObjectId, Target, TreeEntry, TreeId, TreeListing};

/// Deeper directories are refused: git itself stops at 2,048, and no path that people type comes near.
const DEPTH_MAX: usize = 256;

impl Mirror {
    /// The commit that a target is at in the mirror, as of the last fetch. The default branch is asked of `default`,
    /// the branch of the last listing.
    pub fn resolve(&self, target: &Target, default: Option<&str>) -> Result<CommitId, GitError> {
        let name = match target {
            Target::Branch(name) => format!("refs/heads/{name}"),
            Target::Tag(name) => format!("refs/tags/{name}"),
            Target::Default => match default {
                Some(name) => format!("refs/heads/{name}"),
                None => return Err(self.not_found("a default branch (the remote names none: name the branch)")),
            },
            Target::Commit(id) => return self.commit_of(id.to_gix(), target),
        };
        let repository = self.repository();
        let found =
            repository.try_find_reference(name.as_str()).map_err(|error| self.broken("reading a ref", &error))?;
        let id = found.and_then(|found| found.try_id().map(|id| id.detach())).ok_or_else(|| self.not_found(target))?;
        self.commit_of(id, target)
    }

    /// The names of the tags that the mirror holds, as of the last fetch.
    pub fn tags(&self) -> Result<Vec<String>, GitError> {
        let names = self.own_refs(&self.repository())?.into_keys();
        Ok(names.filter_map(|name| name.strip_prefix("refs/tags/").map(str::to_owned)).collect())
    }

    /// Peels an object to its commit.
    fn commit_of(&self, id: gix::ObjectId, target: &Target) -> Result<CommitId, GitError> {
        let repository = self.repository();
        let object = repository.try_find_object(id).map_err(|error| self.broken("reading an object", &error))?;
        let object = object.ok_or_else(|| self.not_found(target))?;
        let object = object.peel_tags_to_end().map_err(|error| self.broken("following a tag", &error))?;
        match object.kind {
            gix::objs::Kind::Commit => Ok(CommitId::from_gix(object.id)),
            kind => Err(self.not_found(format!("a commit at {target} (it points to a {kind})"))),
        }
    }

    /// The directory `path` (with `/`, empty for the root) of a commit; `None` if there is no such directory. Equal
    /// ids mean equal files below it.
    pub fn tree_of(&self, commit: &CommitId, path: &str) -> Result<Option<TreeId>, GitError> {
        let found = self.find(commit, path)?;
        Ok(found.filter(|(kind, _)| *kind == EntryKind::Tree).map(|(_, id)| TreeId::from_gix(id)))
    }

    /// The file, link or submodule at `path` of a commit, by its whole path; `None` for a directory and for nothing.
    /// It costs a look into each directory on the way, however much these hold.
    pub fn entry(&self, commit: &CommitId, path: &str) -> Result<Option<TreeEntry>, GitError> {
        let entry = self.find(commit, path)?.and_then(|(kind, id)| {
            let mode = match kind {
                EntryKind::Tree => return None,
                EntryKind::Blob => EntryMode::File,
                EntryKind::BlobExecutable => EntryMode::Executable,
                EntryKind::Link => EntryMode::Symlink,
                EntryKind::Commit => EntryMode::Submodule,
            };
            Some(TreeEntry { path: parts(path).collect::<Vec<_>>().join("/"), mode, id: ObjectId::from_gix(id) })
        });
        Ok(entry)
    }

    /// What is at `path` of a commit.
    fn find(&self, commit: &CommitId, path: &str) -> Result<Option<(EntryKind, gix::ObjectId)>, GitError> {
        let root = self.known.root(commit.to_gix(), || {
            let repository = self.repository();
            Ok::<_, GitError>(self.root(&repository, commit)?.id)
        })?;
        let mut found = (EntryKind::Tree, root);
        for name in parts(path) {
            let (EntryKind::Tree, tree) = found else { return Ok(None) };
            let Some(below) = self.folder(tree)?.get(name.as_bytes()).copied() else { return Ok(None) };
            found = below;
        }
        Ok(Some(found))
    }

    fn folder(&self, tree: gix::ObjectId) -> Result<Arc<Folder>, GitError> {
        self.known.folder(tree, || {
            let failed = |error: gix::Error| self.broken("reading a tree", &error);
            let repository = self.repository();
            let tree = repository.find_tree(tree).map_err(failed)?;
            let entry = |entry: Result<gix::object::tree::EntryRef<'_, '_>, _>| {
                let entry = entry.map_err(failed)?;
                Ok((entry.filename().to_owned(), (entry.mode().kind(), entry.object_id())))
            };
            tree.iter().map(entry).collect()
        })
    }

    /// All files below the directory `path` of a commit, by their whole paths.
    ///
    /// # Errors
    /// Where there is no such directory, where it holds more than the repository's limit of `tree_entries`, and where the
    /// mirror cannot be read.
    pub fn entries(&self, commit: &CommitId, path: &str) -> Result<TreeListing, GitError> {
        let missing = || self.not_found(format!("the directory `{path}` at commit {}", commit.short()));
        let tree = self.tree_of(commit, path)?.ok_or_else(missing)?;
        let repository = self.repository();
        let mut walk = Walk { repository: &repository, listing: TreeListing::default(), seen: 0 };
        let below: String = parts(path).flat_map(|part| [part, "/"]).collect();
        self.descend(&mut walk, tree.to_gix(), &below, 0)?;
        let mut listing = walk.listing;
        // Git sorts a directory `a` as `a/`, and its files where they belong to it: so sorted by bytes of whole paths.
        listing.entries.sort_by(|one, other| one.path.as_bytes().cmp(other.path.as_bytes()));
        listing.unnameable.sort();
        Ok(listing)
    }

    /// Everything that a tree names counts against the bound, not files alone: a few trees that name one another twice a
    /// level are a million directories without a file.
    fn descend(&self, walk: &mut Walk<'_>, tree: gix::ObjectId, below: &str, depth: usize) -> Result<(), GitError> {
        let failed = |error: gix::Error| self.broken("reading a tree", &error);
        if depth > DEPTH_MAX {
            let what = "levels of directories";
            return Err(GitError::TooMuch { url: self.url(), limit: DEPTH_MAX as u64, what, option: None });
        }
        let tree = walk.repository.find_tree(tree).map_err(failed)?;
        for entry in tree.iter() {
            let entry = entry.map_err(failed)?;
            let limit = self.remote.access.limits.tree_entries;
            if walk.seen >= limit {
                let (limit, what) = (limit as u64, "files and directories in one directory");
                return Err(GitError::TooMuch { url: self.url(), limit, what, option: Some("tree_entries") });
            }
            walk.seen += 1;
            let name = entry.filename();
            let Some(name) = name.to_str().ok().filter(|name| is_valid(name)) else {
                walk.listing.unnameable.push(format!("{below}{}", Escaped(name)));
                continue;
            };
            let path = format!("{below}{name}");
            let mode = match entry.mode().kind() {
                EntryKind::Tree => {
                    self.descend(walk, entry.object_id(), &format!("{path}/"), depth + 1)?;
                    continue;
                }
                EntryKind::Blob => EntryMode::File,
                EntryKind::BlobExecutable => EntryMode::Executable,
                EntryKind::Link => EntryMode::Symlink,
                EntryKind::Commit => EntryMode::Submodule,
            };
            walk.listing.entries.push(TreeEntry { path, mode, id: ObjectId::from_gix(entry.object_id()) });
        }
        Ok(())
    }

    /// The length of a file in bytes.
    pub fn size(&self, id: &ObjectId) -> Result<u64, GitError> {
        let header = self.repository().try_find_header(id.to_gix());
        let header = header.map_err(|error| self.broken("reading a file", &error))?;
        Ok(header.ok_or_else(|| self.not_found(format!("object {id}")))?.size())
    }

    /// The content of a file, if it has at most `limit` bytes.
    pub fn blob(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>, GitError> {
        let repository = self.repository();
        let failed = |error: gix::Error| self.broken("reading a file", &error);
        let header = repository.try_find_header(id.to_gix()).map_err(failed)?;
        let header = header.ok_or_else(|| self.not_found(format!("object {id}")))?;
        if header.size() > limit {
            return Err(GitError::BlobTooBig {
                url: self.url(),
                what: format!("object {id}"),
                size: header.size(),
                limit,
            });
        }
        let mut object = repository.find_object(id.to_gix()).map_err(failed)?;
        match object.kind {
            gix::objs::Kind::Blob => Ok(std::mem::take(&mut object.data)),
            kind => Err(self.not_found(format!("a file at object {id} (it is a {kind})"))),
        }
    }

    /// The content of the file at `path` of a commit, if there is one and it has at most `limit` bytes.
    pub fn file(&self, commit: &CommitId, path: &str, limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        match self.find(commit, path)? {
            Some((EntryKind::Blob | EntryKind::BlobExecutable, id)) => {
                self.blob(&ObjectId::from_gix(id), limit).map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn root<'r>(
        &self,
        repository: &'r gix::Repository,
        commit: &CommitId,
    ) -> Result<gix::Tree<'r>, GitError> {
        let tree = self.raw(repository, commit.to_gix())?.tree;
        let tree = repository.try_find_object(tree).map_err(|error| self.broken("reading a tree", &error))?;
        let tree = tree.ok_or_else(|| self.not_found(format!("the tree of commit {commit}")))?;
        tree.try_into_tree().map_err(|error| self.broken("reading a tree", &error))
    }
}

/// The names on the way to a path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// A walk through a tree: what it found, and how many names it read.
struct Walk<'a> {
    repository: &'a gix::Repository,
    listing: TreeListing,
    seen: usize,
}

/// Names that git forbids in trees but a hostile tree may hold.
fn is_valid(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}
