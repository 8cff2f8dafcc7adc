//! A tree with some of its files changed, to see what would be rendered.

use std::collections::BTreeMap;

use crate::render::tree::{Listing, Node, Tree, TreeEntry, TreeFailure};

/// See the module.
pub(super) struct Edited<'a> {
    pub(super) tree: &'a dyn Tree,
    /// The new contents of files that the tree has, by path.
    pub(super) edits: &'a BTreeMap<String, Vec<u8>>,
}

/// What begins the id of a changed file; no object of git is called so.
const CHANGED: &str = "changed:";

impl Edited<'_> {
    fn shown(&self, entry: TreeEntry) -> TreeEntry {
        match self.edits.contains_key(&entry.path) {
            true => TreeEntry { id: format!("{CHANGED}{}", entry.path), ..entry },
            false => entry,
        }
    }

    fn changed(&self, id: &str) -> Option<&Vec<u8>> {
        self.edits.get(id.strip_prefix(CHANGED)?)
    }
}

impl Tree for Edited<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        Ok(self.tree.lookup(path)?.map(|node| match node {
            Node::File(entry) => Node::File(self.shown(entry)),
            Node::Folder => Node::Folder,
        }))
    }

    fn entries(&self, folder: &str) -> Result<Listing, TreeFailure> {
        let Listing { entries, unreadable } = self.tree.entries(folder)?;
        Ok(Listing { entries: entries.into_iter().map(|entry| self.shown(entry)).collect(), unreadable })
    }

    fn size(&self, id: &str) -> Result<u64, TreeFailure> {
        self.changed(id).map_or_else(|| self.tree.size(id), |content| Ok(content.len() as u64))
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, TreeFailure> {
        self.changed(id).map_or_else(|| self.tree.blob(id), |content| Ok(content.clone()))
    }
}
