//! The keys that the agent holds itself: identities of age (`AGE-SECRET-KEY-1…`), and the data keys that they open.
//!
//! Of the format (<https://age-encryption.org/v1>) this is what SOPS writes: an armored file of one chunk for X25519
//! recipients. The crate `age` reads more, and brings with it post-quantum and NIST curves, translations of its messages and
//! second versions of a dozen crates of this house; the primitives here are those of `aws-lc-rs`, which is in it anyway.

mod bech32;
mod file;

pub use file::{AgeError, open};

use aws_lc_rs::agreement::{PrivateKey, X25519};
use secrecy::{ExposeSecret as _, SecretBox};

/// Bytes of a key of X25519.
const KEY_BYTES: usize = 32;

/// Lines of a file of identities. A person has a handful of keys.
const LINES_MAX: usize = 1_000;

/// A secret key of X25519.
pub struct Identity {
    secret: SecretBox<[u8; KEY_BYTES]>,
    public: [u8; KEY_BYTES],
}

/// It is told by its recipient.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.recipient())
    }
}

/// Why a file holds no identities. Nothing of a key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A line is none.
    #[error("line {line} is not a valid age identity: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// In which way.
        why: &'static str,
    },
    /// There is none.
    #[error("it holds no age identity")]
    None,
}

impl Identity {
    /// The identities of a file as `age-keygen` writes it: one a line, `#` for comments.
    ///
    /// # Errors
    /// Where a line is not an identity of X25519, or there is none.
    pub fn read(text: &str) -> Result<Vec<Self>, IdentityError> {
        let mut identities = Vec::new();
        let lines = (1..).zip(text.lines().map(str::trim)).take(LINES_MAX);
        for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
            identities.push(Self::parse(text).map_err(|why| IdentityError::Line { line, why })?);
        }
        if identities.is_empty() { Err(IdentityError::None) } else { Ok(identities) }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let unknown = "only AGE-SECRET-KEY-1… is known here, a key of X25519; other keys are for the sops program";
        let (name, bytes) = bech32::decode(text).ok_or("it was cut off or mistyped")?;
        if name != "age-secret-key-" {
            return Err(unknown);
        }
        let secret: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| unknown)?;
        let public = public_of(&secret).ok_or("it is not a key of X25519")?;
        Ok(Self { secret: SecretBox::new(Box::new(secret)), public })
    }

    /// Whether such a recipient is of the kind of key that is known here.
    pub(super) fn is_known(recipient: &str) -> bool {
        bech32::decode(recipient).is_some_and(|(name, bytes)| name == "age" && bytes.len() == KEY_BYTES)
    }

    /// Whom others encrypt for: `age1…`.
    pub fn recipient(&self) -> String {
        bech32::encode("age", &self.public)
    }

    fn private(&self) -> Option<PrivateKey> {
        PrivateKey::from_private_key(&X25519, self.secret.expose_secret()).ok()
    }
}

fn public_of(secret: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let private = PrivateKey::from_private_key(&X25519, secret).ok()?;
    private.compute_public_key().ok()?.as_ref().try_into().ok()
}
