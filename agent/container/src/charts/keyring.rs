//! Keyrings: files with the public keys of who may sign packaged charts.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use quarterdeck_shared::error::Hint;
use quarterdeck_system::file::read_up_to;

/// The longest keyring: some thousand keys.
const BYTES_MAX: u64 = 4 << 20;

/// A keyring that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the keyring {}: {why}", .file.display())]
pub struct KeyringError {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    pub why: String,
}

impl Hint for KeyringError {
    fn hint(&self) -> Cow<'_, str> {
        "write the public keys into it: gpg --armor --export NAME >FILE".into()
    }
}

/// Reads a keyring, as far as it can be said without a program whether it is of use.
///
/// # Errors
/// Where it cannot be read.
pub fn read(keyring: &Path) -> Result<Vec<u8>, KeyringError> {
    let failed = |why: String| KeyringError { file: keyring.to_owned(), why };
    match read_up_to(keyring, BYTES_MAX) {
        Err(error) => Err(failed(error.to_string())),
        Ok(bytes) if bytes.len() as u64 > BYTES_MAX => Err(failed(format!("it has more than {BYTES_MAX} bytes"))),
        Ok(bytes) if bytes.trim_ascii().is_empty() => Err(failed("it is empty".to_owned())),
        Ok(bytes) => Ok(bytes),
    }
}
