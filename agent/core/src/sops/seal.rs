//! One value after the other: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]`, opened at its place and counted into the MAC.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::consts::{U12, U32};
use aes_gcm::{AesGcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use super::metadata::Metadata;
use super::{SEALED, SopsError};

/// What a MAC over encrypted values alone begins with, so that it is never one over all values: the SHA-256 of `sops`, see
/// `MACOnlyEncryptedInitialization` of SOPS.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Bytes of a data key, which is one of AES-256.
pub(super) const KEY_BYTES: usize = 32;

/// Why a value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It should be encrypted.
    #[error("it is not encrypted, and should be")]
    Plain,
    /// It does not read as one.
    #[error("it is not a valid encrypted value")]
    Form,
    /// It was encrypted with another key or at another place, or was changed.
    #[error("it was changed or moved after it was encrypted")]
    Tampered,
}

/// What a value is in clear.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Opened {
    /// As it is written.
    Kept,
    /// Text; the bytes of a binary file may be no UTF-8.
    Text(Vec<u8>),
    /// A number, true or false, as JSON writes it.
    Word(String),
    /// A comment, which is no value.
    Comment,
}

/// A value as it is in the file.
pub(super) enum Written<'a> {
    /// Empty: not encrypted, and not counted.
    Nothing,
    /// Text.
    Text(&'a str),
    /// Another scalar, as the MAC counts it.
    Other(String),
}

/// Opens the values of one file in their order.
pub(super) struct Opener<'a> {
    metadata: &'a Metadata,
    key: &'a [u8],
    mac: Sha512,
    secrets: Vec<String>,
    exposed: Vec<String>,
    /// Whether the document that is opened is a Secret.
    pub(super) is_secret: bool,
}

impl<'a> Opener<'a> {
    pub(super) fn new(metadata: &'a Metadata, key: &'a [u8]) -> Result<Self, SopsError> {
        if key.len() != KEY_BYTES {
            return Err(SopsError::Metadata(format!("its data key has {} bytes instead of {KEY_BYTES}", key.len())));
        }
        let mut mac = Sha512::new();
        if metadata.mac_only_encrypted {
            mac.update(ONLY_ENCRYPTED);
        }
        Ok(Self { metadata, key, mac, secrets: Vec::new(), exposed: Vec::new(), is_secret: false })
    }

    /// Opens the value at a path.
    pub(super) fn open(&mut self, path: &[String], written: &Written<'_>) -> Result<Opened, SopsError> {
        let looks_sealed = matches!(written, Written::Text(text) if text.starts_with(SEALED));
        let is_covered = self.metadata.rule.covers(path, looks_sealed);
        let failed = |source| SopsError::Value { path: path.join(":"), source };
        match written {
            Written::Nothing => Ok(Opened::Kept),
            Written::Text(text) if is_covered && !text.is_empty() => {
                let (clear, kind) = unseal(text, self.key, &format!("{}:", path.join(":"))).map_err(failed)?;
                if kind == "comment" {
                    return Ok(Opened::Comment);
                }
                self.mac.update(&clear);
                let opened = typed(clear, kind).ok_or_else(|| failed(SealError::Form))?;
                self.keep(path, &opened);
                Ok(opened)
            }
            Written::Other(_) if is_covered => Err(failed(SealError::Plain)),
            Written::Text(_) | Written::Other(_) if self.metadata.mac_only_encrypted && !is_covered => Ok(Opened::Kept),
            Written::Text(text) => {
                self.mac.update(text.as_bytes());
                Ok(Opened::Kept)
            }
            Written::Other(text) => {
                self.mac.update(text.as_bytes());
                Ok(Opened::Kept)
            }
        }
    }

    /// Remembers what is a secret now. What an object is called and what kind it is stands in every message of it.
    fn keep(&mut self, path: &[String], opened: &Opened) {
        if path.first().is_some_and(|key| matches!(&**key, "apiVersion" | "kind" | "metadata")) {
            return;
        }
        let value = match opened {
            Opened::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Opened::Word(word) if !matches!(&**word, "true" | "false") => word.clone(),
            Opened::Word(_) | Opened::Kept | Opened::Comment => return,
        };
        let is_masked = self.is_secret && path.first().is_some_and(|key| matches!(&**key, "data" | "stringData"));
        if !is_masked {
            self.exposed.push(value.clone());
        }
        self.secrets.push(value);
    }

