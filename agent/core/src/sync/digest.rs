//! The digest of content that was put into one form.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A SHA-256 of content that was put into one form: two manifests with the same digest are the same manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// Of a JSON value. serde_json keeps the keys of its maps sorted, so that equal values give equal bytes.
    pub fn of(value: &Value) -> Self {
        Self::of_json(&serde_json::to_vec(value).unwrap_or_default())
    }

    /// Of what serde_json wrote of a value.
    pub fn of_json(json: &[u8]) -> Self {
        Self(Sha256::digest(json).into())
    }
}
