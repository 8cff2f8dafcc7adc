//! What an own repository failed with.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use quarterdeck_core::own_repository::name::RepositoryName;
use quarterdeck_shared::error::Hint;
use quarterdeck_system::program::ProgramError;

/// What an own repository failed with.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The name is in use.
    #[error("repository {name} exists: {path}")]
    Exists {
        /// Which.
        name: RepositoryName,
        /// Where.
        path: PathBuf,
    },
    /// There is no such repository.
    #[error("repository {name} does not exist")]
    Missing {
        /// Which.
        name: RepositoryName,
    },
    /// git could not make it.
    #[error("git cannot make {path}")]
    Git {
        /// Where.
        path: PathBuf,
        /// Why.
        source: ProgramError,
    },
    /// The system refuses.
    #[error("cannot {doing} {path}")]
    Io {
        /// What.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its files are not those of a repository.
    #[error("cannot read {path}: {detail}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What gix says.
        detail: String,
    },
}

impl OwnError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl Hint for OwnError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing { .. } => "`qd-agent repo list` lists them, `qd-agent repo create NAME` makes one",
            Self::Git { source: ProgramError::Start(_), .. } => "install git 2.28 or newer",
            Self::Exists { .. } | Self::Git { .. } | Self::Io { .. } | Self::Unreadable { .. } => "",
        }
        .into()
    }
}