    /// The secrets that were found, all and those that are exposed, where the MAC says that the file is whole.
    pub(super) fn verified(self) -> Result<(Vec<String>, Vec<String>), SopsError> {
        let (mac, _) =
            unseal(&self.metadata.mac, self.key, &self.metadata.last_modified).map_err(|_| SopsError::Mac)?;
        let computed: String = self.mac.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
        // Both are behind the key by now: who can see how long this takes has no use of it.
        if mac == computed.as_bytes() { Ok((self.secrets, self.exposed)) } else { Err(SopsError::Mac) }
    }
}

/// A sealed value in clear, with its type.
fn unseal<'v>(value: &'v str, key: &[u8], place: &str) -> Result<(Vec<u8>, &'v str), SealError> {
    let inner = value.strip_prefix(SEALED).ok_or(SealError::Plain)?.strip_suffix(']').ok_or(SealError::Form)?;
    let mut parts = inner.split(',');
    let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(SealError::Form);
    let (data, iv, tag, kind) = (part("data:")?, part("iv:")?, part("tag:")?, part("type:")?);
    let bytes = |text: &str| BASE64.decode(text).map_err(|_| SealError::Form);
    let (data, iv, tag) = (bytes(data)?, bytes(iv)?, bytes(tag)?);
    let sealed = [data, tag].concat();
    let payload = Payload { msg: &sealed, aad: place.as_bytes() };
    // SOPS takes 32 bytes; 12 are what the first version of it in Go took.
    let clear = match iv.len() {
        32 => AesGcm::<Aes256, U32>::new_from_slice(key)
            .ok()
            .and_then(|cipher| cipher.decrypt(&Nonce::<U32>::try_from(&*iv).ok()?, payload).ok()),
        12 => AesGcm::<Aes256, U12>::new_from_slice(key)
            .ok()
            .and_then(|cipher| cipher.decrypt(&Nonce::<U12>::try_from(&*iv).ok()?, payload).ok()),
        _ => return Err(SealError::Form),
    };
    clear.map(|clear| (clear, kind)).ok_or(SealError::Tampered)
}

fn typed(clear: Vec<u8>, kind: &str) -> Option<Opened> {
    match kind {
        "str" | "bytes" | "time" => Some(Opened::Text(clear)),
        "bool" => match &*clear {
            b"True" | b"true" => Some(Opened::Word("true".to_owned())),
            b"False" | b"false" => Some(Opened::Word("false".to_owned())),
            _ => None,
        },
        "int" | "float" => {
            let text = String::from_utf8(clear).ok()?;
            serde_json::from_str::<serde_json::Number>(&text).ok()?;
            Some(Opened::Word(text))
        }
        _ => None,
    }
}

/// Collects what stands in a decrypted value where the encrypted one has something sealed. Comments that were items of a list
/// are gone by then, so of such a list all is taken.
pub(super) fn opened(sealed: &Value, clear: &Value, secrets: &mut Vec<String>) {
    match (sealed, clear) {
        (Value::String(text), clear) if super::is_sealed(text) => all(clear, secrets),
        (Value::Object(sealed), Value::Object(clear)) => {
            let below = sealed.iter().filter(|(key, _)| !matches!(&***key, "apiVersion" | "kind" | "metadata"));
            below.for_each(|(key, value)| clear.get(key).into_iter().for_each(|clear| opened(value, clear, secrets)));
        }
        (Value::Array(sealed), Value::Array(clear)) if sealed.len() == clear.len() => {
            sealed.iter().zip(clear).for_each(|(sealed, clear)| opened(sealed, clear, secrets));
        }
        (Value::Array(_), clear) => all(clear, secrets),
        _ => {}
    }
}

fn all(clear: &Value, secrets: &mut Vec<String>) {
    match clear {
        Value::String(text) => secrets.push(text.clone()),
        Value::Number(number) => secrets.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| all(item, secrets)),
        Value::Object(fields) => fields.values().for_each(|field| all(field, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}
