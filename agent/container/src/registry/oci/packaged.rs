//! An artifact by its digest: one layer of it, and what its manifest says about it. Of which kind it is does not matter, as long as
//! it is no image: tools that push folders name their kinds differently.

use std::collections::BTreeMap;

use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor};
use quarterdeck_core::image_ref::{ImageRef, check_digest};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::artifact::Layer;
use super::call::is_missing;
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;

/// What an artifact should be, for people.
const WANTED: &str = "an artifact with manifests";

/// Annotations that are read; those that are wanted are three.
const ANNOTATIONS_MAX: usize = 100;

/// An artifact of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packaged {
    /// What its manifest says about it.
    pub annotations: BTreeMap<String, String>,
    /// Its content.
    pub layer: Layer,
}

impl Registries {
    /// An artifact, which is named by its digest, with its first layer or that of a media type; none if the registry does not have it.
    ///
    /// # Errors
    /// Where the registry cannot be asked, or has something else there.
    pub async fn packaged(
        &self,
        name: &ImageRef,
        media_type: Option<&str>,
        bytes_max: u64,
        login: Option<&Login>,
    ) -> Result<Option<Packaged>, RegistryError> {
        for there in self.mirrors.of(name).await {
            let answer = self.own_packaged(&there.image, media_type, bytes_max, there.login.as_ref()).await;
            if let Some(Some(packaged)) = self.mirrors.heard(&there, answer) {
                return Ok(Some(packaged));
            }
        }
        self.own_packaged(name, media_type, bytes_max, login).await
    }

    /// The same of this registry itself.
    async fn own_packaged(
        &self,
        name: &ImageRef,
        media_type: Option<&str>,
        bytes_max: u64,
        login: Option<&Login>,
    ) -> Result<Option<Packaged>, RegistryError> {
        let mut tokens = self.tokens(name.registry(), login);
        loop {
            match self.ask_packaged(name, media_type, bytes_max, login).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_packaged(
        &self,
        name: &ImageRef,
        media_type: Option<&str>,
        bytes_max: u64,
        login: Option<&Login>,
    ) -> Result<Option<Packaged>, RegistryError> {
        const ACCEPTED: [&str; 2] = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        let mut call = self.call(name, login)?.log_in().await?;
        let Some(digest) = name.digest() else { return Err(call.answer("an artifact is read by its digest")) };
        let path = format!("manifests/{digest}");
        let reference = call.reference.clone();
        let manifest = match self.ask_manifest(&mut call, &reference, &ACCEPTED).await? {
            Ok((manifest, _)) => manifest,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(call.refused(error, Method::GET, &path).await),
        };
        if !is_of(&manifest, digest) {
            return Err(RegistryError::OtherContent { image: name.to_string(), digest: digest.to_owned() });
        }
        let (annotations, layer) = chosen(&manifest, media_type).map_err(|found| RegistryError::OtherKind {
            image: name.to_string(),
            found,
            wanted: WANTED,
        })?;
        if u64::try_from(layer.size).is_ok_and(|bytes| bytes > bytes_max) {
            return Err(RegistryError::TooLarge { image: name.to_string(), bytes_max });
        }
        let bytes = call.layer(name, &layer, bytes_max).await?;
        Ok(Some(Packaged { annotations, layer: Layer { digest: layer.digest, bytes } }))
    }
}

/// Whether a manifest is that of its digest.
fn is_of(manifest: &[u8], digest: &str) -> bool {
    let found: String = Sha256::digest(manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    digest.strip_prefix("sha256:") == Some(&found)
}

/// What a manifest says, and the layer that is wanted of it; else what it is.
fn chosen(manifest: &[u8], media_type: Option<&str>) -> Result<(BTreeMap<String, String>, OciDescriptor), String> {
    let manifest: Value = serde_json::from_slice(manifest).map_err(|_| "something without a manifest".to_owned())?;
    if manifest["manifests"].is_array() {
        return Err("an index of several artifacts".to_owned());
    }
    // Whoever names the layer wants it of whatever it is.
    let is_image = |kind: &str| {
        matches!(kind, "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")
    };
    match (manifest["config"]["mediaType"].as_str().unwrap_or_default(), media_type) {
        (kind, None) if is_image(kind) => return Err("an image".to_owned()),
        ("application/vnd.cncf.helm.config.v1+json", None) => return Err("a chart".to_owned()),
        _ => {}
    }
    let mut layers = manifest["layers"].as_array().into_iter().flatten();
    let layer = match media_type {
        None => layers.next().ok_or_else(|| "an artifact without a layer".to_owned())?,
        Some(wanted) => layers
            .find(|layer| layer["mediaType"] == wanted)
            .ok_or_else(|| format!("an artifact without a layer of type {wanted}"))?,
    };
    let digest =
        layer["digest"].as_str().filter(|digest| check_digest(digest).is_ok() && digest.starts_with("sha256:"));
    let layer = OciDescriptor {
        media_type: layer["mediaType"].as_str().unwrap_or_default().to_owned(),
        digest: digest.ok_or_else(|| "an artifact without a SHA-256 digest".to_owned())?.to_owned(),
        size: layer["size"].as_i64().unwrap_or_default(),
        ..OciDescriptor::default()
    };
    let said = manifest["annotations"].as_object().into_iter().flatten().take(ANNOTATIONS_MAX);
    let annotations = said.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect();
    Ok((annotations, layer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_layer_is_chosen_and_what_else_it_may_be_is_told() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let layer = |kind: &str, digit: &str| json!({ "mediaType": kind, "digest": digest(digit), "size": 3 });
        let of = |config: &str, layers: Value| {
            let annotations = json!({ "org.opencontainers.image.source": "https://git.example", "odd": 1 });
            json!({ "config": { "mediaType": config }, "layers": layers, "annotations": annotations })
                .to_string()
                .into_bytes()
        };
        let image = "application/vnd.oci.image.config.v1+json";
        let two = json!([layer("a/signature", "a"), layer("a/tar", "b")]);
        for (config, wanted, found) in [
            ("application/vnd.cncf.flux.config.v1+json", None, digest("a")),
            ("application/vnd.oci.empty.v1+json", Some("a/tar"), digest("b")),
            (image, Some("a/tar"), digest("b")),
        ] {
            let (annotations, layer) = chosen(&of(config, two.clone()), wanted).unwrap();
            assert_eq!((layer.digest, layer.size, annotations.len()), (found, 3, 1), "{config} {wanted:?}");
        }
        for (manifest, wanted, is) in [
            (of(image, two.clone()), None, "an image"),
            (of("application/vnd.cncf.helm.config.v1+json", two.clone()), None, "a chart"),
            (of("a/config", json!([])), None, "an artifact without a layer"),
            (of("a/config", two), Some("b/tar"), "an artifact without a layer of type b/tar"),
            (of("a/config", json!([{ "digest": "sha512:1" }])), None, "an artifact without a SHA-256 digest"),
            (br#"{ "manifests": [] }"#.to_vec(), None, "an index of several artifacts"),
            (b"<html>".to_vec(), None, "something without a manifest"),
        ] {
            assert_eq!(chosen(&manifest, wanted).unwrap_err(), is);
        }
        assert!(is_of(b"a", "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"));
        assert!(!is_of(b"b", "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"));
    }
}
