//! The forms of a signature, byte for byte as cosign writes them but for the order of JSON keys.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Key;

/// What a bundle's media type is.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const STATEMENT: &str = "application/vnd.in-toto+json";

/// A layer of a manifest that is no image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// What it is.
    pub media_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Beside it in the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// The payload of simple signing.
pub fn payload(image: &str, digest: &str) -> Vec<u8> {
    let (identity, image) = (json!({ "docker-reference": image }), json!({ "docker-manifest-digest": digest }));
    let critical = json!({ "identity": identity, "image": image, "type": "cosign container image signature" });
    json!({ "critical": critical, "optional": null }).to_string().into_bytes()
}

/// A layer of simple signing: a payload with what should be its signature.
pub fn simple(payload: Vec<u8>, signature: String) -> Layer {
    Layer {
        media_type: "application/vnd.dev.cosign.simplesigning.v1+json".to_owned(),
        bytes: payload,
        annotations: [("dev.cosignproject.cosign/signature".to_owned(), signature)].into(),
    }
}

/// A statement about an image.
pub fn statement(predicate_type: &str, digest: &str, predicate: &Value) -> Value {
    let hex = digest.trim_start_matches("sha256:");
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": hex }, "annotations": {} }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// A statement in a signed envelope.
pub fn envelope(key: &Key, statement: &Value) -> Value {
    let payload = statement.to_string();
    json!({
        "payload": BASE64_STANDARD.encode(&payload),
        "payloadType": STATEMENT,
        "signatures": [{ "sig": key.sign(&signed_bytes(payload.as_bytes())) }],
    })
}

/// What is signed of a statement.
pub(super) fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A layer with a bundle.
pub fn bundle(key: &Key, statement: &Value) -> Layer {
    let json = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": key.hint() } },
        "dsseEnvelope": envelope(key, statement),
    });
    Layer { media_type: BUNDLE.to_owned(), bytes: json.to_string().into_bytes(), annotations: BTreeMap::new() }
}
