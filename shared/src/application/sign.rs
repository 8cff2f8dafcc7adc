//! Signatures of images: what a person says about the key that signs what is pushed, and what is attached to it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ValueFrom;

/// How what was pushed is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignSpec {
    /// The private key, of `cosign generate-key-pair`.
    pub key: PathBuf,
    /// Where its password is; a key without one is read with an empty password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ValueFrom>,
    /// The list of what is in the image that is attached to it; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<SbomFormat>,
    /// Attaches how it was built, by SLSA.
    #[serde(default)]
    pub provenance: bool,
}

/// A format of a software bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SbomFormat {
    /// SPDX, as JSON.
    Spdx,
    /// CycloneDX, as JSON.
    Cyclonedx,
}

impl SbomFormat {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Spdx => "spdx",
            Self::Cyclonedx => "cyclonedx",
        }
    }
}
