//! A tree with some of its files changed, to see what would be rendered.

use std::collections::BTreeMap;

use crate::tree::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// A tree with the new contents of some of its files; its entries are those of the tree, and the path says which are changed.
pub(super) struct Edited<'a> {
    pub(super) tree: &'a dyn Tree,
    /// The new contents of files that the tree has, by path.
    pub(super) edits: &'a BTreeMap<String, Vec<u8>>,
}

impl Tree for Edited<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        self.tree.lookup(path)
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        self.tree.entries(folder)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.edits.get(&entry.path).map_or_else(|| self.tree.size(entry), |content| Ok(content.len() as u64))
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        self.edits.get(&entry.path).map_or_else(|| self.tree.blob(entry), |content| Ok(content.clone()))
    }
}
