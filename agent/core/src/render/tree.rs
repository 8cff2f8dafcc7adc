//! What a renderer reads: the files of one commit. The renderers know nothing of git; whoever holds a commit shows it
//! to them as a [`Tree`].

use std::error::Error;

/// Why a tree could not be read, in the words of whoever holds it.
pub type TreeFailure = Box<dyn Error + Send + Sync>;

/// The files of one commit. Paths are relative to the root of the repository, with `/`, and `""` is the root.
pub trait Tree {
    /// What is at a path, or nothing.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure>;

    /// Every file below a folder, at any depth; nothing where there is no such folder.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    fn entries(&self, folder: &str) -> Result<Listing, TreeFailure>;

    /// The length of a file in bytes, by its [`TreeEntry::id`]; costs a look at its header.
    ///
    /// # Errors
    /// Where the repository cannot be read.
    fn size(&self, id: &str) -> Result<u64, TreeFailure>;

    /// The content of a file or of a symbolic link, by its [`TreeEntry::id`].
    ///
    /// # Errors
    /// Where the repository cannot be read, or the file is larger than it hands out.
    fn blob(&self, id: &str) -> Result<Vec<u8>, TreeFailure>;
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
pub struct Listing {
    /// Each file once.
    pub entries: Vec<TreeEntry>,
    /// Paths that are no UTF-8, with what could not be read replaced.
    pub unreadable: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the repository.
    pub path: String,
    /// What kind of file it is.
    pub mode: EntryMode,
    /// How its content is asked for.
    pub id: String,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryMode {
    /// A plain or an executable file.
    File,
    /// A symbolic link; its content is the path that it points to.
    Symlink,
    /// A submodule: its files are in another repository.
    Submodule,
}

/// Resolves a path as it is written in a file of `folder`: `../base` in `apps/shop` is `apps/base`.
/// Nothing where it leaves the repository or is absolute.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The folder that a file is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Where a path or a symbolic link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// To this file of the repository.
    File(TreeEntry),
    /// To a folder of the repository.
    Folder(String),
    /// Out of the repository, to nothing, to a submodule, or in circles; the target of the first link as it is written.
    Nowhere(String),
}

/// Links that are followed on the way to one file; git itself and most systems stop at 40, so more is a circle.
const LINKS_MAX: usize = 40;

/// Follows a symbolic link to what it stands for.
pub(super) fn follow(tree: &dyn Tree, link: &TreeEntry) -> Result<Followed, TreeFailure> {
    resolve(tree, &link.path)
}

/// What is at a path as a system with links would find it: a link may stand for any part of it, and leads where it would
/// lead in a checkout.
///
/// # Errors
/// Where the repository cannot be read.
pub fn resolve(tree: &dyn Tree, path: &str) -> Result<Followed, TreeFailure> {
    resolve_noting(tree, path, &mut Vec::new())
}

/// The same, and the paths of the links on the way.
pub(super) fn resolve_noting(tree: &dyn Tree, path: &str, noted: &mut Vec<String>) -> Result<Followed, TreeFailure> {
    let mut waiting: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut real: Vec<String> = Vec::new();
    let (mut links, mut first) = (0, None);
    while let Some(part) = waiting.pop() {
        let nowhere = || Ok(Followed::Nowhere(first.clone().unwrap_or_else(|| path.to_owned())));
        match part.as_str() {
            "" | "." => continue,
            ".." if real.pop().is_some() => continue,
            ".." => return nowhere(),
            _ => real.push(part),
        }
        let entry = match tree.lookup(&real.join("/"))? {
            Some(Node::Folder) => continue,
            Some(Node::File(entry)) => entry,
            None => return nowhere(),
        };
        match entry.mode {
            EntryMode::Symlink => {
                real.pop();
                noted.push(entry.path.clone());
                let target = String::from_utf8_lossy(&tree.blob(&entry.id)?).into_owned();
                first.get_or_insert_with(|| target.clone());
                links += 1;
                if links > LINKS_MAX || target.starts_with('/') || target.is_empty() {
                    return Ok(Followed::Nowhere(first.unwrap_or(target)));
                }
                waiting.extend(target.split('/').rev().map(str::to_owned));
            }
            EntryMode::File if waiting.iter().all(|part| matches!(part.as_str(), "" | ".")) => {
                return Ok(Followed::File(entry));
            }
            EntryMode::File | EntryMode::Submodule => return nowhere(),
        }
    }
    Ok(Followed::Folder(real.join("/")))
}

/// Whether a path is in a folder, at any depth; every path is in `""`.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() && !path.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a file is a pointer to Git LFS instead of what it is named for: by its specification the first line of each is
/// the same, and each is shorter than 1024 bytes.
pub fn is_lfs_pointer(content: &[u8]) -> bool {
    content.len() < 1024 && content.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// A tree in memory, for the tests of who renders.
#[derive(Debug, Clone, Default)]
pub struct Files(pub std::collections::BTreeMap<String, (EntryMode, Vec<u8>)>);

impl Files {
    /// Files by path and content; a path that ends in `@` is a symbolic link.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let entry = |(path, content): &(&str, &str)| match path.strip_suffix('@') {
            Some(path) => (path.to_owned(), (EntryMode::Symlink, content.as_bytes().to_vec())),
            None => ((*path).to_owned(), (EntryMode::File, content.as_bytes().to_vec())),
        };
        Self(files.iter().map(entry).collect())
    }

