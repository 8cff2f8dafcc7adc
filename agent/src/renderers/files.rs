//! Files of a repository on the disk, for a program that reads them.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::sops::decrypting::StaysEncrypted;
use quarterdeck_core::tree::{Tree, TreeEntry, is_lfs_pointer};

use super::BuildError;
use super::own_folder::Own;

/// Bytes that are written for one render: manifests, not data.
pub(super) const INPUT_BYTES_MAX: u64 = 128 << 20;

/// The largest file that is written though nothing names it: no manifest that kustomize might look for has more.
const BESIDE_BYTES_MAX: u64 = 1 << 20;

/// Writes files that are needed.
pub(super) fn write(
    tree: &dyn Tree,
    files: &BTreeMap<String, TreeEntry>,
    own: &Own<'_>,
    bytes_left: &mut u64,
) -> Result<(), BuildError> {
    for (path, entry) in files {
        let content = tree.blob(entry).map_err(|source| BuildError::Read { path: path.clone(), source })?;
        if is_lfs_pointer(&content) {
            return Err(BuildError::LargeFileStorage { path: path.clone() });
        }
        *bytes_left = bytes_left.checked_sub(content.len() as u64).ok_or(BuildError::TooLarge)?;
        own.place(path, |target| std::fs::write(target, &content))?;
    }
    Ok(())
}

/// Makes links to folders: where each is, and the folder that it leads to.
pub(super) fn link(links: &BTreeMap<String, String>, own: &Own<'_>) -> Result<(), BuildError> {
    for (path, to) in links {
        let up = "../".repeat(path.matches('/').count());
        own.place(path, |link| std::os::unix::fs::symlink(format!("{up}{to}"), link))?;
        std::fs::create_dir_all(own.root().join(to)).map_err(|source| BuildError::Write { path: to.into(), source })?;
    }
    Ok(())
}

/// Writes what nothing names, and what is therefore not missed: as far as it fits, and where no link is in the way.
pub(super) fn write_beside(
    tree: &dyn Tree,
    needs: &Needs,
    own: &Own<'_>,
    mut bytes_left: u64,
) -> Result<(), BuildError> {
    let read = |path: &str, source| BuildError::Read { path: path.to_owned(), source };
    for (path, entry) in &needs.beside {
        let size = tree.size(entry).map_err(|source| read(path, source))?;
        let is_behind_a_link = || path.match_indices('/').any(|(end, _)| needs.links.contains_key(&path[..end]));
        if size > BESIDE_BYTES_MAX.min(bytes_left) || is_behind_a_link() {
            continue;
        }
        let content = match tree.blob(entry) {
            Ok(content) => content,
            // For another environment, whose keys are not ours.
            Err(error) if error.is::<StaysEncrypted>() => continue,
            Err(source) => return Err(read(path, source)),
        };
        bytes_left -= size;
        own.place(path, |target| std::fs::write(target, &content))?;
    }
    Ok(())
}

/// The words of the program with paths of the repository instead of ours.
pub(super) fn shorten(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    text.replace(&format!("{root}/"), "").replace(&*root, ".").trim().to_owned()
}
