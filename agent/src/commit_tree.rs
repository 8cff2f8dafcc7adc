//! The files of a commit of a mirror, as renderers, promotions and build contexts see them.

use std::ops::Deref;

use quarterdeck_core::tree::{Node, Tree, TreeEntry, TreeFailure, TreeListing};
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;

/// The largest file that a renderer is handed: a manifest of more is no manifest (etcd takes 1.5 MiB an object).
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// A commit of a mirror, which is borrowed or shared.
pub struct CommitTree<M> {
    /// The mirror that holds it.
    pub mirror: M,
    /// Which.
    pub commit: CommitId,
    /// The largest file that is handed out; a larger one is an error.
    pub bytes_max: u64,
}

impl<M: Deref<Target = Mirror> + Send + Sync> Tree for CommitTree<M> {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        if self.mirror.tree_of(&self.commit, path)?.is_some() {
            return Ok(Some(Node::Folder));
        }
        Ok(self.mirror.entry(&self.commit, path)?.map(Node::File))
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        Ok(self.mirror.entries(&self.commit, folder)?)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        Ok(self.mirror.size(&entry.id)?)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        Ok(self.mirror.blob(&entry.id, self.bytes_max)?)
    }
}
