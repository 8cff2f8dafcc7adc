//! Signing for an identity as `cosign` 3 does it: a token, a certificate for whoever it says, a timestamp. The certificate is the stand-in's
//! own: JSON with the names and the public key, by an authority that is known by its address alone. What it signs is signed, and what is
//! verified is verified.

use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::arguments::option;
use super::form::{BUNDLE, Layer, envelope};
use super::{Key, form};

/// The certificate authority that is there; another address is one that is away.
pub const FULCIO: &str = "https://fulcio.example";

/// The only issuer whose tokens it takes.
pub const ISSUER: &str = "https://issuer.example";

/// The word by which the certificate authority has every refusal of a token.
const REFUSED: &str =
    r#"Fulcio returned 400: {"code":3,"message":"There was an error processing the identity token","details":[]}"#;

/// A token of this identity by this issuer, which is good for so many seconds.
pub fn identity_token(identity: &str, issuer: &str, seconds: i64) -> String {
    let claims = json!({ "iss": issuer, "aud": "sigstore", "email": identity, "exp": now() + seconds }).to_string();
    format!("e30.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims), BASE64_URL_SAFE_NO_PAD.encode(b"signed by the issuer"))
}

/// A trusted root with this certificate authority, and a timestamp authority.
pub fn trusted_root(authority: &str, with_time: bool) -> String {
    let mut root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": [{ "uri": authority }],
    });
    if with_time {
        root["timestampAuthorities"] = json!([{ "uri": "https://timestamp.example" }]);
    }
    root.to_string()
}

/// Who signs, with a key that is used once.
pub struct Certified {
    key: Key,
    certificate: Value,
    has_time: bool,
}

impl Certified {
    /// A certificate of an authority for an identity, and whether a timestamp says that it was used in time.
    pub fn new(authority: &str, identity: &str, issuer: &str, has_time: bool) -> Self {
        let key = Key::generate();
        let public = BASE64_STANDARD.encode(key.0.public_key().as_ref());
        let certificate = json!({ "by": authority, "identity": identity, "issuer": issuer, "key": public });
        Self { key, certificate, has_time }
    }

    /// A layer with a bundle.
    pub fn bundle(&self, statement: &Value) -> Layer {
        let raw = BASE64_STANDARD.encode(self.certificate.to_string());
        let time = if self.has_time { json!([{ "signedTimestamp": "MAA=" }]) } else { json!([]) };
        let json = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": { "rawBytes": raw }, "timestampVerificationData": { "rfc3161Timestamps": time },
            },
            "dsseEnvelope": envelope(&self.key, statement),
        });
        Layer { media_type: BUNDLE.to_owned(), bytes: json.to_string().into_bytes(), annotations: [].into() }
    }
}

/// Asks for a certificate, as the arguments say.
pub(super) fn certify(arguments: &[String]) -> anyhow::Result<Certified> {
    let file = option(arguments, "--signing-config").context("the stand-in does not know the public services")?;
    let services: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let file = option(arguments, "--identity-token").context("no token")?;
    let token = std::fs::read_to_string(file).with_context(|| format!("reading ID token: open {file}"))?;
    let claims = token.trim().split('.').nth(1).context("unable to get subject from identity token")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    let authority = services["caUrls"][0]["url"].as_str().context("no Fulcio in the signing config")?;
    let post = format!("error signing bundle: Post \"{authority}/api/v2/signingCert\"");
    ensure!(authority == FULCIO, "{post}: dial tcp 192.0.2.1:443: connect: connection refused");
    let is_good = claims["iss"] == ISSUER && claims["exp"].as_i64().is_some_and(|until| until > now());
    ensure!(is_good, "error signing bundle: {REFUSED}");
    let identity = claims["email"].as_str().unwrap_or_default();
    Ok(Certified::new(authority, identity, ISSUER, services["tsaUrls"].is_array()))
}

/// Verifies a bundle as the arguments say, in the order of cosign; what its statement says that it is.
pub(super) fn verify(bundle: &[u8], arguments: &[String], root: &Value) -> anyhow::Result<String> {
    let bundle: Value = serde_json::from_slice(bundle)?;
    let material = &bundle["verificationMaterial"];
    let times = material["timestampVerificationData"]["rfc3161Timestamps"].as_array().map_or(0, Vec::len);
    let has = |flag: &str| arguments.iter().any(|one| one == flag);
    if !has("--insecure-ignore-tlog=true") {
        bail!("failed to verify log inclusion: not enough verified log entries from transparency log: 0 < 1");
    }
    let is_known = root["timestampAuthorities"].is_array();
    let verified = if is_known { times } else { 0 };
    ensure!(
        !has("--use-signed-timestamps=true") || verified > 0,
        "failed to verify timestamps: threshold not met for verified signed timestamps: 0 < 1; error: %!w(<nil>)"
    );
    let raw = material["certificate"]["rawBytes"].as_str().context("failed to verify leaf certificate")?;
    let certificate: Value = serde_json::from_slice(&BASE64_STANDARD.decode(raw)?)?;
    let authorities = root["certificateAuthorities"].as_array().into_iter().flatten();
    let is_trusted = authorities.into_iter().any(|one| one["uri"] == certificate["by"]);
    ensure!(is_trusted, "failed to verify leaf certificate: leaf certificate verification failed");
    let signed = &bundle["dsseEnvelope"];
    let payload = BASE64_STANDARD.decode(signed["payload"].as_str().unwrap_or_default())?;
    let signature = BASE64_STANDARD.decode(signed["signatures"][0]["sig"].as_str().unwrap_or_default())?;
    let public = BASE64_STANDARD.decode(certificate["key"].as_str().unwrap_or_default())?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public);
    let is_its = key.verify(&form::signed_bytes(&payload), &signature).is_ok();
    ensure!(is_its, "failed to verify signature: could not verify envelope");
    for (what, option_name, found) in [
        ("SAN", "--certificate-identity", &certificate["identity"]),
        ("issuer", "--certificate-oidc-issuer", &certificate["issuer"]),
    ] {
        let wanted = option(arguments, option_name).context("--certificate-identity is required")?;
        ensure!(
            found == wanted,
            "failed to verify certificate identity: no matching CertificateIdentity found, last error: expected {what} value \
             \"{wanted}\", got {found}"
        );
    }
    let statement: Value = serde_json::from_slice(&payload)?;
    Ok(statement["predicateType"].as_str().unwrap_or_default().to_owned())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}
