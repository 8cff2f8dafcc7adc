//! Symbolic links of a tree: where a path leads when those on the way are followed.

use super::{EntryMode, Node, Tree, TreeEntry, TreeFailure};

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

/// What is at a path as a system with links would find it: a link may stand for any part of it, and leads where it would
/// lead in a checkout.
///
/// # Errors
/// Where the repository cannot be read.
pub fn resolve(tree: &dyn Tree, path: &str) -> Result<Followed, TreeFailure> {
    resolve_noting(tree, path, &mut Vec::new())
}

/// The same, and the paths of the links on the way, in the order in which they are followed; where one cannot be read it is
/// the last of them.
///
/// # Errors
/// Where the repository cannot be read.
pub fn resolve_noting(tree: &dyn Tree, path: &str, noted: &mut Vec<String>) -> Result<Followed, TreeFailure> {
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
                let target = String::from_utf8_lossy(&tree.blob(&entry)?).into_owned();
                first.get_or_insert_with(|| target.clone());
                links += 1;
                if links > LINKS_MAX || target.starts_with('/') || target.is_empty() {
                    return Ok(Followed::Nowhere(first.unwrap_or(target)));
                }
                waiting.extend(target.split('/').rev().map(str::to_owned));
            }
            EntryMode::File | EntryMode::Executable if waiting.iter().all(|part| matches!(part.as_str(), "" | ".")) => {
                return Ok(Followed::File(entry));
            }
            EntryMode::File | EntryMode::Executable | EntryMode::Submodule => return nowhere(),
        }
    }
    Ok(Followed::Folder(real.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::Files;

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
        let Some(Node::File(entry)) = tree.lookup("a/file").unwrap() else { panic!("no file") };
        let file = || Followed::File(entry.clone());
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
            assert_eq!(resolve(&tree, link).unwrap(), expected, "{link}");
        }
        assert_eq!(resolve(&tree, "b/folder/file").unwrap(), file(), "a link on the way");
        assert_eq!(resolve(&tree, "b/folder/../b").unwrap(), Followed::Folder("b".to_owned()));
    }
}
