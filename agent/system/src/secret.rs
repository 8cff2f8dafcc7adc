//! The one reader of the secrets that a configuration names: tokens, passwords, build arguments, secrets of a build.
//!
//! A secret is read at each use, so that a rotated one is used at the next, and is known to the scrubber of this process
//! before anything is done with it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::file::read_up_to;
use quarterdeck_core::secrets::SecretScrubber;
use secrecy::{ExposeSecret as _, SecretString};

/// The longest secret that is read from a file, in bytes: JSON web tokens and private keys have a few KiB.
const BYTES_MAX: u64 = 64 << 10;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An environment variable of the agent.
    Variable(String),
    /// A file.
    File(PathBuf),
}

impl Place {
    /// A variable, by its name.
    pub fn variable(name: impl Into<String>) -> Self {
        Self::Variable(name.into())
    }

    /// The one that a configuration names, which names a variable or a file; none where it names neither.
    pub fn named(variable: Option<&str>, file: Option<&Path>) -> Option<Self> {
        variable.map(Self::variable).or_else(|| file.map(Self::file))
    }

    /// A file, by its path.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// Why there is no secret where the configuration names one. Nothing of what was read is in it.
#[derive(Debug, thiserror::Error)]
#[error("{place} {why}")]
pub struct SecretError {
    place: Place,
    why: String,
}

/// Reads a secret, without the line breaks at its end.
///
/// # Errors
/// Where the variable is not set or the file cannot be read, where there is nothing in it or more than 64 KiB, and where
/// it is not UTF-8.
pub fn read(place: &Place) -> Result<SecretString, SecretError> {
    let whole = read_whole(place)?;
    Ok(whole.expose_secret().trim_end_matches(['\r', '\n']).into())
}

/// The same, byte for byte: some files (the private key of ssh) are valid with their last line break alone.
///
/// # Errors
/// As of [`read`].
pub fn read_whole(place: &Place) -> Result<SecretString, SecretError> {
    let failed = |why: String| SecretError { place: place.clone(), why };
    let bytes = match place {
        Place::Variable(name) => match std::env::var_os(name) {
            Some(value) => value.into_encoded_bytes(),
            None => return Err(failed("is not set".to_owned())),
        },
        Place::File(path) => read_up_to(path, BYTES_MAX).map_err(|error| failed(format!("cannot be read: {error}")))?,
    };
    if bytes.len() as u64 > BYTES_MAX {
        return Err(failed(format!("has more than {BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Err(failed("is empty".to_owned()));
    }
    SecretScrubber::global().keep(&text);
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_is_in_its_file_without_the_end_of_the_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, secret) in [
            (&b"s3cret-of-a-test"[..], Ok("s3cret-of-a-test")),
            (b"s3cret-of-a-test\r\n", Ok("s3cret-of-a-test")),
            (b" -----BEGIN KEY-----\nabc\n\n", Ok(" -----BEGIN KEY-----\nabc")),
            (b"\n", Err("is empty")),
            (b"  ", Err("is empty")),
            (b"\xff\xfe", Err("is not UTF-8")),
            (&[b'x'; 65_537], Err("has more than 65536 bytes")),
        ] {
            std::fs::write(file.path(), content).unwrap();
            let read = read(&Place::file(file.path()));
            let read = read.map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string());
            let should = secret.map(str::to_owned);
            assert_eq!(read, should.map_err(|why| format!("the file {} {why}", file.path().display())));
        }
        std::fs::write(file.path(), "-----BEGIN KEY-----\nabc\n").unwrap();
        assert_eq!(read_whole(&Place::file(file.path())).unwrap().expose_secret(), "-----BEGIN KEY-----\nabc\n");
        let text = SecretScrubber::global().scrub("it was s3cret-of-a-test").into_owned();
        assert_eq!(text, "it was ***", "what was read is masked from then on");
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (place, why) in [
            (Place::variable("QD_NO_SUCH_VARIABLE"), "the environment variable QD_NO_SUCH_VARIABLE is not set"),
            (
                Place::file("/proc/quarterdeck"),
                "the file /proc/quarterdeck cannot be read: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(read(&place).unwrap_err().to_string(), why);
        }
    }
}
