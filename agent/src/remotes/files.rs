//! Files of web servers, kept by their digests.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use quarterdeck_shared::application::KustomizeSpec;
use sha2::{Digest as _, Sha256};

use super::{RemoteProblem, Remotes};
use crate::commit_tree::MANIFEST_BYTES_MAX;

/// What the configuration says that a file holds.
pub(super) fn digest<'s>(spec: &'s KustomizeSpec, url: &str) -> Option<&'s str> {
    spec.remote_files.iter().find(|file| file.url == url).map(|file| file.sha256.as_str())
}

impl Remotes {
    /// A file: as it is kept, else fetched, and kept where it is what it must be.
    pub(super) async fn file(&self, url: &str, digest: &str) -> Result<Vec<u8>, RemoteProblem> {
        let path = self.folder.join("files").join(digest);
        let failed = |source| RemoteProblem::Keep { path: path.clone(), source };
        if let Some(kept) = kept(&path, digest).map_err(failed)? {
            return Ok(kept);
        }
        let fetched = self.fetcher.file(url, MANIFEST_BYTES_MAX).await?;
        let content = fetched.ok_or_else(|| RemoteProblem::NoFile { url: url.to_owned() })?;
        let found = hex(&content);
        if found != digest {
            return Err(RemoteProblem::Digest { url: url.to_owned(), expected: digest.to_owned(), found });
        }
        keep(&path, &content).map_err(failed)?;
        Ok(content)
    }
}

/// A file; nothing where it is not kept, or is damaged.
fn kept(path: &Path, digest: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) if hex(&content) == digest => Ok(Some(content)),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "a kept file is damaged; it is fetched again");
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file whole or not at all, and the folder above it.
pub(super) fn keep(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
