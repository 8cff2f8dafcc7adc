//! A tree in memory: the files of an archive, and those of the tests of all that read trees.

use std::collections::BTreeMap;

use super::paths::is_below;
use super::{EntryMode, Node, Tree, TreeEntry, TreeFailure, TreeListing};
use crate::git::ObjectId;

/// Files by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// What each is, and its content.
    pub files: BTreeMap<String, (EntryMode, Vec<u8>)>,
    /// Paths that are no UTF-8.
    pub unnameable: Vec<String>,
}

impl Files {
    /// Files by path and content; a path that ends in `@` is a symbolic link.
    pub fn new(files: &[(&str, &str)]) -> Self {
        files.iter().fold(Self::default(), |all, (path, content)| match path.strip_suffix('@') {
            Some(path) => all.with(path, EntryMode::Symlink, content),
            None => all.with(path, EntryMode::File, content),
        })
    }

    /// One more file, or another in its place.
    pub fn with(mut self, path: &str, mode: EntryMode, content: &str) -> Self {
        self.files.insert(path.to_owned(), (mode, content.as_bytes().to_vec()));
        self
    }

    fn entry(&self, path: &str) -> Option<TreeEntry> {
        let (mode, _) = self.files.get(path)?;
        Some(TreeEntry { path: path.to_owned(), mode: *mode, id: ObjectId::null() })
    }
}

impl Tree for Files {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        let is_folder = path.is_empty() || self.files.keys().any(|file| is_below(file, path));
        Ok(self.entry(path).map(Node::File).or(is_folder.then_some(Node::Folder)))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        if self.lookup(folder)? != Some(Node::Folder) {
            return Err(format!("the files have no folder {folder:?}").into());
        }
        let inside = |path: &&String| is_below(path, folder);
        Ok(TreeListing {
            entries: self.files.keys().filter(inside).filter_map(|path| self.entry(path)).collect(),
            unnameable: self.unnameable.iter().filter(inside).cloned().collect(),
        })
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        Ok(self.blob(entry)?.len() as u64)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        let (_, content) = self.files.get(&entry.path).ok_or_else(|| format!("the files have no {:?}", entry.path))?;
        Ok(content.clone())
    }
}
