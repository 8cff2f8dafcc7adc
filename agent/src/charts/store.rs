//! Archives of charts on the disk, by the digest of each, and which version of a range was chosen last.
//!
//! ```text
//! charts/1f3c2a9d8e7b6c5a-podinfo/6.7.1@9e2b….tgz      an archive; its name says what is in it
//!                                 6.7.1@9e2b….prov     what says who signed it; `.signers` of a registry
//!                                 chosen-77aa…         `podinfo 6.7.1@sha256:9e2b…`: what was last wanted of a range
//! ```
//! An archive whose content is not that of its name is as good as none: it is fetched again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quarterdeck_container::charts::fetch::Fetched;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_shared::revision::ChartRelease;
use quarterdeck_system::file::read_up_to;
use sha2::{Digest as _, Sha256};

/// Where the archives of all charts are in the data directory.
pub const FOLDER: &str = "charts";

/// How archives end.
pub const ENDING: &str = ".tgz";

/// The ending of a provenance file beside an archive.
pub const PROVENANCE: &str = "prov";

/// The ending of the list of keys beside an archive that its registry has a signature by.
pub const SIGNERS: &str = "signers";

/// Bytes of what is beside an archive.
const BESIDE_BYTES_MAX: u64 = 1 << 20;

/// Deletes an archive, and what is beside it.
///
/// # Errors
/// Where the archive is not deleted.
pub async fn delete(archive: &Path) -> io::Result<()> {
    for ending in [PROVENANCE, SIGNERS] {
        let _ = tokio::fs::remove_file(archive.with_extension(ending)).await;
    }
    tokio::fs::remove_file(archive).await
}

/// The archives of one chart of one repository.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Of a chart; its folder is made when something is kept.
    pub fn of(data_dir: &Path, repository: &Repository, name: &str) -> Self {
        let key = hex(&Sha256::digest(format!("{repository}\0{name}")));
        Self { folder: data_dir.join(FOLDER).join(format!("{}-{name}", &key[..16])) }
    }

    /// Where all of it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the archive of a version is, whether it is there or not.
    pub fn path(&self, release: &ChartRelease) -> PathBuf {
        let digest = release.digest.trim_start_matches("sha256:");
        self.folder.join(format!("{}@{digest}{ENDING}", release.version))
    }

    /// An archive; nothing where it is not kept, or is damaged. That it is in use is noted at its time. Blocks.
    ///
    /// # Errors
    /// Where what is there cannot be read.
    pub fn read(&self, release: &ChartRelease) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(release);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if format!("sha256:{}", hex(&Sha256::digest(&bytes))) != release.digest {
            tracing::warn!(path = %path.display(), "a kept archive is damaged; it is fetched again");
            return Ok(None);
        }
        // On a disk that is only read it is as old as it is.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(bytes))
    }

    /// Keeps an archive. Blocks.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&self, fetched: &Fetched) -> io::Result<()> {
        self.write(&self.path(&fetched.release), &fetched.bytes)
    }

    /// What was fetched beside an archive, by the ending of its file; nothing where nothing was, or it cannot be read. Blocks.
    pub fn beside(&self, release: &ChartRelease, ending: &str) -> Option<Vec<u8>> {
        read_up_to(&self.path(release).with_extension(ending), BESIDE_BYTES_MAX).ok()
    }

    /// Keeps something beside an archive. Blocks.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_beside(&self, release: &ChartRelease, ending: &str, content: &[u8]) -> io::Result<()> {
        self.write(&self.path(release).with_extension(ending), content)
    }

    /// What was last wanted of a range, or of a version as it is written. Blocks.
    pub fn chosen(&self, wanted: &str) -> Option<ChartRelease> {
        fs::read_to_string(self.choice(wanted)).ok()?.trim().parse().ok()
    }

    /// Remembers what is wanted now. Blocks.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn choose(&self, wanted: &str, release: &ChartRelease) -> io::Result<()> {
        self.write(&self.choice(wanted), format!("{release}\n").as_bytes())
    }

    fn choice(&self, wanted: &str) -> PathBuf {
        self.folder.join(format!("chosen-{}", &hex(&Sha256::digest(wanted))[..16]))
    }

    /// Whole or not at all.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&self.folder)?;
        io::Write::write_all(&mut file, content)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// The version that an archive is of, and its digest, by the name of its file.
pub fn named(file: &str) -> Option<(&str, &str)> {
    file.strip_suffix(ENDING)?.split_once('@').filter(|_| !file.starts_with('.'))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_what_is_damaged_is_not() {
        let data = tempfile::tempdir().unwrap();
        let repository = Repository::read("https://charts.example").unwrap();
        let store = Store::of(data.path(), &repository, "podinfo");
        let bytes = b"archive".to_vec();
        let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        let release = ChartRelease { name: "podinfo".to_owned(), version: "6.7.1".to_owned(), digest };
        assert_eq!((store.read(&release).unwrap(), store.chosen("6.x")), (None, None));
        store.keep(&Fetched { release: release.clone(), bytes: bytes.clone() }).unwrap();
        store.choose("6.x", &release).unwrap();
        let again = Store::of(data.path(), &repository, "podinfo");
        assert_eq!(again.chosen("6.x"), Some(release.clone()));
        assert_eq!((again.read(&release).unwrap(), again.chosen("7.x")), (Some(bytes), None));
        let file = again.path(&release).file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(named(&file), Some(("6.7.1", release.digest.trim_start_matches("sha256:"))));
        assert_eq!(named("chosen-1"), None);
        fs::write(again.path(&release), b"archivf").unwrap();
        assert_eq!(again.read(&release).unwrap(), None);
        let other = Store::of(data.path(), &Repository::read("https://other.example").unwrap(), "podinfo");
        assert_eq!(other.chosen("6.x"), None);
    }
}
