//! An age file with a data key in it, opened by an identity.

use std::str::Lines;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{UnparsedPublicKey, X25519, agree};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Identity, KEY_BYTES};

/// Bytes of the key of a file, from which all other keys of it are made.
const FILE_KEY_BYTES: usize = 16;

/// The nonce before the payload.
const PAYLOAD_NONCE_BYTES: usize = 16;

/// A payload of more has a second chunk, and a data key has 32 bytes.
const CHUNK_BYTES: usize = (64 << 10) + 16;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Why a file is not opened, though it may be for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It is not a file of age.
    #[error("it is not an age file: {0}")]
    Form(&'static str),
    /// Its header or its content does not fit the key that opens it.
    #[error("it was changed after age encrypted it")]
    Tampered,
}

/// Opens a file; nothing where it is for none of these identities.
///
/// # Errors
/// Where it is not what age writes.
pub fn open(armored: &str, identities: &[Identity]) -> Result<Option<Vec<u8>>, AgeError> {
    let bytes = dearmored(armored)?;
    let Header { text, stanzas, mac, payload } = Header::read(&bytes)?;
    for identity in identities {
        let Some(file_key) = stanzas.iter().find_map(|stanza| unwrapped(stanza, identity)) else { continue };
        let mut expected = hmac(&derived(&file_key, &[], b"header"));
        expected.update(text);
        expected.verify_slice(&mac).map_err(|_| AgeError::Tampered)?;
        return content(&file_key, payload).map(Some);
    }
    Ok(None)
}

fn dearmored(text: &str) -> Result<Vec<u8>, AgeError> {
    let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let inner = inner.ok_or(AgeError::Form("it has no BEGIN and END lines"))?;
    let packed: String = inner.split_ascii_whitespace().collect();
    STANDARD.decode(packed).map_err(|_| AgeError::Form("it is not base64"))
}

/// Who may open a file, before the file itself.
struct Header<'a> {
    /// What the MAC is over.
    text: &'a [u8],
    stanzas: Vec<Stanza>,
    mac: Vec<u8>,
    payload: &'a [u8],
}

/// The key of the file for a recipient of X25519; others are not kept.
struct Stanza {
    share: Vec<u8>,
    body: Vec<u8>,
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, AgeError> {
        let end = bytes.windows(5).position(|five| five == b"\n--- ").map(|at| at + 1);
        let end = end.ok_or(AgeError::Form("its header has no end"))?;
        let line = bytes[end..].iter().position(|byte| *byte == b'\n').map(|length| end + length);
        let line = line.ok_or(AgeError::Form("its header has no end"))?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| AgeError::Form("its header is not text"));
        let mut lines = text(&bytes[..end])?.lines();
        if lines.next() != Some("age-encryption.org/v1") {
            return Err(AgeError::Form("it is of another version"));
        }
        let mac = unpacked(text(&bytes[end + 4..line])?)?;
        Ok(Self { text: &bytes[..end + 3], stanzas: stanzas(lines)?, mac, payload: &bytes[line + 1..] })
    }
}

/// `-> X25519 SHARE`, then lines of 64 letters, of which the last is shorter.
fn stanzas(mut lines: Lines<'_>) -> Result<Vec<Stanza>, AgeError> {
    let mut stanzas = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.strip_prefix("-> ").ok_or(AgeError::Form("a recipient of it does not begin with `->`"))?;
        let mut body = String::new();
        loop {
            let line = lines.next().ok_or(AgeError::Form("a recipient of it is cut off"))?;
            body.push_str(line);
            if line.len() < 64 {
                break;
            }
        }
        let words: Vec<&str> = line.split(' ').collect();
        if let ["X25519", share] = *words {
            stanzas.push(Stanza { share: unpacked(share)?, body: unpacked(&body)? });
        }
    }
    Ok(stanzas)
}

fn unpacked(text: &str) -> Result<Vec<u8>, AgeError> {
    STANDARD_NO_PAD.decode(text).map_err(|_| AgeError::Form("its header is not base64"))
}

/// The key of the file, where the stanza is for this identity.
fn unwrapped(stanza: &Stanza, identity: &Identity) -> Option<Vec<u8>> {
    if stanza.share.len() != KEY_BYTES {
        return None;
    }
    let private = identity.private()?;
    let peer = UnparsedPublicKey::new(&X25519, &stanza.share);
    let wrap = agree(&private, peer, (), |shared| {
        let salt = [&*stanza.share, &identity.public].concat();
        Ok(derived(shared, &salt, b"age-encryption.org/v1/X25519"))
    });
    let key = unsealed(&wrap.ok()?, [0; NONCE_LEN], &stanza.body)?;
    (key.len() == FILE_KEY_BYTES).then_some(key)
}

/// The one chunk of a payload, which is its last.
fn content(file_key: &[u8], payload: &[u8]) -> Result<Vec<u8>, AgeError> {
    let (nonce, chunk) = payload.split_at_checked(PAYLOAD_NONCE_BYTES).ok_or(AgeError::Form("it has no content"))?;
    if chunk.len() > CHUNK_BYTES {
        return Err(AgeError::Form("it is longer than a data key"));
    }
    let mut last = [0; NONCE_LEN];
    last[NONCE_LEN - 1] = 1;
    unsealed(&derived(file_key, nonce, b"payload"), last, chunk).ok_or(AgeError::Tampered)
}

fn unsealed(key: &[u8], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let mut bytes = sealed.to_vec();
    let clear = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes).ok()?;
    Some(clear.to_vec())
}

/// HKDF with SHA-256 (RFC 5869), of which one block is as long as each key here.
fn derived(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; KEY_BYTES] {
    let mut extract = hmac(salt);
    extract.update(secret);
    let mut expand = hmac(&extract.finalize().into_bytes());
    expand.update(info);
    expand.update(&[1]);
    expand.finalize().into_bytes().into()
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}
