//! A manifest: one desired object as it goes to the cluster, with the place in git that it came from.

use std::sync::Arc;

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A SHA-256 of content that was put into one form: two manifests with the same digest are the same manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// Of a JSON value. serde_json keeps the keys of its maps sorted, so that equal values give equal bytes.
    pub fn of(value: &Value) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(serde_json::to_vec(value).unwrap_or_default());
        Self(hasher.finalize().into())
    }
}

/// One desired object.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which object; its namespace is filled in.
    pub resource: ResourceRef,
    /// The API version without its group: `v1`.
    pub version: String,
    /// The whole object, as it is sent.
    pub object: Arc<Value>,
    /// Where it was written, for messages: `apps/shop/deployment.yaml, document 2`.
    pub origin: Arc<str>,
    /// Of [`Manifest::object`].
    pub digest: ContentDigest,
}

impl Manifest {
    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        match self.resource.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}
