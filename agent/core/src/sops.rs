//! Files that SOPS encrypted: which these are, for whom they are, and what they say in clear.
//!
//! ```text
//! bytes ─ format ─► Encrypted ─ age (the data key) ─► places of the text ─ value ─► text in clear, its secrets apart
//! ```
//! SOPS encrypts value by value: keys stay readable, and each value is bound to its place by the path as additional data. A
//! MAC over all values in their order says that none was changed, added or left out. Here a file is decrypted in place: all
//! that is not encrypted keeps its bytes, and the metadata goes.
//!
//! - [`age`]: the keys that the agent holds itself. Others (KMS, PGP, Vault, key groups) are the `sops` program's, which
//!   whoever hands in [`Keys`] runs.
//! - [`decrypting`]: a tree whose encrypted files read as if they were not encrypted.
//!
//! Not here: where keys come from, and any file. Encryption is the `sops` program's alone.

pub mod age;
pub mod decrypting;

mod dotenv;
mod json;
mod metadata;
mod seal;
mod yaml;

use std::borrow::Cow;
use std::error::Error;

use quarterdeck_shared::error::Hint;

use crate::sops::age::{AgeError, Identity};
pub use crate::sops::metadata::Metadata;
use crate::sops::seal::{Opener, SealError};
use crate::tree::paths::file_name;

/// How an encrypted file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Several documents at the most.
    Yaml,
    /// One document.
    Json,
    /// `NAME=value`, a line each.
    Dotenv,
    /// Any file, as the one value of a JSON document.
    Binary,
}

impl Format {
    /// What `--input-type` of the program calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Binary => "binary",
        }
    }
}

/// Why whoever holds keys gave none, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct KeyFailure {
    source: Box<dyn Error + Send + Sync>,
    hint: String,
}

impl KeyFailure {
    /// Of the error of whoever reads keys, or runs the program.
    pub fn new(error: impl Hint + Send + Sync + 'static) -> Self {
        Self { hint: error.hint().into_owned(), source: Box::new(error) }
    }
}

/// Who holds the keys. All calls may block.
pub trait Keys: Send + Sync {
    /// The age identities that are configured, read anew.
    ///
    /// # Errors
    /// Where one of their files cannot be read or holds none.
    fn identities(&self) -> Result<Vec<Identity>, KeyFailure>;

    /// Lets the `sops` program decrypt a file with the keys that it has itself.
    ///
    /// # Errors
    /// Where there is no such program, or it has no key.
    fn by_program(&self, format: Format, content: &[u8]) -> Result<Vec<u8>, KeyFailure>;
}

/// Why a file stays encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    /// Its metadata is not what SOPS writes.
    #[error("its SOPS metadata is not valid: {0}")]
    Metadata(String),
    /// The file is not what SOPS writes.
    #[error("it has SOPS metadata and is not a valid {format} file: {problem}", format = format.name())]
    Text {
        /// As what it was read.
        format: Format,
        /// What is wrong.
        problem: String,
    },
    /// No key is configured that could be tried.
    #[error("it is encrypted with SOPS for {}, and no age key is configured", list(recipients))]
    NoKey {
        /// For whom it is.
        recipients: Vec<String>,
    },
    /// None of the keys is one of its own.
    #[error("it is encrypted with SOPS for {}; the configured keys are {}", list(recipients), list(held))]
    OtherKeys {
        /// For whom it is.
        recipients: Vec<String>,
        /// Who we are.
        held: Vec<String>,
    },
    /// There is no key to it.
    #[error("it is encrypted with SOPS, and its metadata names no key that decrypts it")]
    NoRecipient,
    /// The keys that are configured could not be read.
    #[error(transparent)]
    Keys(KeyFailure),
    /// The program that has the key gave nothing.
    #[error("its data key is kept by {kept_by}")]
    Program {
        /// `KMS`, `PGP`.
        kept_by: String,
        /// Why not.
        source: KeyFailure,
    },
    /// Its data key is not what age writes.
    #[error("its data key is not valid")]
    Age(#[source] AgeError),
    /// A value does not open at its place.
    #[error("cannot decrypt {path}: {source}")]
    Value {
        /// Keys with `:` between them, as SOPS writes it.
        path: String,
        /// Why not.
        source: SealError,
    },
    /// What the MAC covers was changed.
    #[error("its MAC does not match its values: it was changed after SOPS encrypted it")]
    Mac,
}

impl Hint for SopsError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoKey { .. } => "name the file of an age key by `age_keys` of [sops]",
            Self::OtherKeys { .. } => {
                "add its key to `age_keys` of [sops], or encrypt the file for yours: `sops updatekeys FILE`"
            }
            Self::Keys(failure) | Self::Program { source: failure, .. } => return (&*failure.hint).into(),
            Self::Value { .. } | Self::Mac => "undo the change, and edit the file with `sops edit FILE` alone",
            Self::Metadata(_) | Self::Text { .. } | Self::NoRecipient | Self::Age(_) => "encrypt it again with sops",
        }
        .into()
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

/// What was decrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Clear {
    /// The file, without the metadata of SOPS.
    pub content: Vec<u8>,
    /// Every value that was encrypted, but for names, kinds and labels of objects.
    pub secrets: Vec<String>,
    /// Those of them that are not the data of a Secret, whose values are shown nowhere anyway: these have to be known by themselves
    /// wherever they get.
    pub exposed: Vec<String>,
}

/// It is told by its size alone.
impl std::fmt::Debug for Clear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes with {} secrets", self.content.len(), self.secrets.len())
    }
}

