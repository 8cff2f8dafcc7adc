//! Public keys, and whether one of them signed what a registry has beside an image.
//!
//! What a signature claims is read by `quarterdeck_core::signature`; here a key is asked whether it made it.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use ed25519_dalek::{Digest as _, Sha512, Signature, VerifyingKey};
use quarterdeck_core::signature::{Claim, Found, Signed, Unfit};
use quarterdeck_shared::error::Hint;
use quarterdeck_system::file::read_up_to;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

/// The largest file of a public key: the longest RSA key has some two KiB.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// What cosign signs with: P-256 by default, the others by `cosign import-key-pair`. With P-384 version 2 signs the SHA-256 of a payload,
/// and version 3 the SHA-384.
static ALGORITHMS: [&dyn VerificationAlgorithm; 5] =
    [&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1, &RSA_PKCS1_2048_8192_SHA256, &ED25519];

/// A public key, by the name of its file.
#[derive(Debug, Clone)]
pub struct PublicKey {
    name: String,
    /// The same key, by each algorithm that it may sign with.
    keys: Vec<ParsedPublicKey>,
    /// An Ed25519 key, which signs a text with cosign by its SHA-512 (Ed25519ph), and with others as it is.
    prehashed: Option<VerifyingKey>,
}

/// Why there is no public key where one is named.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the public key {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{name} is not a valid public key: {why}")]
    Unfit {
        /// Of the file.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Hint for KeyError {
    fn hint(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Read { .. } => "check the path and the permissions of the file".into(),
            Self::Unfit { .. } => "write the public key with `cosign public-key --key FILE`".into(),
        }
    }
}

impl PublicKey {
    /// Reads the file of a key.
    ///
    /// # Errors
    /// Where it cannot be read, or is no public key in PEM of a supported kind.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes =
            read_up_to(path, KEY_BYTES_MAX).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::parse(&name, &bytes)
    }

    /// Reads a key in PEM; `name` is what people call it.
    ///
    /// # Errors
    /// As of [`PublicKey::read`].
    pub fn parse(name: &str, pem: &[u8]) -> Result<Self, KeyError> {
        let unfit = |why| KeyError::Unfit { name: name.to_owned(), why };
        if pem.len() as u64 > KEY_BYTES_MAX {
            return Err(unfit("it is larger than any key"));
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| unfit("it does not hold `-----BEGIN PUBLIC KEY-----`"))?;
        let keys: Vec<_> =
            ALGORITHMS.iter().filter_map(|algorithm| ParsedPublicKey::new(*algorithm, &der).ok()).collect();
        if keys.is_empty() {
            return Err(unfit("only ECDSA P-256 and P-384, Ed25519, and RSA of 2048 bits or more are supported"));
        }
        let prehashed = ed25519(&der).and_then(|key| VerifyingKey::from_bytes(key).ok());
        Ok(Self { name: name.to_owned(), keys, prehashed })
    }

    /// The name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it made one of the signatures of this claim.
    fn signed(&self, claim: &Claim) -> bool {
        let verifies = |signature: &Vec<u8>| match &claim.signed {
            Signed::Bytes(bytes) => {
                self.keys.iter().any(|key| key.verify_sig(bytes, signature).is_ok())
                    || self.prehashed.as_ref().is_some_and(|key| verifies_prehashed(key, bytes, signature))
            }
            // Of Ed25519 none: it signs the text, or its SHA-512.
            Signed::Sha256(sha256) => Digest::import_less_safe(sha256, &SHA256)
                .is_ok_and(|digest| self.keys.iter().any(|key| key.verify_digest_sig(&digest, signature).is_ok())),
        };
        claim.signatures.iter().any(verifies)
    }
}

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410): the algorithm, which has no parameters.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The bytes of an Ed25519 key; none of any other.
fn ed25519(der: &[u8]) -> Option<&[u8; 32]> {
    der.strip_prefix(&ED25519_HEAD)?.try_into().ok()
}

/// Whether this is the key's signature of the SHA-512 of a text (RFC 8032, Ed25519ph without a context).
fn verifies_prehashed(key: &VerifyingKey, text: &[u8], signature: &[u8]) -> bool {
    let signature = Signature::from_slice(signature);
    signature
        .is_ok_and(|signature| key.verify_prehashed_strict(Sha512::new_with_prefix(text), None, &signature).is_ok())
}

/// The key that made one of the signatures of a claim.
pub fn signer<'k>(claim: &Claim, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
    keys.iter().find(|key| key.signed(claim))
}

/// Whether one of the keys made one of the claims.
pub fn is_signed(claims: &[Result<Claim, Unfit>], keys: &[PublicKey]) -> bool {
    claims.iter().flatten().any(|claim| signer(claim, keys).is_some())
}

/// Asks the keys about each claim.
pub fn verify(claims: Vec<Result<Claim, Unfit>>, keys: &[PublicKey]) -> Vec<Found> {
    let one = |claim: Result<Claim, Unfit>| match claim {
        Ok(claim) => match signer(&claim, keys) {
            Some(key) => Found::By(key.name.clone()),
            None => Found::Other(claim.by),
        },
        Err(why) => Found::Unfit(why),
    };
    claims.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
