//! A tree whose encrypted files read as if they were not encrypted: a renderer, and a program that it starts, sees clear text
//! alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Clear, Keys, SopsError, decrypt};
use crate::sync::confidential::Confidential;
use crate::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// The tree, while one render reads it.
pub struct Decrypting<'a> {
    tree: &'a dyn Tree,
    keys: &'a dyn Keys,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The first file that could not be decrypted, and why.
    failure: Option<(String, SopsError)>,
    secrets: Confidential,
}

/// What reads the tree is told no more: why a file stays encrypted is asked of the tree itself.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be decrypted")]
struct StaysEncrypted;

impl<'a> Decrypting<'a> {
    /// The files of a tree, decrypted with these keys. What `before` hides stays hidden: it may be live still.
    pub fn new(tree: &'a dyn Tree, keys: &'a dyn Keys, before: Option<&Confidential>) -> Self {
        let secrets = before.map(Confidential::again).unwrap_or_default();
        Self { tree, keys, seen: Mutex::new(Seen { failure: None, secrets }) }
    }

    /// The text without what was decrypted so far.
    pub fn scrub(&self, text: &str) -> String {
        self.seen().secrets.scrub(text)
    }

    /// The first file that could not be decrypted, else all that was.
    ///
    /// # Errors
    /// The path of the file, and why.
    pub fn finish(self) -> Result<Confidential, (String, SopsError)> {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        seen.failure.map_or(Ok(seen.secrets), Err)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree for Decrypting<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        self.tree.lookup(path)
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        self.tree.entries(folder)
    }

    /// As it is in the tree: what is decrypted is shorter.
    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.tree.size(entry)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        let content = self.tree.blob(entry)?;
        if entry.mode == EntryMode::Symlink {
            return Ok(content);
        }
        match decrypt(&entry.path, &content, self.keys) {
            Ok(None) => Ok(content),
            Ok(Some(Clear { content, secrets })) => {
                let mut seen = self.seen();
                secrets.iter().for_each(|secret| seen.secrets.keep(secret));
                Ok(content)
            }
            Err(error) => {
                self.seen().failure.get_or_insert((entry.path.clone(), error));
                Err(StaysEncrypted.into())
            }
        }
    }
}
