//! A tree whose encrypted files read as if they were not encrypted: a renderer, and a program that it starts, sees clear text
//! alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Clear, Keys, SopsError, decrypt};
use crate::sync::confidential::Confidential;
use crate::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure, TreeListing};

/// The tree, while one render reads it.
pub struct Decrypting<'a> {
    tree: &'a dyn Tree,
    keys: &'a dyn Keys,
    secrets: Mutex<Confidential>,
    has_decrypted: AtomicBool,
}

/// What a file says that cannot be decrypted, to whoever reads it in the tree.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot decrypt {path}")]
pub struct StaysEncrypted {
    /// The file.
    pub path: String,
    /// Why.
    #[source]
    pub why: Arc<SopsError>,
}

impl<'a> Decrypting<'a> {
    /// The files of a tree, decrypted with these keys. What `before` hides stays hidden: it may be live still.
    pub fn new(tree: &'a dyn Tree, keys: &'a dyn Keys, before: Option<&Confidential>) -> Self {
        let secrets = Mutex::new(before.map(Confidential::again).unwrap_or_default());
        Self { tree, keys, secrets, has_decrypted: AtomicBool::new(false) }
    }

    /// The text without what was decrypted so far.
    pub fn scrub(&self, text: &str) -> String {
        self.secrets().scrub(text)
    }

    /// Whether some file was read that is encrypted in the tree.
    pub fn has_decrypted(&self) -> bool {
        self.has_decrypted.load(Ordering::Relaxed)
    }

    /// All that was decrypted.
    pub fn finish(self) -> Confidential {
        self.secrets.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn secrets(&self) -> MutexGuard<'_, Confidential> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
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
            Ok(Some(Clear { content, secrets, exposed })) => {
                self.has_decrypted.store(true, Ordering::Relaxed);
                let mut kept = self.secrets();
                secrets.iter().for_each(|secret| kept.keep_in_messages(secret));
                exposed.iter().for_each(|secret| kept.keep(secret));
                Ok(content)
            }
            Err(why) => Err(StaysEncrypted { path: entry.path.clone(), why: Arc::new(why) }.into()),
        }
    }
}
