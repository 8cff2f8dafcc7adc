//! Signatures of images: what a person says about the key or the identity that signs what is pushed, who has to have signed what is
//! promoted, and what is attached to an image.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ValueFrom;

/// How what was pushed is signed: by a key, or without one for an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignSpec {
    /// The private key, of `cosign generate-key-pair`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Where its password is; a key without one is read with an empty password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ValueFrom>,
    /// Signs with a certificate for an identity instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessSpec>,
    /// The list of what is in the image that is attached to it; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<SbomFormat>,
    /// Attaches how it was built, by SLSA.
    #[serde(default)]
    pub provenance: bool,
}

/// By what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignBy<'a> {
    /// The file of a private key.
    Key(&'a Path),
    /// A certificate for an identity.
    Keyless(&'a KeylessSpec),
}

impl SignSpec {
    /// By what is signed. The configuration is checked for one of both.
    pub fn by(&self) -> SignBy<'_> {
        match (&self.keyless, &self.key) {
            (Some(keyless), _) => SignBy::Keyless(keyless),
            (None, key) => SignBy::Key(key.as_deref().unwrap_or(Path::new(""))),
        }
    }
}

/// Signs for an identity: a certificate authority (Fulcio) makes a certificate of some minutes for whoever the token says, and a timestamp
/// or a transparency log says that it was used in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeylessSpec {
    /// Who signs, as certificates name them: a mail address or a URI.
    pub identity: String,
    /// Who made the token: the address of the OIDC issuer.
    pub issuer: String,
    /// The file of the authorities that are trusted, in the form of `cosign trusted-root create`.
    pub trusted_root: PathBuf,
    /// The file of the identity token, which is renewed by whoever gives it.
    pub identity_token_file: PathBuf,
    /// The services, in the form of `cosign signing-config create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_config: Option<PathBuf>,
    /// The certificate authority, where no such file is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulcio_url: Option<String>,
    /// The timestamp authority beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_url: Option<String>,
    /// The transparency log beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekor_url: Option<String>,
}

impl KeylessSpec {
    /// Who signs, as a signature by it is verified.
    pub fn signer(&self) -> SignerIdentity {
        let Self { identity, issuer, trusted_root, .. } = self.clone();
        SignerIdentity { identity, issuer, trusted_root }
    }
}

/// Who signs without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerIdentity {
    /// A mail address or a URI, as the certificate names it.
    pub identity: String,
    /// Who says so: the address of the OIDC issuer.
    pub issuer: String,
    /// The file of the authorities that are trusted, in the form of `cosign trusted-root create`.
    pub trusted_root: PathBuf,
}

impl fmt::Display for SignerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, issuer, trusted_root: _ } = self;
        write!(f, "{identity} (issuer {issuer})")
    }
}

/// Who may have signed an image that is promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "write the file of a public key, or { identity = \"…\", issuer = \"https://…\", trusted_root = \"…\" }"
)]
pub enum RequiredSigner {
    /// The holder of a key: the file of its public half.
    Key(PathBuf),
    /// An identity.
    Identity(SignerIdentity),
}

impl RequiredSigner {
    /// The file of a public key.
    pub fn key(&self) -> Option<&Path> {
        if let Self::Key(file) = self { Some(file) } else { None }
    }

    /// An identity.
    pub fn identity(&self) -> Option<&SignerIdentity> {
        if let Self::Identity(identity) = self { Some(identity) } else { None }
    }
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
