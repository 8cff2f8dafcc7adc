//! What SOPS writes beside the values: for whom the data key is encrypted, which values are, and the MAC.

use regex::Regex;
use serde_json::Value;

use super::SopsError;
use super::age::Identity;

/// The metadata of a file.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The age recipients, each with the data key encrypted for it.
    pub(super) recipients: Vec<(String, String)>,
    /// Who else keeps the data key, for people.
    pub(super) others: Vec<String>,
    /// Whether the data key is cut into parts, of which several are needed.
    pub(super) is_shared: bool,
    /// Encrypted like a value.
    pub(super) mac: String,
    /// What the MAC is bound to.
    pub(super) last_modified: String,
    /// Whether the MAC covers what is encrypted alone.
    pub(super) mac_only_encrypted: bool,
    /// Which values are encrypted.
    pub(super) rule: Rule,
}

/// Which values of a file are encrypted. SOPS writes one of these.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// All.
    All,
    /// Those with no key on their path that ends so.
    NoneWithSuffix(String),
    /// Those with a key on their path that ends so.
    WithSuffix(String),
    /// As the suffixes, by expressions.
    NoneMatching(Regex),
    Matching(Regex),
    /// Comments say it, which are gone by now: what looks encrypted is. The MAC tells what was changed.
    ByLook,
}

/// Where a data key may be kept beside age.
const OTHERS: [(&str, &str); 6] = [
    ("kms", "AWS KMS"),
    ("gcp_kms", "GCP KMS"),
    ("azure_kv", "Azure Key Vault"),
    ("hc_vault", "HashiCorp Vault"),
    ("hckms", "Huawei Cloud KMS"),
    ("pgp", "PGP"),
];

impl Metadata {
    /// The metadata of a document; nothing where it has none. A field that is called so and has no MAC is somebody's own.
    ///
    /// # Errors
    /// Where it is not what SOPS writes.
    pub(super) fn of(document: &Value) -> Result<Option<Self>, SopsError> {
        match document.get("sops") {
            Some(metadata) if metadata.get("mac").is_some() => Self::read(metadata).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads it.
    pub(super) fn read(metadata: &Value) -> Result<Self, SopsError> {
        let text = |name: &str| metadata[name].as_str().map(str::to_owned);
        let required = |name: &str| {
            text(name).ok_or_else(|| SopsError::Metadata(format!("it has no {name}, or one that is not text")))
        };
        let is_true = |name: &str| metadata[name] == true || metadata[name] == "true";
        let listed = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let mut recipients = Vec::new();
        let mut others: Vec<String> =
            OTHERS.iter().filter(|(field, _)| listed(&metadata[*field])).map(|(_, name)| (*name).to_owned()).collect();
        for key in metadata["age"].as_array().into_iter().flatten() {
            let (Some(recipient), Some(sealed)) = (key["recipient"].as_str(), key["enc"].as_str()) else {
                return Err(SopsError::Metadata("an age key of it has no recipient or no enc".to_owned()));
            };
            recipients.push((recipient.to_owned(), sealed.to_owned()));
        }
        // Of a plugin, of ssh, or post-quantum.
        if recipients.iter().any(|(recipient, _)| !Identity::is_known(recipient)) {
            others.push("another kind of age key".to_owned());
        }
        let is_shared = listed(&metadata["key_groups"]);
        if is_shared {
            others.push("several groups of keys".to_owned());
        }
        Ok(Self {
            recipients,
            others,
            is_shared,
            mac: required("mac")?,
            last_modified: required("lastmodified")?,
            mac_only_encrypted: is_true("mac_only_encrypted"),
            rule: Rule::read(text)?,
        })
    }
}

impl Rule {
    fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, SopsError> {
        let text = |name: &str| text(name).filter(|text| !text.is_empty());
        let expression = |name: &str| {
            let regex = text(name).map(|text| Regex::new(&text)).transpose();
            regex.map_err(|error| SopsError::Metadata(format!("its {name} is not valid: {error}")))
        };
        // In the order in which SOPS looks at them: a later one decides.
        if text("encrypted_comment_regex").or_else(|| text("unencrypted_comment_regex")).is_some() {
            return Ok(Self::ByLook);
        }
        if let Some(regex) = expression("encrypted_regex")? {
            return Ok(Self::Matching(regex));
        }
        if let Some(regex) = expression("unencrypted_regex")? {
            return Ok(Self::NoneMatching(regex));
        }
        if let Some(suffix) = text("encrypted_suffix") {
            return Ok(Self::WithSuffix(suffix));
        }
        Ok(text("unencrypted_suffix").map_or(Self::All, Self::NoneWithSuffix))
    }

    /// Whether the value at a path is encrypted.
    pub(super) fn covers(&self, path: &[String], looks_sealed: bool) -> bool {
        match self {
            Self::All => true,
            Self::NoneWithSuffix(suffix) => !path.iter().any(|key| key.ends_with(&**suffix)),
            Self::WithSuffix(suffix) => path.iter().any(|key| key.ends_with(&**suffix)),
            Self::NoneMatching(regex) => !path.iter().any(|key| regex.is_match(key)),
            Self::Matching(regex) => path.iter().any(|key| regex.is_match(key)),
            Self::ByLook => looks_sealed,
        }
    }
}
