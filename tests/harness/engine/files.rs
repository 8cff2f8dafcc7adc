//! File trees of the stand-in engine: a build context, a layer, the root of an image (pure).
//!
//! Owners are always root and times are always zero, so that the same files make the same layer. Whiteouts (deleted files)
//! of pulled layers are NOT honoured, hard links are told as errors, and device files are left out.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A file, by its path without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File { mode: u32, bytes: Arc<[u8]> },
    Link(String),
    Folder,
}

/// Files by path.
pub(super) type Tree = BTreeMap<String, Node>;

/// A layer, packed.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// Digest of the packed bytes: the name of the blob.
    pub(super) digest: String,
    /// Digest of the unpacked tar.
    pub(super) diff_id: String,
    pub(super) bytes: Vec<u8>,
    /// Bytes of the files in it.
    pub(super) size: u64,
}

/// Reads a tar, packed with gzip or not.
pub(super) fn read_tar(bytes: &[u8]) -> std::io::Result<Tree> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut unpacked)?;
        return read_tar(&unpacked);
    }
    let mut tree = Tree::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        let kind = entry.header().entry_type();
        let node = if kind.is_dir() {
            Node::Folder
        } else if kind.is_symlink() {
            Node::Link(
                entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default(),
            )
        } else if kind.is_file() {
            let mode = entry.header().mode()?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            Node::File { mode, bytes: bytes.into() }
        } else if kind.is_hard_link() {
            return Err(std::io::Error::other(format!(
                "{path} is a hard link, which the stand-in engine does not know"
            )));
        } else {
            continue;
        };
        if !path.is_empty() {
            tree.insert(path, node);
        }
    }
    Ok(tree)
}

/// Packs a tree as a layer. The same tree makes the same bytes.
pub(super) fn pack(tree: &Tree) -> std::io::Result<Packed> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut size = 0;
    for (path, node) in tree {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        match node {
            Node::File { mode, bytes } => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                size += bytes.len() as u64;
                archive.append_data(&mut header, path, &bytes[..])?;
            }
            Node::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, path, target)?;
            }
            Node::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
            }
        }
    }
    let unpacked = archive.into_inner()?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&unpacked)?;
    let bytes = encoder.finish()?;
    Ok(Packed { digest: digest(&bytes), diff_id: digest(&unpacked), bytes, size })
}

/// What a `COPY` of `sources` to `destination` brings into an image whose files are `root`.
/// The error is the part of the daemon's message after `COPY failed: `.
pub(super) fn copy(
    from: &Tree,
    sources: &[String],
    destination: &str,
    workdir: &str,
    root: &Tree,
) -> Result<Tree, String> {
    let target = resolve(destination, workdir);
    let into_folder = destination.ends_with('/')
        || destination.ends_with('.')
        || target.is_empty()
        || root.get(&target) == Some(&Node::Folder);
    if sources.len() > 1 && !into_folder {
        let rule = "the destination must be a directory and end with a /";
        return Err(format!("When using COPY with more than one source file, {rule}"));
    }
    let mut copied = Tree::new();
    for source in sources {
        if source.split('/').any(|part| part == "..") {
            return Err(format!("forbidden path outside the build context: {source} ()"));
        }
        let pattern = clean(source);
        let found = matching(from, &pattern);
        if found.is_empty() && pattern.contains(['*', '?']) {
            return Err("no source files were specified".to_owned());
        }
        if found.is_empty() {
            let missing = format!("stat {}: file does not exist", source.trim_start_matches("./"));
            return Err(format!("file not found in build context or excluded by .dockerignore: {missing}"));
        }
        for path in found {
            match from.get(&path) {
                Some(node @ (Node::File { .. } | Node::Link(_))) => {
                    let name = path.rsplit('/').next().unwrap_or(&path);
                    put(&mut copied, &if into_folder { join(&target, name) } else { target.clone() }, node.clone());
                }
                // A folder's contents go to the target, not the folder itself.
                Some(Node::Folder) | None => {
                    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
                    for (inner, node) in from.iter().filter(|(inner, _)| inner.starts_with(&prefix)) {
                        put(&mut copied, &join(&target, &inner[prefix.len()..]), node.clone());
                    }
                }
            }
        }
    }
    Ok(copied)
}

/// A digest over paths and contents, which decides whether a `COPY` is the same as last time.
pub(super) fn fingerprint(tree: &Tree) -> String {
    let mut hash = Sha256::new();
    for (path, node) in tree {
        hash.update(format!("{path}\0{node:?}\0"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path in an image, seen from the working directory, without its leading slash.
pub(super) fn resolve(path: &str, workdir: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{workdir}/{path}")) }
}

/// Adds a file with the folders above it.
pub(super) fn put(tree: &mut Tree, path: &str, node: Node) {
    for (at, _) in path.match_indices('/') {
        tree.entry(path[..at].to_owned()).or_insert(Node::Folder);
    }
    if !path.is_empty() {
        tree.insert(path.to_owned(), node);
    }
}

/// `sha256:` and the hash in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn matching(tree: &Tree, pattern: &str) -> Vec<String> {
    if pattern.is_empty() {
        return vec![String::new()];
    }
    if !pattern.contains(['*', '?']) {
        let below = format!("{pattern}/");
        let there = tree.contains_key(pattern) || tree.keys().any(|path| path.starts_with(&below));
        return if there { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let same = |path: &&String| {
        let (mut parts, mut patterns) = (path.split('/'), pattern.split('/'));
        loop {
            match (parts.next(), patterns.next()) {
                (None, None) => return true,
                (Some(part), Some(glob)) if wild(glob.as_bytes(), part.as_bytes()) => {}
                _ => return false,
            }
        }
    };
    tree.keys().filter(same).cloned().collect()
}

fn wild(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| wild(rest, &name[skip..])),
        (Some((b'?', rest)), Some((_, tail))) => wild(rest, tail),
        (Some((a, rest)), Some((b, tail))) if a == b => wild(rest, tail),
        _ => false,
    }
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Node {
        Node::File { mode: 0o644, bytes: text.as_bytes().into() }
    }

    #[test]
    fn copy_follows_the_rules_of_folders() {
        let from: Tree =
            [("src/a.rs", "a"), ("src/b.rs", "b"), ("README", "r")].map(|(p, t)| (p.to_owned(), file(t))).into();
        let paths = |sources: &[&str], to: &str| {
            let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
            copy(&from, &sources, to, "/app", &Tree::new()).map(|tree| tree.into_keys().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(paths(&["src"], "/x").unwrap(), "x x/a.rs x/b.rs");
        assert_eq!(paths(&["README"], "/hello").unwrap(), "hello");
        assert_eq!(paths(&["README"], ".").unwrap(), "app app/README");
        assert_eq!(paths(&["src/*.rs", "README"], "d/").unwrap(), "app app/d app/d/README app/d/a.rs app/d/b.rs");
        assert!(paths(&["nope"], "/").unwrap_err().ends_with("stat nope: file does not exist"));
        assert!(paths(&["../up"], "/").unwrap_err().starts_with("forbidden path"));
    }

    #[test]
    fn layers_are_the_same_for_the_same_files() {
        let mut tree = Tree::new();
        put(&mut tree, "etc/motd", file("hello"));
        let (one, two) = (pack(&tree).unwrap(), pack(&tree).unwrap());
        assert_eq!((&one.digest, &one.bytes), (&two.digest, &two.bytes));
        assert_eq!(read_tar(&one.bytes).unwrap(), tree);
    }
}
