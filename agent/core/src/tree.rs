//! The files of one commit, for all that read them: renderers, promotions and build contexts. They know nothing of git;
//! whoever holds a commit shows it to them as a [`Tree`].
//!
//! - [`links`]: where a path leads when the symbolic links on the way are followed.
//! - [`subtree`]: a folder as a tree of its own.
//! - [`layered`]: a tree with another one below one of its folders.
//! - [`sourced`]: a tree with several others beside it.
//! - [`memory`]: a tree in memory: the files of an archive, and those of tests.

pub mod beside;
pub mod layered;
pub mod links;
pub(crate) mod paths;
pub mod sourced;
pub mod subtree;

pub mod memory;

use std::error::Error;

use crate::git::ObjectId;

/// Why a tree could not be read, in the words of whoever holds it.
pub type TreeFailure = Box<dyn Error + Send + Sync>;

/// The files of one commit. Paths are relative to its root, with `/`, and `""` is the root. All calls may block.
pub trait Tree: Send + Sync {
    /// What is at a path, or nothing.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure>;

    /// Every file below a folder, at any depth.
    ///
    /// # Errors
    /// Where there is no such folder, or the repository cannot be read.
    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure>;

    /// The length of a file in bytes, by an entry of this tree; costs a look at its header.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure>;

    /// The content of a file or of a symbolic link, by an entry of this tree.
    ///
    /// # Errors
    /// Where the repository cannot be read, or the file is larger than it hands out.
    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure>;
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// Anything else.
    File(TreeEntry),
}

/// The files below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeListing {
    /// Each file once, in the order of their paths' bytes. Names that differ only in case are two, as they are in git:
    /// nothing is written to a file system that could take one for the other.
    pub entries: Vec<TreeEntry>,
    /// Paths of those that are left out, since their names are no UTF-8, with what could not be read escaped.
    pub unnameable: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the tree, with `/`.
    pub path: String,
    /// What kind of file it is.
    pub mode: EntryMode,
    /// The blob, or the commit of a submodule.
    pub id: ObjectId,
}

/// What a file is; folders are no files, and listings descend into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryMode {
    /// A plain file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the path that it points to.
    Symlink,
    /// A submodule: its files are in another repository, whose commit its id is.
    Submodule,
}

/// Whether a file is a pointer to Git LFS instead of what it is named for: by its specification the first line of each is
/// the same, and each is shorter than 1024 bytes.
pub fn is_lfs_pointer(content: &[u8]) -> bool {
    content.len() < 1024 && content.starts_with(b"version https://git-lfs.github.com/spec/")
}
