//! What signs without a key: the files that are read for it, each time, so that a renewed one is taken up.

use std::path::Path;

use jiff::Timestamp;
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_core::signature::keyless::{IdentityToken, TrustedRoot, signing_config};
use quarterdeck_shared::application::KeylessSpec;
use quarterdeck_system::file::read_up_to;

use super::error::SignError;

/// The public trusted root has some 10 KiB, and grows by a KiB a year.
const ROOT_BYTES_MAX: u64 = 1 << 20;

/// Tokens with many claims have some 4 KiB.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// The authorities that are trusted.
///
/// # Errors
/// Where the file cannot be read, or is of no use.
pub fn trusted_root(path: &Path) -> Result<TrustedRoot, SignError> {
    let bytes = read_up_to(path, ROOT_BYTES_MAX)
        .map_err(|source| SignError::TrustedRoot { path: path.to_owned(), why: source.to_string() })?;
    TrustedRoot::read(&bytes).map_err(|why| SignError::TrustedRoot { path: path.to_owned(), why: why.to_string() })
}

/// The identity token, which is good now. What of it could be shown is masked from now on.
///
/// # Errors
/// Where the file cannot be read, holds something else, or a token that has expired.
pub fn token(spec: &KeylessSpec, now: Timestamp) -> Result<IdentityToken, SignError> {
    let path = &spec.identity_token_file;
    let unfit = |why: String| SignError::Token { path: path.clone(), why };
    let bytes = read_up_to(path, TOKEN_BYTES_MAX).map_err(|error| unfit(error.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    SecretScrubber::global().keep(text.trim());
    let token = IdentityToken::read(&text).map_err(|why| unfit(why.to_string()))?;
    if token.expires <= now {
        return Err(unfit(format!("it expired at {}", token.expires)));
    }
    Ok(token)
}

/// The services that the configuration names one by one, as cosign wants them told.
pub(super) fn services(spec: &KeylessSpec) -> String {
    let fulcio = spec.fulcio_url.as_deref().unwrap_or_default();
    signing_config(fulcio, spec.timestamp_url.as_deref(), spec.rekor_url.as_deref())
}

/// Whether cosign says that the certificate authority made no certificate for the token.
pub(super) fn is_refusal(said: &str) -> bool {
    said.contains("Fulcio returned 4")
}
