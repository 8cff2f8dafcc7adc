//! Signatures without a key (pure): a token says who asks, a certificate of some minutes says it to others, and a timestamp or a log says
//! that it was used in time. What `cosign` is told, and what it answers.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SIGN_PREDICATE, Wanted};

/// How the media types of trusted roots begin.
const ROOT_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// What cosign calls the services that it signs with.
const SIGNING_CONFIG_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// Since when services of an address are used: a list of them has to say it, and an address was always meant.
const ALWAYS: &str = "1970-01-01T00:00:00Z";

/// What cosign writes into the payload of a signature of version 2.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// Names in a certificate are shown up to here; mail addresses and URIs of workflows are shorter.
const NAME_CHARS_MAX: usize = 200;

/// Which kinds of authorities a trusted root has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedRoot {
    has_log: bool,
    has_certificate_log: bool,
}

/// Why a file is not a trusted root of any use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitRoot {
    /// Something else.
    #[error("it is not a trusted root of Sigstore")]
    OtherType,
    /// No certificate would be trusted.
    #[error("it has no certificate authority")]
    NoAuthority,
    /// A certificate is good for ten minutes, and nobody would say that it was used in these.
    #[error("it has neither a timestamp authority nor a transparency log, so nothing says when a signature was made")]
    NoTime,
}

impl TrustedRoot {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it is something else, or by it no signature could be verified.
    pub fn read(bytes: &[u8]) -> Result<Self, UnfitRoot> {
        let root: Value = serde_json::from_slice(bytes).map_err(|_| UnfitRoot::OtherType)?;
        if !root["mediaType"].as_str().is_some_and(|kind| kind.starts_with(ROOT_TYPE)) {
            return Err(UnfitRoot::OtherType);
        }
        let has = |what: &str| root[what].as_array().is_some_and(|all| !all.is_empty());
        if !has("certificateAuthorities") {
            return Err(UnfitRoot::NoAuthority);
        }
        if !has("tlogs") && !has("timestampAuthorities") {
            return Err(UnfitRoot::NoTime);
        }
        Ok(Self { has_log: has("tlogs"), has_certificate_log: has("ctlogs") })
    }

    /// The options by which `cosign` asks for all that this root can verify: a signed timestamp where there is no log.
    pub fn options(self) -> Vec<&'static str> {
        let time: &[_] =
            if self.has_log { &[] } else { &["--insecure-ignore-tlog=true", "--use-signed-timestamps=true"] };
        let certificate: &[_] = if self.has_certificate_log { &[] } else { &["--insecure-ignore-sct=true"] };
        [time, certificate].concat()
    }
}

/// What an identity token says of itself. It is verified by whom it is shown to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityToken {
    /// Who made it.
    pub issuer: String,
    /// Until when it may be used.
    pub expires: Timestamp,
}

/// A text that is no identity token. Nothing of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not hold an identity token, which is three parts of base64 with dots between them")]
pub struct NoToken;

impl IdentityToken {
    /// Reads a token (RFC 7519), which nobody verifies here.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str) -> Result<Self, NoToken> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
            exp: f64,
        }
        let [_, claims, _] = text.trim().split('.').collect::<Vec<_>>()[..] else { return Err(NoToken) };
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| NoToken)?;
        let Claims { iss, exp } = serde_json::from_slice(&claims).map_err(|_| NoToken)?;
        #[expect(clippy::cast_possible_truncation, reason = "seconds; what no clock shows is refused below")]
        let expires = Timestamp::from_second(exp as i64).map_err(|_| NoToken)?;
        Ok(Self { issuer: shown(&iss), expires })
    }
}

/// The services at these addresses, as cosign wants them told.
pub fn signing_config(fulcio: &str, timestamp: Option<&str>, rekor: Option<&str>) -> String {
    let service = |url: &str| json!([{ "url": url, "majorApiVersion": 1, "validFor": { "start": ALWAYS }, "operator": "quarterdeck" }]);
    let any = json!({ "selector": "ANY" });
    let mut config = json!({ "mediaType": SIGNING_CONFIG_TYPE, "caUrls": service(fulcio) });
    if let Some(timestamp) = timestamp {
        (config["tsaUrls"], config["tsaConfig"]) = (service(timestamp), any.clone());
    }
    if let Some(rekor) = rekor {
        (config["rekorTlogUrls"], config["rekorTlogConfig"]) = (service(rekor), any);
    }
    config.to_string()
}

/// Whether what `cosign verify` printed is about this image and what is wanted of it: it accepts any statement of the identity, also one that
/// is no signature of the image but, say, the report of a scanner.
pub fn speaks_of(printed: &[u8], digest: &str) -> bool {
    let Ok(Value::Array(verified)) = serde_json::from_slice(printed) else { return false };
    let is_it = |one: &Value| {
        let critical = &one["critical"];
        let is_signature = critical["type"] == SIGN_PREDICATE || critical["type"] == PAYLOAD_TYPE;
        is_signature && critical["image"]["docker-manifest-digest"] == digest
    };
    verified.iter().any(is_it)
}

/// What cosign found instead of a signature by the identity; none where it could not look, whose reason is another matter.
pub fn found_instead(said: &str, wanted: Wanted) -> Option<String> {
    let none = || match wanted {
        Wanted::Signature => "no signature was found".to_owned(),
        Wanted::Sbom(_) | Wanted::Provenance => "no signed statement was found".to_owned(),
    };
    let is_none =
        ["no signatures found", "none of the attestations matched", "no matching attestations: no attestations"];
    if is_none.iter().any(|words| said.contains(words)) {
        return Some(none());
    }
    if let Some(other) = got(said, "expected SAN value ") {
        return Some(format!("found a signature by {other}"));
    }
    if let Some(other) = got(said, "expected issuer value ") {
        return Some(format!("found a signature by the same identity of the issuer {other}"));
    }
    let reasons = [
        ("failed to verify timestamps", "found a signature without a timestamp that the trusted root can verify"),
        ("not enough verified log entries", "found a signature that is in no transparency log of the trusted root"),
        ("leaf certificate verification failed", "found a signature whose certificate is not of the trusted root"),
        ("no matching attestations", "found a signature that is not valid"),
        ("no matching signatures", "found a signature that is not valid"),
    ];
    reasons.iter().find(|(words, _)| said.contains(words)).map(|(_, found)| (*found).to_owned())
}

/// `…, got "this"` behind these words.
fn got<'s>(said: &'s str, words: &str) -> Option<String> {
    let (_, rest) = said.split_once(words)?;
    let (_, got): (&'s str, &'s str) = rest.split_once("got \"")?;
    Some(shown(got.split('"').next().unwrap_or_default()))
}

/// A name that somebody else wrote.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
