//! The files of another source of an environment, as they are seen beside its own: below the folder `$name`.

use std::borrow::Cow;
use std::sync::Arc;

use quarterdeck_core::tree::sourced::{self, Source, Sourced};
use quarterdeck_core::tree::subtree::Subtree;
use quarterdeck_core::tree::{Node, Tree, TreeEntry, TreeFailure, TreeListing};
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;

use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};

/// A source at one commit: a tree whose root is the folder that is taken of it.
pub struct SourceTree {
    /// Where it is seen: `$values`.
    pub folder: String,
    commit: CommitTree<Arc<Mirror>>,
    path: String,
}

impl SourceTree {
    /// What is at `path` of a commit, seen at `folder`.
    pub fn new(folder: String, mirror: Arc<Mirror>, commit: CommitId, path: &str) -> Self {
        let commit = CommitTree { mirror, commit, bytes_max: MANIFEST_BYTES_MAX };
        Self { folder, commit, path: path.to_owned() }
    }

    fn taken(&self) -> Subtree<'_> {
        Subtree { tree: &self.commit, folder: &self.path }
    }
}

impl Tree for SourceTree {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        self.taken().lookup(path)
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        self.taken().entries(folder)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.taken().size(entry)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        self.taken().blob(entry)
    }
}

/// A tree with these sources beside it.
pub fn beside<'a>(tree: &'a dyn Tree, sources: &'a [SourceTree]) -> Sourced<'a> {
    let sources = sources.iter().map(|source| Source { folder: &source.folder, tree: source });
    Sourced { tree, sources: sources.collect() }
}

/// The mirror, the commit and the path there that a path of such a tree is of.
pub fn located<'a>(
    own: (&'a Mirror, &'a CommitId),
    sources: &'a [SourceTree],
    path: &'a str,
) -> (&'a Mirror, &'a CommitId, Cow<'a, str>) {
    let of = |source: &'a SourceTree| {
        let inner = sourced::inner(path, &source.folder)?;
        let path = match (source.path.as_str(), inner) {
            ("", inner) => Cow::Borrowed(inner),
            (folder, "") => Cow::Borrowed(folder),
            (folder, inner) => Cow::Owned(format!("{folder}/{inner}")),
        };
        Some((&*source.commit.mirror, &source.commit.commit, path))
    };
    sources.iter().find_map(of).unwrap_or((own.0, own.1, Cow::Borrowed(path)))
}

/// The paths of these that are of a source, as that has them, or of the environment's own repository where it is none.
pub fn paths_of(folder: Option<(&str, &str)>, sources: &[&str], paths: &[String]) -> Vec<String> {
    let below = |path: &String, of: &str| sourced::inner(path, of).map(str::to_owned);
    match folder {
        Some((folder, taken)) => paths
            .iter()
            .filter_map(|path| below(path, folder))
            .map(|path| [taken, &path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
            .collect(),
        None => paths.iter().filter(|path| sources.iter().all(|of| below(path, of).is_none())).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_their_sources() {
        let paths = ["envs/prod", "$values/prod.yaml", "$charts", "$valuesx"].map(str::to_owned);
        let sources = ["$values", "$charts"];
        assert_eq!(paths_of(None, &sources, &paths), ["envs/prod", "$valuesx"]);
        assert_eq!(paths_of(Some(("$values", "")), &sources, &paths), ["prod.yaml"]);
        assert_eq!(paths_of(Some(("$values", "teams/a")), &sources, &paths), ["teams/a/prod.yaml"]);
        assert_eq!(paths_of(Some(("$charts", "")), &sources, &paths), [""]);
        assert_eq!(paths_of(Some(("$charts", "c")), &sources, &paths), ["c"]);
    }
}
