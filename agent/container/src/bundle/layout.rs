//! What a bundle holds: its index, and what the manifests in it name.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use quarterdeck_core::image_ref::check_digest;

/// The media types of OCI.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The full name that a part had where the bundle was made.
pub const NAME: &str = "org.opencontainers.image.ref.name";
/// What a part is: `manifests`, `chart` or `image`.
pub const PART: &str = "dev.quarterdeck.bundle.part";
/// The platforms whose blobs are in the bundle, where it does not have all.
pub const PLATFORMS: &str = "dev.quarterdeck.bundle.platforms";
/// The environment that the bundle is of.
pub const ENVIRONMENT: &str = "dev.quarterdeck.bundle.environment";
/// The revision that it ran.
pub const REVISION: &str = "dev.quarterdeck.bundle.revision";

/// Parts of a bundle: an environment runs some hundred images.
const PARTS_MAX: usize = 10_000;

/// What names a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its media type.
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// What names these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let (media_type, digest) = (media_type.to_owned(), format!("sha256:{hex}"));
        Self { media_type, digest, size: bytes.len() as u64, platform: None, annotations: BTreeMap::new() }
    }

    /// Its full name where the bundle was made.
    pub fn name(&self) -> &str {
        self.annotations.get(NAME).map_or("", String::as_str)
    }

    /// What kind of part it is: `image` where it does not say.
    pub fn part(&self) -> &str {
        self.annotations.get(PART).map_or("image", String::as_str)
    }
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `amd64`
    #[serde(default)]
    pub architecture: String,
    /// `v8`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// `linux/arm64/v8`
    pub fn name(&self) -> String {
        let variant = self.variant.iter().filter(|variant| !variant.is_empty());
        let variant: String = variant.map(|variant| format!("/{variant}")).collect();
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    /// Whether it is what a person means by `linux/arm64`: of any variant where none is named.
    pub fn is_meant_by(&self, text: &str) -> bool {
        self.name().strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// `index.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    #[serde(rename = "schemaVersion")]
    version: u32,
    #[serde(rename = "mediaType", default)]
    media_type: String,
    /// The parts of the bundle.
    pub manifests: Vec<Descriptor>,
    /// What the bundle is of.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The index of a bundle with these parts.
    pub fn new(manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        Self { version: 2, media_type: INDEX.to_owned(), manifests, annotations }
    }

    /// Reads one; the error is what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let index: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("index.json cannot be read: {error}"))?;
        if index.manifests.len() > PARTS_MAX {
            return Err(format!("index.json has more than {PARTS_MAX} entries"));
        }
        for part in &index.manifests {
            check(&part.digest)?;
        }
        Ok(index)
    }
}

/// A manifest of one image, or an index of several: one of the halves is empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// As it says itself.
    #[serde(rename = "mediaType", default)]
    media_type: String,
    /// Of an index: the manifests of the platforms.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Document {
    /// Reads a manifest or an index; the error is what is wrong with it.
    pub fn read(bytes: &[u8], digest: &str) -> Result<Self, String> {
        let document: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("manifest {digest} cannot be read: {error}"))?;
        for named in document.manifests.iter().chain(&document.config).chain(&document.layers) {
            check(&named.digest)?;
        }
        Ok(document)
    }

    /// Of which kind it is, where it does not say so as older ones of OCI.
    pub fn media_type(&self) -> &str {
        match (&*self.media_type, self.is_index()) {
            ("", true) => INDEX,
            ("", false) => MANIFEST,
            (said, _) => said,
        }
    }

    /// Whether it is of several platforms.
    pub fn is_index(&self) -> bool {
        !self.manifests.is_empty()
    }

    /// The blobs that it names, each once.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = BTreeSet::new();
        self.layers.iter().chain(&self.config).filter(|blob| seen.insert(&blob.digest)).collect()
    }

    /// Its configuration.
    pub fn config(&self) -> Option<&Descriptor> {
        self.config.as_ref()
    }

    /// The manifests of the platforms that are wanted, all where none is named.
    pub fn chosen(&self, platforms: &[String]) -> Vec<&Descriptor> {
        let is_wanted = |one: &&Descriptor| {
            let is = |platform: &Platform| platforms.iter().any(|text| platform.is_meant_by(text));
            platforms.is_empty() || one.platform.as_ref().is_some_and(is)
        };
        self.manifests.iter().filter(is_wanted).collect()
    }
}

fn check(digest: &str) -> Result<(), String> {
    match check_digest(digest) {
        Ok(()) if digest.starts_with("sha256:") => Ok(()),
        Ok(()) => Err(format!("{digest} is not a SHA-256 digest")),
        Err(why) => Err(format!("{digest:?}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn platforms_are_chosen_of_any_variant_and_blobs_named_once() {
        let one = |digit, os: &str, architecture: &str, variant: &str| {
            json!({ "mediaType": MANIFEST, "digest": digest(digit), "size": 1,
                "platform": { "os": os, "architecture": architecture, "variant": variant } })
        };
        let all =
            [one('a', "linux", "amd64", ""), one('b', "linux", "arm64", "v8"), one('c', "unknown", "unknown", "")];
        let index = Document::read(json!({ "manifests": all }).to_string().as_bytes(), "x").unwrap();
        for (wanted, found) in [
            (&[][..], "abc"),
            (&["linux/arm64"], "b"),
            (&["linux/arm64/v8", "linux/amd64"], "ab"),
            (&["linux/arm"], ""),
            (&["linux/arm64/v7"], ""),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
            let chosen: Vec<_> = index.chosen(&wanted).iter().map(|one| one.digest.clone()).collect();
            assert_eq!(chosen, found.chars().map(digest).collect::<Vec<_>>(), "{wanted:?}");
        }
        assert_eq!((index.media_type(), index.is_index()), (INDEX, true));
        let blob = |digit| json!({ "digest": digest(digit), "size": 3 });
        let twice = json!({ "config": blob('a'), "layers": [blob('b'), blob('b')] }).to_string();
        let manifest = Document::read(twice.as_bytes(), "x").unwrap();
        assert_eq!((manifest.blobs().len(), manifest.media_type()), (2, MANIFEST));
    }

    #[test]
    fn what_is_wrong_with_a_foreign_layout_is_told() {
        let named =
            |digest: &str| json!({ "schemaVersion": 2, "manifests": [{ "digest": digest, "size": 1 }] }).to_string();
        for (text, words) in [
            ("<html>".to_owned(), "index.json cannot be read: expected value"),
            ("{}".to_owned(), "index.json cannot be read: missing field"),
            (named("sha256:../../etc"), "\"sha256:../../etc\": a digest is sha256: and 64 hexadecimal digits"),
            (named(&format!("sha512:{}", "a".repeat(128))), "is not a SHA-256 digest"),
        ] {
            let told = Index::read(text.as_bytes()).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(Index::read(named(&digest('a')).as_bytes()).unwrap().manifests[0].part(), "image");
    }
}
