//! A tree with another one below one of its folders: the files of a chart of a registry beside those of a commit.

use super::memory::Files;
use super::paths::is_below;
use super::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// A tree, and below one folder other files than its own.
pub struct Layered<'a> {
    /// What is everywhere else.
    pub tree: &'a dyn Tree,
    /// The folder; what the tree has there is not seen.
    pub folder: &'a str,
    /// Its files, by their paths below it.
    pub files: &'a Files,
}

impl Layered<'_> {
    /// The path below the folder, where it is the folder or below it.
    fn inner<'p>(&self, path: &'p str) -> Option<&'p str> {
        if path == self.folder {
            return Some("");
        }
        is_below(path, self.folder).then(|| &path[self.folder.len() + 1..])
    }

    fn outer(&self, entry: TreeEntry) -> TreeEntry {
        TreeEntry { path: format!("{}/{}", self.folder, entry.path), ..entry }
    }

    /// The entry as the files have it, where it is one of theirs.
    fn inner_entry(&self, entry: &TreeEntry) -> Option<TreeEntry> {
        let path = self.inner(&entry.path)?.to_owned();
        Some(TreeEntry { path, mode: entry.mode, id: entry.id.clone() })
    }
}

impl Tree for Layered<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        let Some(inner) = self.inner(path) else { return self.tree.lookup(path) };
        Ok(self.files.lookup(inner)?.map(|node| match node {
            Node::File(entry) => Node::File(self.outer(entry)),
            Node::Folder => Node::Folder,
        }))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        let Some(inner) = self.inner(folder) else { return self.tree.entries(folder) };
        let TreeListing { entries, unnameable } = self.files.entries(inner)?;
        Ok(TreeListing { entries: entries.into_iter().map(|entry| self.outer(entry)).collect(), unnameable })
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.inner_entry(entry).map_or_else(|| self.tree.size(entry), |inner| self.files.size(&inner))
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        self.inner_entry(entry).map_or_else(|| self.tree.blob(entry), |inner| self.files.blob(&inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_below_the_folder_and_the_tree_is_around_it() {
        let commit = Files::new(&[("envs/prod.yaml", "1"), ("chart@1/hidden", "2"), ("chart@1.yaml", "3")]);
        let files = Files::new(&[("Chart.yaml", "4"), ("templates/a.yaml", "5")]);
        let both = Layered { tree: &commit, folder: "chart@1", files: &files };
        let listing = both.entries("chart@1").unwrap().entries;
        let paths: Vec<&str> = listing.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["chart@1/Chart.yaml", "chart@1/templates/a.yaml"]);
        assert_eq!((both.blob(&listing[1]).unwrap(), both.size(&listing[0]).unwrap()), (b"5".to_vec(), 1));
        assert_eq!(both.entries("chart@1/templates").unwrap().entries, listing[1..]);
        assert_eq!(both.lookup("chart@1/templates").unwrap(), Some(Node::Folder));
        assert_eq!(both.lookup("chart@1/hidden").unwrap(), None);
        assert_eq!(both.lookup("").unwrap(), Some(Node::Folder));
        for (path, content) in [("envs/prod.yaml", "1"), ("chart@1.yaml", "3")] {
            let Some(Node::File(entry)) = both.lookup(path).unwrap() else { panic!("{path}") };
            assert_eq!(both.blob(&entry).unwrap(), content.as_bytes());
        }
    }
}
