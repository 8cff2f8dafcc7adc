//! A tree with others put into it while it is read: what a kustomization takes from elsewhere, each at a place of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::paths::is_below;
use super::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// A tree, and others below some of its folders. What is put into it is seen by its name, and in no listing of a folder above
/// it. At such a place nothing of the tree itself is seen.
pub struct Beside<'a> {
    tree: &'a dyn Tree,
    parts: RwLock<BTreeMap<String, Arc<dyn Tree>>>,
}

impl<'a> Beside<'a> {
    /// The tree alone.
    pub fn new(tree: &'a dyn Tree) -> Self {
        Self { tree, parts: RwLock::default() }
    }

    /// Puts another tree into it. What is at that place already stays.
    pub fn put(&self, at: &str, part: Arc<dyn Tree>) {
        self.parts.write().unwrap_or_else(PoisonError::into_inner).entry(at.to_owned()).or_insert(part);
    }

    /// The tree at a place or above it, and the path in it; nothing where that is the tree itself.
    fn inner<'p>(&self, path: &'p str) -> Option<(String, Arc<dyn Tree>, &'p str)> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let holds = |at: &str| path == at || is_below(path, at);
        // One may be in another: the innermost has it.
        let (at, part) = parts.iter().filter(|(at, _)| holds(at)).max_by_key(|(at, _)| at.len())?;
        Some((at.clone(), part.clone(), path[at.len()..].trim_start_matches('/')))
    }

    fn leads_to_one(&self, path: &str) -> bool {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).keys().any(|at| is_below(at, path))
    }
}

fn outer(at: &str, entry: TreeEntry) -> TreeEntry {
    TreeEntry { path: format!("{at}/{}", entry.path), ..entry }
}

fn inner_entry(path: &str, entry: &TreeEntry) -> TreeEntry {
    TreeEntry { path: path.to_owned(), mode: entry.mode, id: entry.id.clone() }
}

impl Tree for Beside<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        let found = match self.inner(path) {
            Some((at, part, inner)) => part.lookup(inner)?.map(|node| match node {
                Node::File(entry) => Node::File(outer(&at, entry)),
                Node::Folder => Node::Folder,
            }),
            None => self.tree.lookup(path)?,
        };
        Ok(found.or_else(|| self.leads_to_one(path).then_some(Node::Folder)))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        let Some((at, part, inner)) = self.inner(folder) else { return self.tree.entries(folder) };
        let TreeListing { entries, unnameable } = part.entries(inner)?;
        Ok(TreeListing { entries: entries.into_iter().map(|entry| outer(&at, entry)).collect(), unnameable })
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        match self.inner(&entry.path) {
            Some((_, part, inner)) => part.size(&inner_entry(inner, entry)),
            None => self.tree.size(entry),
        }
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        match self.inner(&entry.path) {
            Some((_, part, inner)) => part.blob(&inner_entry(inner, entry)),
            None => self.tree.blob(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::Files;

    #[test]
    fn what_is_put_into_a_tree_is_seen_by_its_name_alone() {
        let commit = Files::new(&[("apps/a.yaml", "1"), (".remote/hidden", "2")]);
        let beside = Beside::new(&commit);
        assert_eq!(beside.lookup(".remote/one").unwrap(), None);
        beside.put(".remote/one", Arc::new(Files::new(&[("base/kustomization.yaml", "3"), ("base/b.yaml", "4")])));
        beside.put(".remote/one/base/charts/web", Arc::new(Files::new(&[("Chart.yaml", "5")])));
        for (path, content) in [
            ("apps/a.yaml", "1"),
            (".remote/hidden", "2"),
            (".remote/one/base/b.yaml", "4"),
            (".remote/one/base/charts/web/Chart.yaml", "5"),
        ] {
            let Some(Node::File(entry)) = beside.lookup(path).unwrap() else { panic!("{path}") };
            assert_eq!((entry.path.as_str(), beside.blob(&entry).unwrap()), (path, content.as_bytes().to_vec()));
            assert_eq!(beside.size(&entry).unwrap(), 1);
        }
        for folder in [".remote/one", ".remote/one/base", ".remote/one/base/charts", ".remote/one/base/charts/web"] {
            assert_eq!(beside.lookup(folder).unwrap(), Some(Node::Folder), "{folder}");
        }
        let listed = |folder: &str| {
            let entries = beside.entries(folder).unwrap().entries;
            entries.into_iter().map(|entry| entry.path).collect::<Vec<_>>()
        };
        assert_eq!(listed(""), [".remote/hidden", "apps/a.yaml"]);
        assert_eq!(listed(".remote/one"), [".remote/one/base/b.yaml", ".remote/one/base/kustomization.yaml"]);
        assert_eq!(listed(".remote/one/base/charts/web"), [".remote/one/base/charts/web/Chart.yaml"]);
    }
}