/// What SOPS calls an encrypted value.
const SEALED: &str = "ENC[AES256_GCM,";

/// Whether a whole value is encrypted. Of no file that was decrypted.
pub fn is_sealed(value: &str) -> bool {
    value.starts_with(SEALED) && value.ends_with(']')
}

/// Decrypts the file of a path; nothing where SOPS did not encrypt it.
///
/// # Errors
/// See [`SopsError`]. Nothing is given of a file that is not whole.
pub fn decrypt(path: &str, content: &[u8], keys: &dyn Keys) -> Result<Option<Clear>, SopsError> {
    // The MAC of each encrypted file is such a value itself.
    let Ok(text) = std::str::from_utf8(content) else { return Ok(None) };
    if !text.contains(SEALED) {
        return Ok(None);
    }
    let Some((format, metadata)) = metadata_of(path, text)? else { return Ok(None) };
    if metadata.recipients.is_empty() && metadata.others.is_empty() {
        return Err(SopsError::NoRecipient);
    }
    if let Some(key) = data_key(&metadata, keys)? {
        return by_key(format, text, &metadata, &key).map(Some);
    }
    let kept_by = metadata.others.join(", ");
    let failed = |source| SopsError::Program { kept_by, source };
    let content = keys.by_program(format, content).map_err(failed)?;
    let (secrets, exposed) = opened(format, text.as_bytes(), &content);
    Ok(Some(Clear { content, secrets, exposed }))
}

/// Decrypts a file with its data key.
fn by_key(format: Format, text: &str, metadata: &Metadata, key: &[u8]) -> Result<Clear, SopsError> {
    let mut opener = Opener::new(metadata, key)?;
    let content = match format {
        Format::Yaml => yaml::decrypt(text, &mut opener)?.into_bytes(),
        Format::Json => json::decrypt(text, &mut opener)?.into_bytes(),
        Format::Binary => json::decrypt_binary(text, &mut opener)?,
        Format::Dotenv => dotenv::decrypt(text, &mut opener)?,
    };
    let (secrets, exposed) = opener.verified()?;
    Ok(Clear { content, secrets, exposed })
}

/// The format of a file with its metadata, where it has some.
fn metadata_of(path: &str, text: &str) -> Result<Option<(Format, Metadata)>, SopsError> {
    let extension = file_name(path).rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_manifest = matches!(extension.as_deref(), Some("yaml" | "yml" | "json"));
    if text.trim_start().starts_with('{') {
        // A template may begin like this, and is not JSON.
        let Ok(documents) = crate::yaml::parse(text.as_bytes()) else { return Ok(None) };
        let Some(document) = documents.first() else { return Ok(None) };
        let Some(metadata) = Metadata::of(&document.value)? else { return Ok(None) };
        let is_value =
            document.value.as_object().is_some_and(|fields| fields.len() == 2 && fields.contains_key("data"));
        let format = if is_value && !is_manifest { Format::Binary } else { Format::Json };
        return Ok(Some((format, metadata)));
    }
    if is_manifest {
        // Of what is no YAML the renderer says it, with the place.
        let Ok(documents) = crate::yaml::parse(text.as_bytes()) else { return Ok(None) };
        for document in documents {
            if let Some(metadata) = Metadata::of(&document.value)? {
                return Ok(Some((Format::Yaml, metadata)));
            }
        }
        return Ok(None);
    }
    Ok(dotenv::metadata(text)?.map(|metadata| (Format::Dotenv, metadata)))
}

/// The data key of a file by a key of ours; nothing where the program may have one.
fn data_key(metadata: &Metadata, keys: &dyn Keys) -> Result<Option<Vec<u8>>, SopsError> {
    if metadata.recipients.is_empty() || metadata.is_shared {
        return Ok(None);
    }
    let identities = keys.identities().map_err(SopsError::Keys)?;
    for (_, sealed) in &metadata.recipients {
        if let Some(key) = age::open(sealed, &identities).map_err(SopsError::Age)? {
            return Ok(Some(key));
        }
    }
    if !metadata.others.is_empty() {
        return Ok(None);
    }
    let recipients = metadata.recipients.iter().map(|(recipient, _)| recipient.clone()).collect();
    let held: Vec<String> = identities.iter().map(Identity::recipient).collect();
    Err(if held.is_empty() { SopsError::NoKey { recipients } } else { SopsError::OtherKeys { recipients, held } })
}

/// What the program opened, what stands where a value was encrypted: all, and what is not the data of a Secret.
fn opened(format: Format, sealed: &[u8], clear: &[u8]) -> (Vec<String>, Vec<String>) {
    if matches!(format, Format::Dotenv | Format::Binary) {
        let text = String::from_utf8_lossy(clear);
        let value = |line: &str| line.split_once('=').map_or(line, |(_, value)| value).to_owned();
        let secrets: Vec<String> = text.lines().map(value).collect();
        return (secrets.clone(), secrets);
    }
    let documents = |bytes| crate::yaml::parse(bytes).unwrap_or_default();
    let (mut secrets, mut exposed) = (Vec::new(), Vec::new());
    for (sealed, clear) in documents(sealed).iter().zip(documents(clear)) {
        let known = secrets.len();
        seal::opened(&sealed.value, &clear.value, &mut secrets);
        if clear.value["kind"] != "Secret" {
            exposed.extend_from_slice(&secrets[known..]);
        }
    }
    (secrets, exposed)
}

#[cfg(test)]
mod tests;
