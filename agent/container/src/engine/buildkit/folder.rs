//! The build context as a folder on disk, for a program that reads none from a pipe: the same files, modes and times as the
//! archive that an engine is sent, since it is that archive, unpacked.

use std::fs::{File, FileTimes};
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::BuildkitError;
use crate::engine::BuildError;
use crate::engine::BuildRequest;
use crate::engine::context::{Context, ContextError};

/// Writes the context of a build into a folder that is empty. `tell` gets what a person should know of it. Blocks.
pub(super) fn write(
    request: &BuildRequest,
    folder: &Path,
    mut tell: impl FnMut(String) + Send,
) -> Result<(), BuildError> {
    let cannot = |source| BuildkitError::Write {
        doing: "writing the build context".to_owned(),
        path: folder.to_owned(),
        source,
    };
    let context = Context::plan(&*request.tree, &request.context, &request.dockerfile)?;
    context.warnings.iter().for_each(|warning| tell(warning.clone()));
    let (unpacked, packed) = io::pipe().map_err(cannot)?;
    let (written, read) = std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let out = BufWriter::new(packed);
            context.write(&*request.tree, request.modified, out, tell).map(drop)
        });
        let read = unpack(BufReader::new(unpacked), folder);
        (writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), read)
    });
    match (written, read) {
        // The reader broke off, and its reason is the one.
        (Err(ContextError::Write { .. }) | Ok(()), Err(source)) => return Err(cannot(source).into()),
        (written, _) => written?,
    }
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(request.modified);
    Ok(date(folder, modified).map_err(cannot)?)
}

fn unpack(archive: impl io::Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.unpack(folder)?;
    // The end of an archive is more than its last entry: who writes it is not to be cut off.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
}

/// Gives each folder its time: making files in it changed that, and a build copies it.
fn date(folder: &Path, modified: SystemTime) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            date(&entry.path(), modified)?;
        }
    }
    File::open(folder)?.set_times(FileTimes::new().set_modified(modified))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::sync::Arc;

    use quarterdeck_core::tree::EntryMode;
    use quarterdeck_core::tree::memory::Files;

    use super::*;

    fn request(files: Files) -> BuildRequest {
        BuildRequest {
            tree: Arc::new(files),
            context: String::new(),
            modified: 1_700_000_000,
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            args: Default::default(),
            secrets: Default::default(),
            ssh: None,
            platforms: Vec::new(),
            cache_from: Vec::new(),
            inline_cache: false,
            cache_to: None,
            labels: Default::default(),
            tags: Vec::new(),
            no_cache: false,
            logins: Default::default(),
        }
    }

    #[test]
    fn files_have_the_modes_and_times_of_the_archive_and_ignored_ones_are_not_there() {
        let big = "x".repeat(3 << 20);
        let files = Files::new(&[
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "**/*.md"),
            ("a/b.md", "no"),
            ("to@", "a/b"),
        ])
        .with("a/b", EntryMode::File, "text")
        .with("a/run", EntryMode::Executable, "#!")
        .with("z/big", EntryMode::File, &big);
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        write(&request(files), folder.path(), |line| told.push(line)).unwrap();
        let at = |path: &str| std::fs::symlink_metadata(folder.path().join(path)).unwrap();
        for (path, mode) in [("a/b", 0o644), ("a/run", 0o755), ("a", 0o755), ("z/big", 0o644)] {
            assert_eq!((at(path).permissions().mode() & 0o777, at(path).mtime()), (mode, 1_700_000_000), "{path}");
        }
        assert_eq!((at("").mtime(), at("to").is_symlink(), at("z/big").len()), (1_700_000_000, true, 3 << 20));
        assert!(!folder.path().join("a/b.md").exists() && told.is_empty(), "{told:?}");
    }

    #[test]
    fn what_is_wrong_with_the_commit_or_the_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&request(Files::new(&[("a", "b")])), folder.path(), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "the commit has no Dockerfile in the build context");
        let nowhere = folder.path().join("a-file");
        std::fs::write(&nowhere, "").unwrap();
        let good = Files::new(&[("Dockerfile", "FROM scratch"), ("big", &"x".repeat(1 << 20))]);
        let error = write(&request(good), &nowhere, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), format!("writing the build context: cannot write {}", nowhere.display()));
    }
}
