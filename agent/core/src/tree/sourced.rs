//! A tree with other trees beside it, each below a folder of its own: the files of an environment with those of its sources.

use std::borrow::Cow;

use super::paths::is_below;
use super::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// A tree, and others that are seen below folders at its root. A listing of the root does not show them: what is deployed from
/// there is what the environment's own files say, and a source only where it is named.
pub struct Sourced<'a> {
    /// What is everywhere else.
    pub tree: &'a dyn Tree,
    /// The others.
    pub sources: Vec<Source<'a>>,
}

/// Another tree, and where it is seen.
pub struct Source<'a> {
    /// The folder at the root: `$values`. What the tree has there is not seen, by no listing either.
    pub folder: &'a str,
    /// What is below it.
    pub tree: &'a dyn Tree,
}

impl Source<'_> {
    fn outer(&self, entry: TreeEntry) -> TreeEntry {
        TreeEntry { path: format!("{}/{}", self.folder, entry.path), ..entry }
    }
}

/// A path as seen from a folder of it, where it is that folder or below it.
pub fn inner<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    match path == folder {
        true => Some(""),
        false => is_below(path, folder).then(|| &path[folder.len() + 1..]),
    }
}

impl<'a> Sourced<'a> {
    /// The source that a path is of, and the path as that has it.
    fn of<'p>(&self, path: &'p str) -> Option<(&Source<'a>, &'p str)> {
        self.sources.iter().find_map(|source| Some((source, inner(path, source.folder)?)))
    }

    /// The tree that an entry is of, and the entry as that has it.
    fn entry<'e>(&self, entry: &'e TreeEntry) -> (&'a dyn Tree, Cow<'e, TreeEntry>) {
        match self.of(&entry.path) {
            Some((source, path)) => (source.tree, Cow::Owned(TreeEntry { path: path.to_owned(), ..entry.clone() })),
            None => (self.tree, Cow::Borrowed(entry)),
        }
    }
}

impl Tree for Sourced<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        let Some((source, path)) = self.of(path) else { return self.tree.lookup(path) };
        Ok(source.tree.lookup(path)?.map(|node| match node {
            Node::File(entry) => Node::File(source.outer(entry)),
            Node::Folder => Node::Folder,
        }))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        let Some((source, folder)) = self.of(folder) else {
            let TreeListing { mut entries, mut unnameable } = self.tree.entries(folder)?;
            if folder.is_empty() {
                entries.retain(|entry| self.of(&entry.path).is_none());
                unnameable.retain(|path| self.of(path).is_none());
            }
            return Ok(TreeListing { entries, unnameable });
        };
        let TreeListing { entries, unnameable } = source.tree.entries(folder)?;
        Ok(TreeListing {
            entries: entries.into_iter().map(|entry| source.outer(entry)).collect(),
            unnameable: unnameable.into_iter().map(|path| format!("{}/{path}", source.folder)).collect(),
        })
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        let (tree, entry) = self.entry(entry);
        tree.size(&entry)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        let (tree, entry) = self.entry(entry);
        tree.blob(&entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::links::{Followed, resolve};
    use crate::tree::memory::Files;
    use crate::tree::subtree::Subtree;

    #[test]
    fn each_source_is_below_its_folder_and_the_tree_is_around_them() {
        let own =
            Files::new(&[("envs/prod.yaml", "1"), ("$values/hidden", "2"), ("$valuesx", "3"), ("a@", "$values/p")]);
        let mut values = Files::new(&[("p", "4"), ("deep/q", "5")]);
        values.unnameable = vec!["caf\\xe9".to_owned()];
        let charts = Files::new(&[("charts/podinfo/Chart.yaml", "6"), ("other", "7")]);
        let charts = Subtree { tree: &charts, folder: "charts" };
        let sources = vec![Source { folder: "$values", tree: &values }, Source { folder: "$charts", tree: &charts }];
        let all = Sourced { tree: &own, sources };
        let read = |path: &str| match all.lookup(path).unwrap() {
            Some(Node::File(entry)) => {
                assert_eq!((entry.path.as_str(), all.size(&entry).unwrap()), (path, 1));
                String::from_utf8(all.blob(&entry).unwrap()).unwrap()
            }
            Some(Node::Folder) => "folder".to_owned(),
            None => "nothing".to_owned(),
        };
        for (path, found) in [
            ("envs/prod.yaml", "1"),
            ("$values/hidden", "nothing"),
            ("$valuesx", "3"),
            ("$values/p", "4"),
            ("$values", "folder"),
            ("$values/deep", "folder"),
            ("$charts/podinfo/Chart.yaml", "6"),
            ("$charts/other", "nothing"),
        ] {
            assert_eq!(read(path), found, "{path}");
        }
        let paths = |folder: &str| -> Vec<String> {
            all.entries(folder).unwrap().entries.into_iter().map(|entry| entry.path).collect()
        };
        assert_eq!(paths("$values"), ["$values/deep/q", "$values/p"]);
        assert_eq!(paths("$charts/podinfo"), ["$charts/podinfo/Chart.yaml"]);
        assert_eq!(all.entries("$values").unwrap().unnameable, ["$values/caf\\xe9"]);
        assert_eq!(paths(""), ["$valuesx", "a", "envs/prod.yaml"], "the root shows its own files");
        assert!(matches!(resolve(&all, "a").unwrap(), Followed::File(entry) if entry.path == "$values/p"));
    }
}
