//! The files of a commit as renderers and promotions see them.

use quarterdeck_core::render::tree::{EntryMode, Listing, Node, Tree, TreeEntry, TreeFailure};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{CommitId, ObjectId};

/// The largest file that a renderer is handed: a manifest of more is no manifest (etcd takes 1.5 MiB an object).
const FILE_MAX: u64 = 16 << 20;

/// A commit of a mirror.
pub struct CommitTree<'a> {
    /// The mirror that holds it.
    pub mirror: &'a Mirror,
    /// Which.
    pub commit: &'a CommitId,
}

impl Tree for CommitTree<'_> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        if self.mirror.tree_of(self.commit, path)?.is_some() {
            return Ok(Some(Node::Folder));
        }
        // The mirror tells the whole path of a single entry.
        Ok(self.mirror.entry(self.commit, path)?.map(|entry| Node::File(shown("", entry))))
    }

    fn entries(&self, folder: &str) -> Result<Listing, TreeFailure> {
        if self.mirror.tree_of(self.commit, folder)?.is_none() {
            return Ok(Listing::default());
        }
        let listing = self.mirror.entries(self.commit, folder)?;
        Ok(Listing {
            unreadable: listing.unnameable,
            entries: listing.entries.into_iter().map(|entry| shown(folder, entry)).collect(),
        })
    }

    fn size(&self, id: &str) -> Result<u64, TreeFailure> {
        let id: ObjectId = id.parse()?;
        Ok(self.mirror.size(&id)?)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, TreeFailure> {
        let id: ObjectId = id.parse()?;
        Ok(self.mirror.blob(&id, FILE_MAX)?)
    }
}

fn shown(folder: &str, entry: quarterdeck_git::TreeEntry) -> TreeEntry {
    TreeEntry {
        path: if folder.is_empty() { entry.path } else { format!("{folder}/{}", entry.path) },
        mode: match entry.mode {
            quarterdeck_git::EntryMode::File | quarterdeck_git::EntryMode::Executable => EntryMode::File,
            quarterdeck_git::EntryMode::Symlink => EntryMode::Symlink,
            quarterdeck_git::EntryMode::Submodule => EntryMode::Submodule,
        },
        id: entry.id.to_string(),
    }
}
