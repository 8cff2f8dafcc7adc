//! What a signature of an image claims, in the forms that `cosign` writes (pure): which bytes a key has to have signed, and that
//! they speak of this image.
//!
//! - The payload of "simple signing", beside the image under the tag `sha256-HEX.sig`; its signature is an annotation.
//! - A DSSE envelope around an in-toto statement: under `sha256-HEX.att`, or in a Sigstore bundle that refers to the image.
//! - A Sigstore bundle with a signature of the image's manifest itself.
//!
//! Nothing here is verified: whoever has a [`Claim`] asks a key. What is known then is judged by [`judge`].

pub mod keyless;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quarterdeck_shared::application::SbomFormat;
use serde::Deserialize;
use serde_json::Value;

/// The annotation of a layer with the signature of its bytes.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// The annotation of a layer with the certificate of who signed without a key of their own.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";

/// How the media types of Sigstore bundles begin: `…v0.3+json`, and in older ones `…+json;version=0.3`.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle";

/// What a signature of an image is called in the statement of a bundle.
const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What cosign writes into the payload of a signature.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// The only kind of payload of an envelope that says what it is about.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// How the types of statements begin: v0.1 and v1 are in use.
const STATEMENT_PREFIX: &str = "https://in-toto.io/Statement/";

/// Signatures in one envelope that are tried: cosign writes one.
const SIGNATURES_MAX: usize = 8;

/// Reasons in one message: what a person reads.
const TOLD_MAX: usize = 3;

/// What a key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// That it signed the image.
    Signature,
    /// That it signed a list of what is in the image.
    Sbom(SbomFormat),
    /// That it signed how the image was built.
    Provenance,
}

impl Wanted {
    /// The tag under which cosign keeps it beside the image with this digest.
    pub fn tag(self, digest: &str) -> String {
        let suffix = match self {
            Self::Signature => "sig",
            Self::Sbom(_) | Self::Provenance => "att",
        };
        format!("{}.{suffix}", digest.replace(':', "-"))
    }

    /// What cosign calls the type of its statement; nothing of a signature, which is none.
    pub fn kind(self) -> Option<&'static str> {
        match self {
            Self::Signature => None,
            Self::Sbom(SbomFormat::Spdx) => Some("spdxjson"),
            Self::Sbom(SbomFormat::Cyclonedx) => Some("cyclonedx"),
            Self::Provenance => Some("slsaprovenance1"),
        }
    }

    /// What the statement of an envelope or bundle says that it is.
    pub fn predicate(self) -> &'static str {
        match self {
            Self::Signature => SIGN_PREDICATE,
            Self::Sbom(SbomFormat::Spdx) => "https://spdx.dev/Document",
            Self::Sbom(SbomFormat::Cyclonedx) => "https://cyclonedx.org/bom",
            Self::Provenance => "https://slsa.dev/provenance/v1",
        }
    }
}

/// What a key has to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes with this SHA-256.
    Sha256(Vec<u8>),
}

/// A signature that speaks of the image: true where a key verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What was signed.
    pub signed: Signed,
    /// By one of these.
    pub signatures: Vec<Vec<u8>>,
    /// By what, as it says itself.
    pub by: Signer,
}

impl Claim {
    /// What a statement says of the image, beside which image it is; none where what was signed is no statement.
    pub fn predicate(&self) -> Option<Value> {
        #[derive(Deserialize)]
        struct Said {
            predicate: Value,
        }
        let Signed::Bytes(bytes) = &self.signed else { return None };
        // Behind the head that `pre_authentication` writes: four words, none with a space in it.
        let payload = bytes.splitn(5, |byte| *byte == b' ').nth(4)?;
        serde_json::from_slice::<Said>(payload).ok().map(|said| said.predicate)
    }
}

/// What a signature says of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Nothing.
    Unknown,
    /// The hint of the key: with cosign the base64 of its SHA-256.
    Key(String),
    /// It was made with a certificate, as with Sigstore's public service.
    Certificate,
}

/// Why something that should be a signature of an image is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("its {0} is not valid JSON")]
    Json(&'static str),
    /// Some part of it cannot be read.
    #[error("its {0} is not base64")]
    Base64(&'static str),
    /// It speaks of something else.
    #[error("it is of another image")]
    OtherImage,
    /// It says something else.
    #[error("its {0} is of another type")]
    OtherType(&'static str),
    /// There is nothing in it.
    #[error("it holds no signature")]
    Empty,
    /// Its bytes are larger than any signature's.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The registry has other bytes than it names, or none.
    #[error("its bytes are not those of its digest")]
    OtherBytes,
    /// The registry does not have what it names.
    #[error("its bytes are not in the registry")]
    Missing,
    /// More than are looked at.
    #[error("there are more than {0}")]
    TooMany(usize),
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: PayloadImage,
    r#type: String,
}

#[derive(Deserialize)]
struct PayloadImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    verification_material: Option<Material>,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<KeyHint>,
}

#[derive(Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    #[serde(default)]
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    #[serde(default)]
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

#[derive(Deserialize)]
struct SubjectDigest {
    #[serde(default)]
    sha256: String,
}

/// The payload of simple signing, with its signature in base64.
///
/// # Errors
/// Where it is none of the image with this digest.
pub fn of_payload(bytes: &[u8], signature: &str, by: Signer, digest: &str) -> Result<Claim, Unfit> {
    let Payload { critical } = serde_json::from_slice(bytes).map_err(|_| Unfit::Json("payload"))?;
    if critical.r#type != PAYLOAD_TYPE {
        return Err(Unfit::OtherType("payload"));
    }
    if critical.image.digest != digest {
        return Err(Unfit::OtherImage);
    }
    let signature = decoded(signature, "signature")?;
    if signature.is_empty() {
        return Err(Unfit::Empty);
    }
    Ok(Claim { signed: Signed::Bytes(bytes.to_vec()), signatures: vec![signature], by })
}

