//! A build context straight from the tree of a commit: no checkout, a blob at a time, the same bytes for the same commit.
//!
//! ```text
//! Tree --entries--> Context::plan (.dockerignore, checks; small) --blobs one by one--> Context::write --> tar
//! ```
//!
//! Owners are zero and the order is that of the paths. The time of every file is the one that the caller gives, which should be the
//! commit's, as `git archive` does it: a constant would make web servers answer "not modified" for a changed file of the same
//! size, and zero is before what zip can hold. Docker's and BuildKit's caches look at contents, not at times.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use quarterdeck_core::dockerignore::{Dockerignore, DockerignoreError};
use quarterdeck_core::tree::links::{Followed, resolve, resolve_noting};
use quarterdeck_core::tree::subtree::Subtree;
use quarterdeck_core::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure, TreeListing, is_lfs_pointer};
use quarterdeck_shared::error::Hint;

/// What goes to the engine, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The folder in the commit, links followed.
    folder: String,
    /// Seen from the folder, sorted by path; folders are made from them.
    entries: Vec<TreeEntry>,
    /// What a person should know of this context: what is left out of it.
    pub warnings: Vec<String>,
}

/// What went to the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Files and links.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

/// Why there is no context to build from.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The tree could not be read.
    #[error("reading {what} for the build context")]
    Read {
        /// A path, or the whole tree.
        what: String,
        /// What the tree says.
        #[source]
        source: TreeFailure,
    },
    /// The Dockerfile is not in the commit.
    #[error("the commit has no {dockerfile} in the build context{}", there_is(.like))]
    NoDockerfile {
        /// Its path as configured.
        dockerfile: String,
        /// A path that might be meant.
        like: Option<String>,
    },
    /// The configured path of the Dockerfile leads out of the context.
    #[error("the Dockerfile path {dockerfile:?} leaves the build context")]
    DockerfileOutside {
        /// Its path as configured.
        dockerfile: String,
    },
    /// A name in the tree would land outside of the context.
    #[error("the commit holds the path {path:?}, which leaves the build context")]
    Escapes {
        /// The path as the commit has it.
        path: String,
    },
    /// A file that decides over the build is a link out of the context, or to nothing.
    #[error("{file} is a link to {target:?}, which is not a file of the build context")]
    Link {
        /// The link.
        file: String,
        /// Where it leads, as written.
        target: String,
    },
    /// A file that decides over the build is kept in Git LFS.
    #[error("{file} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        file: String,
    },
    /// The ignore file has a line that is no pattern.
    #[error("{file} cannot be used")]
    Dockerignore {
        /// Its path.
        file: String,
        /// Which line.
        #[source]
        source: DockerignoreError,
    },
    /// A file cannot be put into the archive, or the engine stopped listening.
    #[error("sending {path} to the engine")]
    Write {
        /// The file.
        path: String,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
}

impl Hint for ContextError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoDockerfile { .. } => "set `dockerfile` or `context` in [[application.image]]",
            Self::DockerfileOutside { .. } => "write it as seen from the context's folder, without `..`",
            Self::Link { .. } => "put the file there instead of the link",
            Self::LargeFileStorage { .. } => "keep it in git itself",
            Self::Read { .. } | Self::Escapes { .. } | Self::Dockerignore { .. } | Self::Write { .. } => "",
        }
        .into()
    }
}

impl Context {
    /// Decides what is sent of `folder`: all that `<Dockerfile>.dockerignore`, or else `.dockerignore`, lets through. The
    /// Dockerfile and `.dockerignore` are sent even if they are excluded, for the engine needs them. Where one of these is a
    /// link, it is followed within the context; a link to the folder itself is followed within the commit.
    ///
    /// # Errors
    /// Where the folder or the Dockerfile is not in the commit, where a path leaves the context, where a file that decides
    /// over the build cannot be used, and where the tree cannot be read.
    pub fn plan(tree: &dyn Tree, folder: &str, dockerfile: &str) -> Result<Self, ContextError> {
        let dockerfile =
            normal(dockerfile).ok_or_else(|| ContextError::DockerfileOutside { dockerfile: dockerfile.to_owned() })?;
        let reading = |source| ContextError::Read { what: "the tree".to_owned(), source };
        let folder = match resolve(tree, folder).map_err(reading)? {
            Followed::Folder(folder) => folder,
            // To list it says what is missing.
            Followed::File(_) | Followed::Nowhere(_) => folder.to_owned(),
        };
        let tree = &Subtree { tree, folder: &folder };
        let TreeListing { mut entries, mut unnameable } = tree.entries("").map_err(reading)?;
        let mut paths = entries.iter().map(|entry| &entry.path).chain(&unnameable);
        if let Some(path) = paths.find(|path| !is_below(path)) {
            return Err(ContextError::Escapes { path: path.clone() });
        }
        let mut links = Vec::new();
        let Some(file) = file_at(tree, &dockerfile, &mut links)? else {
            let same_name = |entry: &&TreeEntry| {
                entry.path.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("dockerfile"))
            };
            let like = entries.iter().find(same_name).map(|entry| entry.path.clone());
            return Err(ContextError::NoDockerfile { dockerfile, like });
        };
        read(tree, &file)?;
        let ignore = ignore_file(tree, &dockerfile)?;
        // The engine follows links on the way to the Dockerfile, so that all of them are sent.
        let needed: BTreeSet<String> =
            [dockerfile, ".dockerignore".to_owned(), file.path].into_iter().chain(links).collect();
        entries.retain(|entry| needed.contains(&entry.path) || !ignore.excludes(&entry.path));
        unnameable.retain(|path| !ignore.excludes(path));
        let (submodules, entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.mode == EntryMode::Submodule);
        let warnings = warnings(submodules, unnameable);
        Ok(Self { folder, entries, warnings })
    }

    /// Writes the context as a tar archive, with `modified` (seconds since the epoch) as the time of every file. One blob is in
    /// memory at a time. `tell` gets a sentence for each file that is only a pointer to Git LFS. `tree` is the one that it was
    /// planned from.
    ///
    /// # Errors
    /// Where a file cannot be read, or `out` takes no more.
    pub fn write(
        &self,
        tree: &dyn Tree,
        modified: u64,
        out: impl Write,
        mut tell: impl FnMut(String),
    ) -> Result<Sent, ContextError> {
        let tree = Subtree { tree, folder: &self.folder };
        let mut archive = tar::Builder::new(out);
        let mut sent = Sent::default();
        let mut folder = String::new();
        for entry in &self.entries {
            let failed = |source| ContextError::Write { path: entry.path.clone(), source };
            for new in new_folders(&folder, &entry.path) {
                let mut header = header(tar::EntryType::Directory, 0o755, 0, modified);
                archive.append_data(&mut header, format!("{new}/"), std::io::empty()).map_err(failed)?;
            }
            folder = entry.path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();

            let read = |source| ContextError::Read { what: entry.path.clone(), source };
            let content = tree.blob(entry).map_err(read)?;
            if entry.mode == EntryMode::Symlink {
                let mut header = header(tar::EntryType::Symlink, 0o777, 0, modified);
                archive.append_link(&mut header, &entry.path, OsStr::from_bytes(&content)).map_err(failed)?;
            } else {
                if is_lfs_pointer(&content) {
                    tell(format!(
                        "{} is a Git LFS pointer: the image gets the pointer, not the file behind it",
                        entry.path
                    ));
                }
                let mode = if entry.mode == EntryMode::Executable { 0o755 } else { 0o644 };
                let mut header = header(tar::EntryType::Regular, mode, content.len() as u64, modified);
                archive.append_data(&mut header, &entry.path, content.as_slice()).map_err(failed)?;
                sent.bytes += content.len() as u64;
            }
            sent.files += 1;
        }
        let ended = |source| ContextError::Write { path: "the end of the archive".to_owned(), source };
        archive.into_inner().and_then(|mut out| out.flush()).map_err(ended)?;
        Ok(sent)
    }
}

