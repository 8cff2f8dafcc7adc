//! The folder that one render has for its files, gone when it ends. It is in memory, so that what was decrypted for a program is never
//! on a disk; files that git has in clear may be on one, where memory has no room.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BuildError, Secrets};
use quarterdeck_system::program::ProgramError;

/// What `statfs` says of a file system in memory: `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: i64 = 0x0102_1994;

/// Where one usually is.
const SHARED_MEMORY: &str = "/dev/shm";

/// A folder of one render.
pub(super) struct Own<'a> {
    /// Deletes it.
    _folder: tempfile::TempDir,
    root: PathBuf,
    /// Of one on a disk: what must not get there, and why it is not in memory.
    on_disk: Option<(&'a dyn Secrets, Option<PathBuf>)>,
}

impl<'a> Own<'a> {
    /// One in memory.
    pub(super) fn in_memory(memory: &Path) -> Result<Self, BuildError> {
        // What a user has in shared memory goes when they log out, where `RemoveIPC` of systemd-logind says so.
        kept(memory).map_err(|source| BuildError::Write { path: memory.to_owned(), source })?;
        let folder = made(memory)?;
        Ok(Self { root: real(folder.path()), _folder: folder, on_disk: None })
    }

    /// One on a disk; `full` is the folder in memory that has no room.
    pub(super) fn on_disk(scratch: &Path, secrets: &'a dyn Secrets, full: Option<PathBuf>) -> Result<Self, BuildError> {
        let folder = made(scratch)?;
        Ok(Self { root: real(folder.path()), _folder: folder, on_disk: Some((secrets, full)) })
    }

    /// By its real path.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes something at a path below the root, and the folders above it. What it is made of was read before.
    pub(super) fn place(&self, path: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BuildError> {
        match &self.on_disk {
            Some((secrets, Some(folder))) if secrets.is_any() => {
                return Err(BuildError::MemoryFull { folder: folder.clone() });
            }
            Some((secrets, None)) if secrets.is_any() => return Err(BuildError::NoMemory),
            _ => {}
        }
        let target = self.root.join(path);
        let made = target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| make(&target));
        made.map_err(|source| BuildError::Write { path: path.into(), source })
    }
}

/// A program names its files by their real path; it is taken out of its messages again.
pub(super) fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// A folder that only we can read, and that is gone when this is dropped.
fn made(within: &Path) -> Result<tempfile::TempDir, BuildError> {
    let only_us = Permissions::from_mode(0o700);
    let own = tempfile::Builder::new().prefix("quarterdeck-render-").permissions(only_us).tempdir_in(within);
    own.map_err(|source| BuildError::Write { path: within.to_owned(), source })
}

/// Whether a render failed since there was no room for its files.
pub(super) fn is_full(error: &BuildError) -> bool {
    match error {
        BuildError::Write { source, .. } => {
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
        BuildError::Program { source: ProgramError::Failed { stderr, .. }, .. } => {
            stderr.to_ascii_lowercase().contains("no space left on device")
        }
        _ => false,
    }
}

/// The agent's folder in memory, empty: what a render left when the agent was killed in the middle of it goes. `scratch` is its
/// folder in the data directory, which may be in memory itself. Nothing where the machine has none. Blocks for moments.
pub fn memory(scratch: &Path) -> Option<PathBuf> {
    if is_in_memory(scratch) {
        return Some(scratch.to_owned());
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let places = [Some(PathBuf::from(SHARED_MEMORY)), runtime];
    // Each data directory has its own, which one agent at a time claims.
    let digest = Sha256::digest(real(scratch).as_os_str().as_encoded_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("quarterdeck-{}-{digest}", rustix::process::getuid().as_raw());
    places.into_iter().flatten().filter(|place| is_in_memory(place)).find_map(|place| emptied(place.join(&name)).ok())
}

fn is_in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|about| about.f_type == TMPFS)
}

/// Makes a folder that only we can read, empty.
fn emptied(folder: PathBuf) -> io::Result<PathBuf> {
    kept(&folder)?;
    std::fs::remove_dir_all(&folder)?;
    kept(&folder)?;
    Ok(folder)
}

/// Makes it where it is not there. Everybody may make something of that name before us, and that is not ours then.
fn kept(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let about = std::fs::symlink_metadata(folder)?;
    match about.is_dir() && about.uid() == rustix::process::getuid().as_raw() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user has something of this name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_memory_is_made_anew_and_is_ours_alone() {
        let scratch = tempfile::tempdir().unwrap();
        // A machine without one has nothing to test here.
        let Some(folder) = memory(scratch.path()) else { return };
        assert!(is_in_memory(&folder), "{}", folder.display());
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        std::fs::write(folder.join("left"), "by a killed agent").unwrap();
        assert_eq!(memory(scratch.path()), Some(folder.clone()));
        assert!(!folder.join("left").exists(), "left behind");
        std::fs::remove_dir(&folder).unwrap();
        // Somebody else's link in its place is not followed.
        std::os::unix::fs::symlink(scratch.path(), &folder).unwrap();
        assert!(memory(scratch.path()).is_none_or(|other| other != folder));
        std::fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn no_room_is_told_from_other_failures() {
        let write = |kind: io::ErrorKind| BuildError::Write { path: "a".into(), source: kind.into() };
        let program = |stderr: &str| BuildError::Program {
            program: "helm template",
            source: ProgramError::Failed {
                status: std::os::unix::process::ExitStatusExt::from_raw(1 << 8),
                stderr: stderr.to_owned(),
            },
        };
        for (error, wanted) in [
            (write(io::ErrorKind::StorageFull), true),
            (write(io::ErrorKind::PermissionDenied), false),
            (program("write /dev/shm/a: no space left on device"), true),
            (program("Error: host is required"), false),
            (BuildError::TooLarge, false),
        ] {
            assert_eq!(is_full(&error), wanted, "{error}");
        }
    }
}
