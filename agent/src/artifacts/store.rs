//! Which artifacts are kept in a repository: a file beside its objects, which goes where the repository is made anew.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use quarterdeck_core::oci_artifact::Index;

const FILE: &str = "artifacts.json";

/// Where it is.
pub(super) fn path(repository: &Path) -> PathBuf {
    repository.join(FILE)
}

/// What was last written; nothing where there is none, or none that this version of the agent can read. Blocks.
pub(super) fn read(repository: &Path) -> Option<Index> {
    let text = fs::read(path(repository)).ok()?;
    let read = serde_json::from_slice(&text);
    read.inspect_err(
        |error| tracing::warn!(repository = %repository.display(), %error, "what is kept is fetched again"),
    )
    .ok()
}

/// Whole or not at all. Blocks.
pub(super) fn write(repository: &Path, index: &Index) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".artifacts").tempfile_in(repository)?;
    file.write_all(&serde_json::to_vec(index)?)?;
    file.persist(path(repository)).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use quarterdeck_core::oci_artifact::Kept;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        let commit = "1".repeat(40).parse().unwrap();
        let kept = Kept { tag: Some("1.0".to_owned()), digest: "sha256:1".to_owned(), commit };
        let index = Index::default().wants(kept);
        write(folder.path(), &index).unwrap();
        assert_eq!(read(folder.path()), Some(index));
        fs::write(path(folder.path()), "{").unwrap();
        assert_eq!(read(folder.path()), None);
    }
}
