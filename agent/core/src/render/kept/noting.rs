//! A tree that notes what of it was looked at. A render that fails says nothing of what it depended on; what it saw is what it
//! depended on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::depends::Seen;
use crate::tree::paths::is_below;
use crate::tree::{Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// Paths that are noted: four for each file that a kustomization may have. A render that looks at more is not kept.
const NOTED_MAX: usize = 80_000;

/// The tree, while one render reads it.
pub struct Noting<'a> {
    tree: &'a dyn Tree,
    noted: Mutex<BTreeMap<String, Noted>>,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// What is at a path.
    Seen(Seen),
    /// All below a folder.
    Listed,
}

impl<'a> Noting<'a> {
    /// Nothing was looked at yet.
    pub fn new(tree: &'a dyn Tree) -> Self {
        Self { tree, noted: Mutex::default() }
    }

    /// All that was looked at; nothing where it was too much.
    pub fn finish(self) -> Option<BTreeMap<String, Noted>> {
        let noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        (noted.len() <= NOTED_MAX).then_some(noted)
    }

    fn note(&self, path: &str, what: Noted) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        // A listing says more than that there is a folder.
        if noted.len() <= NOTED_MAX && (what == Noted::Listed || !noted.contains_key(path)) {
            noted.insert(path.to_owned(), what);
        }
    }
}

/// What tells a file from another: the mode counts, since the same bytes may be a file or a link.
pub fn content(entry: &TreeEntry) -> Seen {
    Seen::Content(format!("{:?} {}", entry.mode, entry.id))
}

impl Tree for Noting<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        let found = self.tree.lookup(path)?;
        let seen = match &found {
            None => Seen::Absent,
            Some(Node::Folder) => Seen::Folder,
            Some(Node::File(entry)) => content(entry),
        };
        self.note(path, Noted::Seen(seen));
        Ok(found)
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        self.note(folder, Noted::Listed);
        self.tree.entries(folder)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.tree.size(entry)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        self.tree.blob(entry)
    }
}

/// What of it a render depended on, with what is there now by `seen`: the inputs that it names, and what was missed elsewhere, or
/// all of it where it failed and names none. Nothing where something cannot be read.
pub fn files(
    noted: &BTreeMap<String, Noted>,
    inputs: Option<&[String]>,
    seen: impl Fn(&str) -> Option<Seen>,
) -> Option<Vec<(String, Seen)>> {
    let now = |path: &String| Some((path.clone(), seen(path)?));
    let Some(inputs) = inputs else {
        let one = |(path, noted): (&String, &Noted)| match noted {
            Noted::Seen(seen) => Some((path.clone(), seen.clone())),
            Noted::Listed => now(path),
        };
        return noted.iter().map(one).collect();
    };
    // What comes below one of the inputs changes that.
    let is_elsewhere = |path: &&String| !inputs.iter().any(|input| input == *path || is_below(path, input));
    let missed = noted.iter().filter(|(_, noted)| **noted == Noted::Seen(Seen::Absent)).map(|(path, _)| path);
    let missed = missed.filter(is_elsewhere).map(|path| Some((path.clone(), Seen::Absent)));
    inputs.iter().map(now).chain(missed).collect()
}