/// An envelope of its own; none where it says something else of the image.
///
/// # Errors
/// Where it is none of the image with this digest.
pub fn of_envelope(bytes: &[u8], wanted: Wanted, digest: &str) -> Result<Option<Claim>, Unfit> {
    let envelope = serde_json::from_slice(bytes).map_err(|_| Unfit::Json("envelope"))?;
    in_envelope(envelope, Signer::Unknown, wanted, digest)
}

/// A Sigstore bundle; none where it says something else of the image.
///
/// # Errors
/// Where it is none of the image with this digest.
pub fn of_bundle(bytes: &[u8], wanted: Wanted, digest: &str) -> Result<Option<Claim>, Unfit> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|_| Unfit::Json("bundle"))?;
    let by = match bundle.verification_material.and_then(|material| material.public_key) {
        Some(KeyHint { hint }) => Signer::Key(hint),
        None => Signer::Certificate,
    };
    match (bundle.dsse_envelope, bundle.message_signature) {
        (Some(envelope), _) => in_envelope(envelope, by, wanted, digest),
        (None, Some(signature)) if wanted == Wanted::Signature => of_manifest(&signature, by, digest).map(Some),
        (None, Some(_)) => Ok(None),
        (None, None) => Err(Unfit::Empty),
    }
}

fn in_envelope(envelope: Envelope, by: Signer, wanted: Wanted, digest: &str) -> Result<Option<Claim>, Unfit> {
    if envelope.payload_type != STATEMENT_TYPE {
        return Err(Unfit::OtherType("envelope"));
    }
    let payload = decoded(&envelope.payload, "payload")?;
    let statement: Statement = serde_json::from_slice(&payload).map_err(|_| Unfit::Json("statement"))?;
    if !statement.kind.starts_with(STATEMENT_PREFIX) {
        return Err(Unfit::OtherType("statement"));
    }
    if statement.predicate_type != wanted.predicate() {
        return Ok(None);
    }
    let is_of_it = |subject: &Subject| digest.strip_prefix("sha256:") == Some(&subject.digest.sha256);
    if !statement.subject.iter().any(is_of_it) {
        return Err(Unfit::OtherImage);
    }
    let signatures = envelope.signatures.iter().take(SIGNATURES_MAX).map(|one| decoded(&one.sig, "signature"));
    let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
    if signatures.iter().all(Vec::is_empty) {
        return Err(Unfit::Empty);
    }
    Ok(Some(Claim { signed: Signed::Bytes(pre_authentication(&envelope.payload_type, &payload)), signatures, by }))
}

/// What an envelope's keys sign: the type and the payload, each behind its length (DSSE 1.0.2, "PAE").
fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A signature of the manifest, whose bytes are known by the digest.
fn of_manifest(signature: &MessageSignature, by: Signer, digest: &str) -> Result<Claim, Unfit> {
    if signature.message_digest.algorithm != "SHA2_256" {
        return Err(Unfit::OtherType("digest"));
    }
    let sha256 = decoded(&signature.message_digest.digest, "digest")?;
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    if digest.strip_prefix("sha256:") != Some(&hex) {
        return Err(Unfit::OtherImage);
    }
    let signatures = vec![decoded(&signature.signature, "signature")?];
    Ok(Claim { signed: Signed::Sha256(sha256), signatures, by })
}

fn decoded(text: &str, what: &'static str) -> Result<Vec<u8>, Unfit> {
    BASE64_STANDARD.decode(text).map_err(|_| Unfit::Base64(what))
}

/// What became of one signature once the keys were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This key signed.
    By(String),
    /// Another one did, or a certificate.
    Other(Signer),
    /// It is no signature of this image.
    Unfit(Unfit),
}

/// The keys that signed, each once; where none did, what was found instead, for people.
///
/// # Errors
/// Where none of the keys signed.
pub fn judge(found: &[Found]) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for one in found {
        if let Found::By(name) = one
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    if !names.is_empty() {
        return Ok(names);
    }
    let mut told: Vec<String> = found.iter().map(describe).collect();
    told.dedup();
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(if told.is_empty() { "no signature was found".to_owned() } else { format!("found {}{more}", told.join(", ")) })
}

fn describe(found: &Found) -> String {
    match found {
        Found::By(name) => format!("a signature by {name}"),
        Found::Other(Signer::Key(hint)) if is_hint(hint) => format!("a signature by the unknown key {hint}"),
        Found::Other(Signer::Key(_) | Signer::Unknown) => "a signature by an unknown key".to_owned(),
        Found::Other(Signer::Certificate) => "a signature by a certificate instead of a key".to_owned(),
        Found::Unfit(Unfit::TooMany(most)) => format!("more than {most} signatures, of which {most} are looked at"),
        Found::Unfit(why) => format!("an invalid signature ({why})"),
    }
}

/// A registry may answer anything: what is shown is a hash, or short words.
fn is_hint(hint: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_.:".contains(&byte);
    (1..=88).contains(&hint.len()) && hint.bytes().all(is_fit)
}

#[cfg(test)]
mod tests;
