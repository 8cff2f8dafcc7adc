//! What is in a registry and no image: a manifest whose configuration says what kind it is, and one layer with the content.
//! Charts are kept so (HIP 6 of Helm).

use futures::StreamExt as _;
use oci_client::errors::DigestError;
use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::call::{Call, is_missing};
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::{ImageRef, check_digest};

/// Of which kind an artifact is, and which of its layers is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Artifact {
    /// What it is called, for people: `a chart`.
    pub what: &'static str,
    /// The media type of its configuration.
    pub config: &'static str,
    /// The media type of the layer.
    pub layer: &'static str,
    /// A layer of more bytes is not read.
    pub bytes_max: u64,
}

/// A layer, whole and as its digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// `sha256:…`
    pub digest: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Registries {
    /// The content of an artifact by its tag; none if the registry has no such tag.
    ///
    /// # Errors
    /// Where the registry cannot be asked, or has something else under the tag.
    pub async fn artifact(
        &self,
        name: &ImageRef,
        kind: &Artifact,
        login: Option<&Login>,
    ) -> Result<Option<Layer>, RegistryError> {
        let Some(name) = &self.pinned(name, login).await? else { return Ok(None) };
        for there in self.mirrors.of(name).await {
            let answer = self.own_artifact(&there.image, kind, there.login.as_ref()).await;
            if let Some(Some(layer)) = self.mirrors.heard(&there, answer) {
                return Ok(Some(layer));
            }
        }
        self.own_artifact(name, kind, login).await
    }

    /// The same of this registry itself.
    async fn own_artifact(
        &self,
        name: &ImageRef,
        kind: &Artifact,
        login: Option<&Login>,
    ) -> Result<Option<Layer>, RegistryError> {
        let mut tokens = self.tokens(name.registry(), login);
        loop {
            match self.ask_artifact(name, kind, login).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_artifact(
        &self,
        name: &ImageRef,
        kind: &Artifact,
        login: Option<&Login>,
    ) -> Result<Option<Layer>, RegistryError> {
        let accepted = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        let mut call = self.call(name, login)?.log_in().await?;
        let reference = call.reference.clone();
        let manifest = match self.ask_manifest(&mut call, &reference, &accepted).await? {
            Ok((manifest, _)) => manifest,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(call.error(error)),
        };
        let layer = descriptor(&manifest, kind).map_err(|found| {
            let image = name.to_string();
            RegistryError::OtherKind { image, found, wanted: kind.what }
        })?;
        if u64::try_from(layer.size).is_ok_and(|bytes| bytes > kind.bytes_max) {
            return Err(RegistryError::TooLarge { image: name.to_string(), bytes_max: kind.bytes_max });
        }
        let bytes = call.layer(name, &layer, kind.bytes_max).await?;
        Ok(Some(Layer { digest: layer.digest, bytes }))
    }
}

impl Call {
    /// Reads a layer.
    pub(super) async fn layer(
        &self,
        name: &ImageRef,
        layer: &OciDescriptor,
        bytes_max: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let image = || name.to_string();
        let other = || RegistryError::OtherContent { image: image(), digest: layer.digest.clone() };
        let stream = self.within(self.client.pull_blob_stream(&self.reference, layer)).await;
        let mut stream = stream.map_err(|error| self.error(error))?;
        let mut bytes = Vec::new();
        let reading = async {
            while let Some(part) = stream.next().await {
                let part = part.map_err(|error| match error.get_ref() {
                    Some(inner) if inner.is::<DigestError>() => other(),
                    _ => self.error(error.into()),
                })?;
                if (bytes.len() + part.len()) as u64 > bytes_max {
                    return Err(RegistryError::TooLarge { image: image(), bytes_max });
                }
                bytes.extend_from_slice(&part);
            }
            Ok(())
        };
        // The library bounds the silence between two parts; whole it takes no longer than any other answer.
        match self.within(async { Ok(reading.await) }).await {
            Ok(read) => read?,
            Err(late) => return Err(self.error(late)),
        }
        let found = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if layer.digest == format!("sha256:{found}") { Ok(bytes) } else { Err(other()) }
    }
}

/// The layer that is wanted of a manifest; else what the manifest is.
fn descriptor(manifest: &[u8], kind: &Artifact) -> Result<OciDescriptor, String> {
    let manifest: Value = serde_json::from_slice(manifest).map_err(|_| "something without a manifest".to_owned())?;
    let config = manifest["config"]["mediaType"].as_str().unwrap_or_default();
    if config != kind.config {
        return Err(match config {
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json" => {
                "an image".to_owned()
            }
            "" => "something without a configuration".to_owned(),
            other => format!("an artifact of type {}", other.chars().take(100).collect::<String>()),
        });
    }
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let mut layers = layers.filter(|layer| layer["mediaType"] == kind.layer);
    let layer = layers.next().ok_or_else(|| "an artifact without its content".to_owned())?;
    let digest =
        layer["digest"].as_str().filter(|digest| check_digest(digest).is_ok() && digest.starts_with("sha256:"));
    Ok(OciDescriptor {
        media_type: kind.layer.to_owned(),
        digest: digest.ok_or_else(|| "an artifact without a SHA-256 digest".to_owned())?.to_owned(),
        size: layer["size"].as_i64().unwrap_or_default(),
        ..OciDescriptor::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KIND: Artifact = Artifact { what: "a chart", config: "a/config", layer: "a/layer", bytes_max: 10 };

    #[test]
    fn the_layer_is_found_and_what_else_it_may_be_is_told() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let layer = |kind: &str, digest: &str| json!({ "mediaType": kind, "digest": digest, "size": 3 });
        let of = |config: &str, layers: Value| {
            json!({ "config": { "mediaType": config }, "layers": layers }).to_string().into_bytes()
        };
        let good = of("a/config", json!([layer("a/provenance", "sha256:1"), layer("a/layer", &digest)]));
        let found = descriptor(&good, &KIND).unwrap();
        assert_eq!((found.digest, found.size), (digest, 3));
        for (manifest, is) in [
            (of("application/vnd.oci.image.config.v1+json", json!([])), "an image"),
            (of("application/wasm", json!([])), "an artifact of type application/wasm"),
            (of("a/config", json!([])), "an artifact without its content"),
            (of("a/config", json!([layer("a/layer", "sha512:1")])), "an artifact without a SHA-256 digest"),
            (b"{}".to_vec(), "something without a configuration"),
            (b"<html>".to_vec(), "something without a manifest"),
        ] {
            assert_eq!(descriptor(&manifest, &KIND).unwrap_err(), is);
        }
    }
}
