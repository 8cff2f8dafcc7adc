//! Why an artifact is not at hand, or not deployed.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quarterdeck_container::manifests::LayerError;
use quarterdeck_container::registry::oci::RegistryError;
use quarterdeck_container::registry::signature::KeyError;
use quarterdeck_core::follow::PolicyError;
use quarterdeck_core::image_ref::ImageRefError;
use quarterdeck_git::GitError;
use quarterdeck_shared::error::Hint;

use crate::images::LoginError;

/// An artifact that is not at hand, or may not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The configuration was checked for it.
    #[error(transparent)]
    Name(#[from] ImageRefError),
    /// The same.
    #[error(transparent)]
    Range(#[from] PolicyError),
    /// We cannot say who we are to the registry.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry does not have it.
    #[error("{artifact} does not exist")]
    Missing {
        /// With its tag or digest.
        artifact: String,
    },
    /// No tag is in the range.
    #[error("{repository} has no tag in the range {range}")]
    NoVersion {
        /// Registry and repository.
        repository: String,
        /// As it is written.
        range: String,
    },
    /// The tag that is deployed is gone, and what is left is older.
    #[error(
        "tag {tag}, which is deployed, is gone from {repository}{}: it stays deployed",
        left.as_ref().map(|left| format!(", and {left} is older")).unwrap_or_default()
    )]
    Gone {
        /// Which.
        tag: String,
        /// Registry and repository.
        repository: String,
        /// The newest tag that is wanted and exists.
        left: Option<String>,
    },
    /// A key that it has to be signed by cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// None of the keys signed it.
    #[error("{artifact} is not signed by {keys}, and is not deployed: {found}")]
    Unsigned {
        /// By its digest.
        artifact: String,
        /// Their names.
        keys: String,
        /// What was found instead.
        found: String,
    },
    /// Its layer cannot be unpacked.
    #[error("the layer of {artifact} is rejected")]
    Layer {
        /// By its digest.
        artifact: String,
        /// Why.
        source: LayerError,
    },
    /// It cannot be kept in its repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What is kept cannot be written down.
    #[error("cannot write {path}")]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Hint for ArtifactError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Login(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::Missing { .. } => {
                "push it, or check repository and tag in [application.environment.artifact]".into()
            }
            Self::NoVersion { .. } => {
                "push such a tag, or check semver in [application.environment.artifact]".into()
            }
            Self::Gone { left: Some(left), .. } => {
                format!("push a newer tag, or deploy the older one: tag = \"{left}\" in [application.environment.artifact]").into()
            }
            Self::Gone { left: None, .. } => "push it again, or a newer tag".into(),
            Self::Unsigned { .. } => {
                "sign it with one of these keys, or add the public key that signed it to verify in [application.environment.artifact]".into()
            }
            Self::Layer { .. } => {
                "push the folder again, or name its layer by media_type in [application.environment.artifact]".into()
            }
            Self::Keep { .. } => "see that the agent may write there, and that the disk is not full".into(),
            Self::Name(_) | Self::Range(_) => "".into(),
        }
    }
}

impl ArtifactError {
    /// Whether the registry refuses us.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Registry(RegistryError::WrongLogin { .. } | RegistryError::NoPermission { .. }))
    }

    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry(error) => error.retry_after(),
            _ => None,
        }
    }
}
