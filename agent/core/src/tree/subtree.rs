//! A folder of a tree as a tree of its own.

use super::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// A folder as a tree: paths are seen from it, and what lies outside of it does not exist.
pub struct Subtree<'a> {
    /// The tree that the folder is in.
    pub tree: &'a dyn Tree,
    /// Its path there, without links, `.` and `..`.
    pub folder: &'a str,
}

impl Subtree<'_> {
    /// A path of this tree as the whole tree has it.
    fn outer(&self, path: &str) -> String {
        match (self.folder, path) {
            ("", path) => path.to_owned(),
            (folder, "") => folder.to_owned(),
            (folder, path) => format!("{folder}/{path}"),
        }
    }

    /// A path of the whole tree as this one has it.
    fn inner(&self, path: String) -> String {
        let below = path.strip_prefix(self.folder).and_then(|rest| rest.strip_prefix('/'));
        below.filter(|_| !self.folder.is_empty()).map(str::to_owned).unwrap_or(path)
    }

    fn inner_entry(&self, entry: TreeEntry) -> TreeEntry {
        TreeEntry { path: self.inner(entry.path), ..entry }
    }

    fn outer_entry(&self, entry: &TreeEntry) -> TreeEntry {
        TreeEntry { path: self.outer(&entry.path), mode: entry.mode, id: entry.id.clone() }
    }
}

impl Tree for Subtree<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        Ok(self.tree.lookup(&self.outer(path))?.map(|node| match node {
            Node::File(entry) => Node::File(self.inner_entry(entry)),
            Node::Folder => Node::Folder,
        }))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        let TreeListing { entries, unnameable } = self.tree.entries(&self.outer(folder))?;
        Ok(TreeListing {
            entries: entries.into_iter().map(|entry| self.inner_entry(entry)).collect(),
            unnameable: unnameable.into_iter().map(|path| self.inner(path)).collect(),
        })
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.tree.size(&self.outer_entry(entry))
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        self.tree.blob(&self.outer_entry(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::links::{Followed, resolve};
    use crate::tree::memory::Files;

    #[test]
    fn a_folder_is_a_tree_and_what_is_around_it_is_not_there() {
        let mut files = Files::new(&[
            ("shop/app/a", "1"),
            ("shop/app/deep/b", "2"),
            ("shop/app/here@", "deep/b"),
            ("shop/app/out@", "../apple"),
            ("shop/apple", "3"),
        ]);
        files.unnameable = vec!["shop/app/caf\\xe9".to_owned(), "shop/caf\\xe9".to_owned()];
        let app = Subtree { tree: &files, folder: "shop/app" };
        let listing = app.entries("").unwrap();
        let paths: Vec<&str> = listing.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["a", "deep/b", "here", "out"]);
        assert_eq!(listing.unnameable, ["caf\\xe9"]);
        assert_eq!(app.entries("deep").unwrap().entries, listing.entries[1..2]);
        assert_eq!(
            (app.size(&listing.entries[0]).unwrap(), app.blob(&listing.entries[1]).unwrap()),
            (1, b"2".to_vec())
        );
        assert_eq!(app.lookup("deep").unwrap(), Some(Node::Folder));
        assert_eq!(resolve(&app, "here").unwrap(), Followed::File(listing.entries[1].clone()));
        assert_eq!(resolve(&app, "out").unwrap(), Followed::Nowhere("../apple".to_owned()));
        let whole = Subtree { tree: &files, folder: "" };
        assert_eq!(whole.entries("shop/app").unwrap(), files.entries("shop/app").unwrap());
    }
}
