//! A build context straight from the tree of a commit: no checkout, a blob at a time, the same bytes for the same commit.
//!
//! ```text
//! TreeReader --entries--> Context::plan (.dockerignore, checks; small) --blobs one by one--> Context::write --> tar
//! ```
//!
//! Owners are zero and the order is that of the paths. The time of every file is the one that the caller gives, which should be the
//! commit's, as `git archive` does it: a constant would make web servers answer "not modified" for a changed file of the same
//! size, and zero is before what zip can hold. Docker's and BuildKit's caches look at contents, not at times.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use quarterdeck_core::dockerignore::{Dockerignore, DockerignoreError};
use quarterdeck_core::render::tree::is_lfs_pointer;
use quarterdeck_shared::error::Hint;

/// The files that a context can be made of. Implemented by whoever can read a commit; all calls may block.
pub trait TreeReader: Send + Sync {
    /// Every file below the folder of the context, with paths seen from it.
    fn entries(&self) -> Result<Vec<ContextEntry>, ReadError>;
    /// The content of a file, or the target of a symbolic link.
    fn blob(&self, id: &str) -> Result<Vec<u8>, ReadError>;
}

/// Why a tree could not be read, in the reader's words.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// Seen from the context's folder, with slashes.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The name of its content, for [`TreeReader::blob`].
    pub id: String,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link, which stays one.
    Symlink,
    /// A commit of another repository: there is nothing of it here.
    Submodule,
    /// Its name is not UTF-8: it cannot be named to an engine, and the path is one to show.
    Unnameable,
}

/// What goes to the engine, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Sorted by path; folders are made from them.
    entries: Vec<ContextEntry>,
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
    /// The reader failed.
    #[error("reading {what} for the build context")]
    Read {
        /// A path, or the whole tree.
        what: String,
        /// The reader's words.
        #[source]
        source: ReadError,
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
    /// Decides what is sent: all that `<Dockerfile>.dockerignore`, or else `.dockerignore`, lets through. The Dockerfile and
    /// `.dockerignore` are sent even if they are excluded, for the engine needs them. Where one of these is a link, it is
    /// followed within the context.
    pub fn plan(reader: &dyn TreeReader, dockerfile: &str) -> Result<Self, ContextError> {
        let dockerfile =
            normal(dockerfile).ok_or_else(|| ContextError::DockerfileOutside { dockerfile: dockerfile.to_owned() })?;
        let mut entries =
            reader.entries().map_err(|source| ContextError::Read { what: "the tree".to_owned(), source })?;
        if let Some(entry) = entries.iter().find(|entry| !is_below(&entry.path)) {
            return Err(ContextError::Escapes { path: entry.path.clone() });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let by_path: BTreeMap<&str, &ContextEntry> = entries.iter().map(|entry| (entry.path.as_str(), entry)).collect();
        let Some(file) = file_at(reader, &by_path, &dockerfile)? else {
            let same_name = |entry: &&ContextEntry| {
                entry.path.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("dockerfile"))
            };
            let like = entries.iter().find(same_name).map(|entry| entry.path.clone());
            return Err(ContextError::NoDockerfile { dockerfile, like });
        };
        read(reader, file)?;
        // The engine follows links on the way to the Dockerfile, so that all of them are sent.
        let mut needed: BTreeSet<String> = [dockerfile.clone(), ".dockerignore".to_owned(), file.path.clone()].into();
        needed.extend(links_to(reader, &by_path, &dockerfile)?);
        let ignore = ignore_file(reader, &by_path, &dockerfile)?;
        entries.retain(|entry| needed.contains(&entry.path) || !ignore.excludes(&entry.path));
        let warnings = entries.iter().filter_map(left_out).collect();
        entries.retain(|entry| left_out(entry).is_none());
        Ok(Self { entries, warnings })
    }

    /// Writes the context as a tar archive, with `modified` (seconds since the epoch) as the time of every file. One blob is in
    /// memory at a time. `tell` gets a sentence for each file that is only a pointer to Git LFS.
    pub fn write(
        &self,
        reader: &dyn TreeReader,
        modified: u64,
        out: impl Write,
        mut tell: impl FnMut(String),
    ) -> Result<Sent, ContextError> {
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
            let content = reader.blob(&entry.id).map_err(read)?;
            if entry.kind == EntryKind::Symlink {
                let mut header = header(tar::EntryType::Symlink, 0o777, 0, modified);
                archive.append_link(&mut header, &entry.path, OsStr::from_bytes(&content)).map_err(failed)?;
            } else {
                if is_lfs_pointer(&content) {
                    tell(format!(
                        "{} is a Git LFS pointer: the image gets the pointer, not the file behind it",
                        entry.path
                    ));
                }
                let mode = if entry.kind == EntryKind::Executable { 0o755 } else { 0o644 };
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

/// Why an entry is not sent; nothing for those that are.
fn left_out(entry: &ContextEntry) -> Option<String> {
    let path = &entry.path;
    match entry.kind {
        EntryKind::File | EntryKind::Executable | EntryKind::Symlink => None,
        EntryKind::Submodule => {
            Some(format!("{path} is a git submodule: its files are in another repository and not in the context"))
        }
        EntryKind::Unnameable => Some(format!("{path} is left out of the context: its name is not UTF-8; rename it")),
    }
}

fn ignore_file(
    reader: &dyn TreeReader,
    entries: &BTreeMap<&str, &ContextEntry>,
    dockerfile: &str,
) -> Result<Dockerignore, ContextError> {
    for file in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
        if let Some(entry) = file_at(reader, entries, &file)? {
            let content = read(reader, entry)?;
            return Dockerignore::parse(&String::from_utf8_lossy(&content))
                .map_err(|source| ContextError::Dockerignore { file, source });
        }
    }
    Ok(Dockerignore::default())
}

/// A file that decides over the build.
fn read(reader: &dyn TreeReader, entry: &ContextEntry) -> Result<Vec<u8>, ContextError> {
    let file = entry.path.clone();
    let content = reader.blob(&entry.id).map_err(|source| ContextError::Read { what: file.clone(), source })?;
    if is_lfs_pointer(&content) { Err(ContextError::LargeFileStorage { file }) } else { Ok(content) }
}

/// Links that are followed on the way to one file; more is a circle.
const LINKS_MAX: usize = 40;

/// What is at a path of the context, links followed within it.
fn file_at<'e>(
    reader: &dyn TreeReader,
    entries: &BTreeMap<&str, &'e ContextEntry>,
    path: &str,
) -> Result<Option<&'e ContextEntry>, ContextError> {
    resolve(reader, entries, path, &mut Vec::new())
}

