//! What an image is made of, as OCI's image layout has it: an index or a manifest, and the blobs that these name.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use quarterdeck_core::image_ref::check_digest;

/// An index of many platforms has some kilobytes; the specification lets registries refuse more than this.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// What names a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Descriptor {
    #[serde(rename = "mediaType")]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

/// An index, or a manifest: one of the two halves is empty.
#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) manifest: Descriptor,
    /// `linux/amd64`
    pub(super) platform: String,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// All of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// Its index, or its only manifest: the digest of this one is the image's id.
    pub(super) root: Descriptor,
    pub(super) parts: Vec<Part>,
}

impl Whole {
    /// The image that a layout has: the one that its index names.
    pub(super) fn of_layout(index: &[u8], read: impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Self, String> {
        let Document { mut manifests, .. } = parsed(index, "index.json")?;
        match (manifests.pop(), manifests.is_empty()) {
            (Some(root), true) => Self::of(root, read),
            _ => Err("its layout does not have one image".to_owned()),
        }
    }

    /// Reads what the root names.
    pub(super) fn of(root: Descriptor, read: impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Self, String> {
        let document = document(&root, &read)?;
        let parts = match &document {
            Document { manifests, .. } if !manifests.is_empty() => {
                let part = |one: &Descriptor| part(one.clone(), self::document(one, &read)?, &read);
                manifests.iter().map(part).collect::<Result<Vec<_>, _>>()?
            }
            _ => vec![part(root.clone(), document, &read)?],
        };
        Ok(Self { root, parts })
    }

    /// Every blob that is no manifest, once, in the order in which the parts name them.
    pub(super) fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = BTreeMap::new();
        let all = self.parts.iter().flat_map(|part| part.layers.iter().chain([&part.config]));
        all.filter(|blob| seen.insert(&blob.digest, ()).is_none()).collect()
    }

    /// The manifests, each before what names it: an index is complete when it comes.
    pub(super) fn manifests(&self) -> Vec<&Descriptor> {
        let parts = self.parts.iter().map(|part| &part.manifest).filter(|one| one.digest != self.root.digest);
        parts.chain([&self.root]).collect()
    }

    /// The part for a platform; the only one, whatever it is for, where there is no choice.
    pub(super) fn part(&self, platform: &str) -> Option<&Part> {
        match &self.parts[..] {
            [only] => Some(only),
            parts => parts.iter().find(|part| part.platform == platform),
        }
    }

    /// What it was built for, for people.
    pub(super) fn platforms(&self) -> String {
        self.parts.iter().map(|part| part.platform.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn parsed(bytes: &[u8], what: &str) -> Result<Document, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{what} cannot be read: {error}"))
}

fn document(descriptor: &Descriptor, read: &impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Document, String> {
    parsed(&content(descriptor, read)?, &descriptor.digest)
}

fn content(descriptor: &Descriptor, read: &impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Vec<u8>, String> {
    let Descriptor { digest, size, .. } = descriptor;
    check_digest(digest).map_err(|why| format!("{digest:?}: {why}"))?;
    if *size > MANIFEST_BYTES_MAX {
        return Err(format!("{digest} has {size} bytes, and a manifest has {MANIFEST_BYTES_MAX} at most"));
    }
    read(digest).map_err(|error| format!("{digest}: {error}"))
}

fn part(manifest: Descriptor, document: Document, read: &impl Fn(&str) -> io::Result<Vec<u8>>) -> Result<Part, String> {
    let config = document.config.ok_or_else(|| format!("{} names no configuration", manifest.digest))?;
    for blob in document.layers.iter().chain([&config]) {
        check_digest(&blob.digest).map_err(|why| format!("{:?}: {why}", blob.digest))?;
    }
    let platform = match &manifest.platform {
        Some(platform) => platform.clone(),
        // A manifest that stands alone says so in its configuration.
        None => serde_json::from_slice(&content(&config, read)?)
            .map_err(|error| format!("{} cannot be read: {error}", config.digest))?,
    };
    let Platform { os, architecture, variant } = platform;
    let variant = variant.filter(|variant| !variant.is_empty()).map(|variant| format!("/{variant}"));
    let platform = format!("{os}/{architecture}{}", variant.unwrap_or_default());
    Ok(Part { manifest, platform, config, layers: document.layers })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Blobs by their digests.
    pub(in crate::engine::buildkit) type Blobs = BTreeMap<String, Vec<u8>>;

    pub(in crate::engine::buildkit) fn add(blobs: &mut Blobs, kind: &str, bytes: &[u8]) -> Value {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("sha256:{hex}");
        blobs.insert(digest.clone(), bytes.to_vec());
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": bytes.len() })
    }

    /// An image of one platform, with a layer of its own and one that all have.
    pub(in crate::engine::buildkit) fn manifest(blobs: &mut Blobs, architecture: &str) -> Value {
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": {} }).to_string();
        let config = add(blobs, "config.v1+json", config.as_bytes());
        let own = add(blobs, "layer.v1.tar+gzip", architecture.as_bytes());
        let layers = [add(blobs, "layer.v1.tar+gzip", b"shared"), own];
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string();
        add(blobs, "manifest.v1+json", manifest.as_bytes())
    }

    fn layout(root: &Value) -> Vec<u8> {
        json!({ "schemaVersion": 2, "manifests": [root] }).to_string().into_bytes()
    }

    fn read(blobs: &Blobs) -> impl Fn(&str) -> io::Result<Vec<u8>> {
        |digest| blobs.get(digest).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    #[test]
    fn an_image_of_one_platform_is_its_manifest() {
        let mut blobs = Blobs::new();
        let root = manifest(&mut blobs, "amd64");
        let whole = Whole::of_layout(&layout(&root), read(&blobs)).unwrap();
        assert_eq!(
            (whole.platforms(), whole.blobs().len(), whole.manifests()),
            ("linux/amd64".into(), 3, vec![&whole.root])
        );
        assert_eq!(whole.part("linux/arm64").unwrap().platform, "linux/amd64", "the only one, whatever it is for");
    }

    #[test]
    fn an_index_comes_after_its_manifests_and_shared_layers_come_once() {
        let mut blobs = Blobs::new();
        let mut parts = ["amd64", "arm64"].map(|one| manifest(&mut blobs, one));
        for (part, architecture) in parts.iter_mut().zip(["amd64", "arm64"]) {
            part["platform"] = json!({ "os": "linux", "architecture": architecture });
        }
        let index = json!({ "schemaVersion": 2, "manifests": parts }).to_string();
        let root = add(&mut blobs, "index.v1+json", index.as_bytes());
        let whole = Whole::of_layout(&layout(&root), read(&blobs)).unwrap();
        assert_eq!((whole.platforms().as_str(), whole.blobs().len()), ("linux/amd64, linux/arm64", 5));
        assert_eq!(whole.manifests().last(), Some(&&whole.root));
        assert_eq!(whole.manifests().len(), 3);
        assert_eq!(whole.part("linux/arm64").unwrap().platform, "linux/arm64");
        assert!(whole.part("linux/s390x").is_none());
    }

    #[test]
    fn what_is_no_image_is_told() {
        let mut blobs = Blobs::new();
        let good = manifest(&mut blobs, "amd64");
        let bare = add(&mut blobs, "manifest.v1+json", b"{}");
        let html = add(&mut blobs, "manifest.v1+json", b"<html>");
        let lost = json!({ "mediaType": "a", "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 });
        let huge = json!({ "mediaType": "a", "digest": good["digest"], "size": 5 << 20 });
        let climbs = json!({ "mediaType": "a", "digest": "../../etc/passwd", "size": 1 });
        for (root, part) in [
            (bare, "names no configuration"),
            (html, "cannot be read: expected value"),
            (lost, "entity not found"),
            (huge, "has 5242880 bytes"),
            (climbs, "a digest is sha256: and 64 hexadecimal digits"),
        ] {
            let error = Whole::of_layout(&layout(&root), read(&blobs)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let two = json!({ "manifests": [good, good] }).to_string();
        assert_eq!(Whole::of_layout(two.as_bytes(), read(&blobs)).unwrap_err(), "its layout does not have one image");
    }
}