    fn entry(&self, path: &str) -> TreeEntry {
        TreeEntry { path: path.to_owned(), mode: self.0[path].0, id: path.to_owned() }
    }
}

impl Tree for Files {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        if self.0.contains_key(path) {
            return Ok(Some(Node::File(self.entry(path))));
        }
        Ok((path.is_empty() || self.0.keys().any(|file| file.starts_with(&format!("{path}/")))).then_some(Node::Folder))
    }

    fn entries(&self, folder: &str) -> Result<Listing, TreeFailure> {
        let below = |file: &&String| folder.is_empty() || file.starts_with(&format!("{folder}/"));
        let entries = self.0.keys().filter(below).map(|path| self.entry(path)).collect();
        Ok(Listing { entries, unreadable: Vec::new() })
    }

    fn size(&self, id: &str) -> Result<u64, TreeFailure> {
        Ok(self.0[id].1.len() as u64)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, TreeFailure> {
        Ok(self.0[id].1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_within_the_repository() {
        for (folder, relative, path) in [
            ("apps/shop", "../base", Some("apps/base")),
            ("apps/shop", "./a//b/", Some("apps/shop/a/b")),
            ("", "a", Some("a")),
            ("apps", "..", Some("")),
            ("apps", "../..", None),
            ("apps", "/etc/passwd", None),
        ] {
            assert_eq!(join(folder, relative).as_deref(), path, "{folder} {relative}");
        }
    }

    #[test]
    fn links_are_followed_within_the_repository() {
        let tree = Files::new(&[
            ("a/file", ""),
            ("a/link@", "file"),
            ("a/far@", "../b/link"),
            ("b/link@", "../a/file"),
            ("b/folder@", "../a"),
            ("b/out@", "../../etc/passwd"),
            ("b/root@", "/etc/passwd"),
            ("b/gone@", "nothing"),
            ("b/circle@", "circle"),
            ("b/through@", "folder/link"),
            ("b/up@", "folder/../a/./file"),
            ("b/below@", "link/file"),
        ]);
        let file = || Followed::File(tree.entry("a/file"));
        for (link, expected) in [
            ("a/link", file()),
            ("a/far", file()),
            ("b/folder", Followed::Folder("a".to_owned())),
            ("b/out", Followed::Nowhere("../../etc/passwd".to_owned())),
            ("b/root", Followed::Nowhere("/etc/passwd".to_owned())),
            ("b/gone", Followed::Nowhere("nothing".to_owned())),
            ("b/circle", Followed::Nowhere("circle".to_owned())),
            ("b/through", file()),
            ("b/up", file()),
            ("b/below", Followed::Nowhere("link/file".to_owned())),
        ] {
            assert_eq!(follow(&tree, &tree.entry(link)).unwrap(), expected, "{link}");
        }
        assert_eq!(resolve(&tree, "b/folder/file").unwrap(), file(), "a link on the way");
        assert_eq!(resolve(&tree, "b/folder/../b").unwrap(), Followed::Folder("b".to_owned()));
    }
}
