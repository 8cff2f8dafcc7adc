//! Why what was pushed is not signed, and what a person could do about it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use quarterdeck_container::registry::messages::{hint, is_transient};
use quarterdeck_container::registry::signature::KeyError;
use quarterdeck_shared::error::Hint;

use super::kind::ProgramKind;

/// What was pushed is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A program is not installed.
    #[error("{} is not in PATH of the agent", .0.name())]
    Missing(ProgramKind),
    /// The private key cannot be read.
    #[error("cannot read the private key {}", .path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{} is not a private key of cosign", short(.0))]
    NotAKey(PathBuf),
    /// The password is not the key's.
    #[error("the password of {} is wrong", short(.0))]
    Password(PathBuf),
    /// The public half of the key cannot be used.
    #[error("the key cannot be used")]
    Public(#[from] KeyError),
    /// A folder for its files cannot be made.
    #[error("cannot write to {}", .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed, or could not be run to its end.
    #[error("{} failed while {doing}: {said}", .program.name())]
    Failed {
        /// Which.
        program: ProgramKind,
        /// What it was to do.
        doing: &'static str,
        /// Its last words, fit to be shown.
        said: String,
        /// Whether it came with a login.
        with_login: bool,
    },
    /// A program did not end in time.
    #[error("{} did not end within {seconds} s while {doing}", .program.name())]
    TooLong {
        /// Which.
        program: ProgramKind,
        /// What it was to do.
        doing: &'static str,
        /// Its limit.
        seconds: u64,
    },
    /// The run was cancelled meanwhile.
    #[error("cancelled")]
    Dropped,
    /// The program ended well, and what it should have written is not found.
    #[error("cosign signed {image}, but its signature is not in the registry: {found}")]
    NotThere {
        /// By its digest.
        image: String,
        /// What is there.
        found: String,
    },
}

impl SignError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed { said, .. } => is_transient(said),
            Self::TooLong { .. } => true,
            _ => false,
        }
    }
}

impl Hint for SignError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing(ProgramKind::Cosign) => "install cosign 2 or 3, or leave out [application.sign]".into(),
            Self::Missing(ProgramKind::Syft) => "install syft 1, or leave out sbom in [application.sign]".into(),
            Self::Key { .. } => "check key in [application.sign] and the permissions of the file".into(),
            Self::NotAKey(_) => "write one with `cosign generate-key-pair`, and name it in [application.sign]".into(),
            Self::Password(_) => "check password in [application.sign]; `cosign public-key --key FILE` tries it".into(),
            Self::Public(error) => error.hint(),
            Self::Failed { said, with_login, .. } => hint(said, *with_login).unwrap_or_default().into(),
            Self::NotThere { .. } => "check whether the registry keeps manifests that cosign writes".into(),
            Self::Write { .. } | Self::TooLong { .. } | Self::Dropped => "".into(),
        }
    }
}

/// Without its folders: what is told to forges says nothing of this machine.
pub fn short(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