/// The links on the way to a path.
fn links_to(
    reader: &dyn TreeReader,
    entries: &BTreeMap<&str, &ContextEntry>,
    path: &str,
) -> Result<Vec<String>, ContextError> {
    let mut links = Vec::new();
    resolve(reader, entries, path, &mut links)?;
    Ok(links)
}

fn resolve<'e>(
    reader: &dyn TreeReader,
    entries: &BTreeMap<&str, &'e ContextEntry>,
    path: &str,
    links: &mut Vec<String>,
) -> Result<Option<&'e ContextEntry>, ContextError> {
    let mut waiting: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let (mut real, mut first): (Vec<String>, Option<String>) = (Vec::new(), None);
    let leads_nowhere =
        |first: &Option<String>| first.clone().map(|target| ContextError::Link { file: path.to_owned(), target });
    while let Some(part) = waiting.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." if real.pop().is_some() => continue,
            ".." => return leads_nowhere(&first).map_or(Ok(None), Err),
            _ => real.push(part),
        }
        // A folder has no entry of its own.
        let Some(entry) = entries.get(real.join("/").as_str()).copied() else { continue };
        if entry.kind != EntryKind::Symlink {
            let is_end = waiting.iter().all(|part| matches!(part.as_str(), "" | "."));
            let found = Some(entry).filter(|entry| is_end && left_out(entry).is_none());
            return found.map_or_else(|| leads_nowhere(&first).map_or(Ok(None), Err), |entry| Ok(Some(entry)));
        }
        real.pop();
        let target = reader.blob(&entry.id);
        let target = target.map_err(|source| ContextError::Read { what: entry.path.clone(), source })?;
        let target = String::from_utf8_lossy(&target).into_owned();
        first.get_or_insert_with(|| target.clone());
        links.push(entry.path.clone());
        if links.len() > LINKS_MAX || target.starts_with('/') {
            return leads_nowhere(&first).map_or(Ok(None), Err);
        }
        waiting.extend(target.split('/').rev().map(str::to_owned));
    }
    leads_nowhere(&first).map_or(Ok(None), Err)
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
    let sound = !path.starts_with('/') && !parts.is_empty() && !parts.contains(&"..");
    sound.then(|| parts.join("/"))
}

fn is_below(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn there_is(like: &Option<String>) -> String {
    like.as_ref().map(|path| format!(" (there is {path})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