/// A sentence for each file that is not sent, in the order of their paths.
fn warnings(submodules: Vec<TreeEntry>, unnameable: Vec<String>) -> Vec<String> {
    let submodule = |TreeEntry { path, .. }| {
        format!("{path} is a git submodule: its files are in another repository and not in the context")
    };
    let unnameable = unnameable
        .into_iter()
        .map(|path| format!("{path} is left out of the context: its name is not UTF-8; rename it"));
    let mut warnings: Vec<String> = submodules.into_iter().map(submodule).chain(unnameable).collect();
    warnings.sort();
    warnings
}

fn ignore_file(tree: &dyn Tree, dockerfile: &str) -> Result<Dockerignore, ContextError> {
    for file in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
        if let Some(entry) = file_at(tree, &file, &mut Vec::new())? {
            let content = read(tree, &entry)?;
            return Dockerignore::parse(&String::from_utf8_lossy(&content))
                .map_err(|source| ContextError::Dockerignore { file, source });
        }
    }
    Ok(Dockerignore::default())
}

/// A file that decides over the build.
fn read(tree: &dyn Tree, entry: &TreeEntry) -> Result<Vec<u8>, ContextError> {
    let file = entry.path.clone();
    let content = tree.blob(entry).map_err(|source| ContextError::Read { what: file.clone(), source })?;
    if is_lfs_pointer(&content) { Err(ContextError::LargeFileStorage { file }) } else { Ok(content) }
}

/// The file at a path of the context, links followed within it, and those links.
fn file_at(tree: &dyn Tree, path: &str, links: &mut Vec<String>) -> Result<Option<TreeEntry>, ContextError> {
    let followed = resolve_noting(tree, path, links);
    let reading = |source| ContextError::Read { what: links.last().map_or(path, String::as_str).to_owned(), source };
    let target = match (followed.map_err(reading)?, links.first()) {
        (Followed::File(entry), _) => return Ok(Some(entry)),
        (_, None) => return Ok(None),
        (Followed::Nowhere(target), Some(_)) => target,
        (Followed::Folder(_), Some(link)) => written(tree, link).map_err(reading)?,
    };
    Err(ContextError::Link { file: path.to_owned(), target })
}

/// Where a link leads, as it is written.
fn written(tree: &dyn Tree, link: &str) -> Result<String, TreeFailure> {
    let Some(Node::File(entry)) = tree.lookup(link)? else { return Ok(String::new()) };
    Ok(String::from_utf8_lossy(&tree.blob(&entry)?).into_owned())
}

fn header(kind: tar::EntryType, mode: u32, size: u64, modified: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// The folders above `path` that the file before it, in `folder`, was not in.
fn new_folders<'a>(folder: &str, path: &'a str) -> Vec<&'a str> {
    let shared = |candidate: &str| {
        folder == candidate || folder.strip_prefix(candidate).is_some_and(|rest| rest.starts_with('/'))
    };
    path.match_indices('/').map(|(at, _)| &path[..at]).filter(|candidate| !shared(candidate)).collect()
}

/// `./a//b` as `a/b`; none if it is empty, absolute or climbs.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let valid = !path.starts_with('/') && !parts.is_empty() && !parts.contains(&"..");
    valid.then(|| parts.join("/"))
}

fn is_below(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn there_is(like: &Option<String>) -> String {
    like.as_ref().map(|path| format!(" (there is {path})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
