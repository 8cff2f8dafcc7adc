//! Why a chart is not at hand.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use quarterdeck_container::charts::archive::ArchiveError;
use quarterdeck_container::charts::error::FetchError;
use quarterdeck_container::registry::signature::KeyError;
use quarterdeck_core::charts::address::AddressError;
use quarterdeck_core::follow::PolicyError;
use quarterdeck_shared::error::Hint;
use quarterdeck_system::secret::SecretError;

use super::signers::SignerError;
use crate::images::LoginError;

/// A chart that is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum ChartProblem {
    /// The configuration was checked for it.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The same.
    #[error(transparent)]
    Version(#[from] PolicyError),
    /// The repository did not give it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// We cannot say who we are to the registry.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The configuration names a place where no password is.
    #[error("{repository} has no password")]
    Password {
        /// Of which repository.
        repository: String,
        /// Where it should be, and why not.
        source: SecretError,
    },
    /// It cannot be kept, or read where it is kept.
    #[error("cannot keep it in {path}")]
    Keep {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not known to be signed by one of the keys.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A public key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is kept cannot be read by this version of the agent.
    #[error("its archive is rejected")]
    Archive(#[from] ArchiveError),
}

impl Hint for ChartProblem {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Fetch(error) => error.hint(),
            Self::Login(error) => error.hint(),
            Self::Signer(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Password { .. } => {
                "set `password_env` or `password_file` under [application.environment.helm.chart]".into()
            }
            Self::Keep { .. } => "see that the agent may write there, and that the disk is not full".into(),
            Self::Address(_) | Self::Version(_) | Self::Archive(_) => "".into(),
        }
    }
}

impl ChartProblem {
    /// Whether somebody refuses us.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.is_refusal())
    }

    /// Whether the chart may not be deployed, whatever is kept of it.
    pub fn is_rejection(&self) -> bool {
        match self {
            Self::Signer(error) => error.is_rejection(),
            Self::Key(_) => true,
            Self::Fetch(error) => error.is_rejection(),
            _ => false,
        }
    }
}
