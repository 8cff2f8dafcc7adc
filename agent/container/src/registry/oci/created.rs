//! When the images of a repository were created, as their configurations say. What a digest names does not change: it is read once.

use std::collections::{BTreeMap, BTreeSet};

use oci_client::Reference;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor,
};

use super::call::{Call, is_missing};
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;
use quarterdeck_core::follow::created::{CreatedAt, Part, created_at, part};
use quarterdeck_core::image_ref::ImageRef;

/// The configuration of an image has some kilobytes; those with long histories some hundred.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

const ACCEPTED: [&str; 4] =
    [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE];

/// What was read of the tags of one image: as many as its owner asks for and does not let go.
#[derive(Debug, Default)]
pub struct Creations {
    digests: BTreeMap<String, String>,
    /// By digest; none where it says none, or is no image.
    times: BTreeMap<String, Option<CreatedAt>>,
}

impl Creations {
    /// When the image of a tag was created; none where that is not known, or it does not say so.
    pub fn of(&self, tag: &str) -> Option<CreatedAt> {
        *self.times.get(self.digests.get(tag)?)?
    }

    /// Forgets all tags but these.
    pub fn retain(&mut self, tags: &BTreeSet<&str>) {
        self.digests.retain(|tag, _| tags.contains(&**tag));
        let digests: BTreeSet<&String> = self.digests.values().collect();
        self.times.retain(|digest, _| digests.contains(digest));
    }
}

impl Registries {
    /// Reads when the images of these tags were created, as far as it is not known. What was read before an error stays known.
    ///
    /// # Errors
    /// Where the registry does not answer; not where what it has says nothing about it.
    pub async fn read_created(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        tags: &BTreeSet<&str>,
        known: &mut Creations,
    ) -> Result<(), RegistryError> {
        for there in self.mirrors.of(image).await {
            let answer = self.own_created(&there.image, there.login.as_ref(), tags, known).await;
            let is_heard = self.mirrors.heard(&there, answer).is_some();
            if is_heard && tags.iter().all(|tag| known.digests.contains_key(*tag)) {
                return Ok(());
            }
        }
        self.own_created(image, login, tags, known).await
    }

    /// The same of this registry itself.
    async fn own_created(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        tags: &BTreeSet<&str>,
        known: &mut Creations,
    ) -> Result<(), RegistryError> {
        let mut tokens = self.tokens(image.registry(), login);
        loop {
            match self.ask_created(image, login, tags, known).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_created(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        tags: &BTreeSet<&str>,
        known: &mut Creations,
    ) -> Result<(), RegistryError> {
        let unknown: Vec<&str> = tags.iter().copied().filter(|tag| !known.digests.contains_key(*tag)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut call = self.call(image, login)?.log_in().await?;
        for tag in unknown {
            let reference =
                Reference::with_tag(call.registry.clone(), call.reference.repository().to_owned(), tag.to_owned());
            // One that is listed and not there was deleted meanwhile, or is not there yet.
            let Some((manifest, digest)) = self.manifest_of(&mut call, &reference, tag).await? else { continue };
            if !known.times.contains_key(&digest) {
                let time = self.time(&mut call, image, &manifest).await?;
                known.times.insert(digest.clone(), time);
            }
            known.digests.insert(tag.to_owned(), digest);
        }
        Ok(())
    }

    /// The time of what a manifest names; of an index that of its first platform, since all are built together.
    async fn time(
        &self,
        call: &mut Call,
        image: &ImageRef,
        manifest: &[u8],
    ) -> Result<Option<CreatedAt>, RegistryError> {
        let mut found = part(manifest);
        if let Some(Part::Platform { digest }) = &found {
            let (registry, repository) = (call.registry.clone(), call.reference.repository().to_owned());
            let reference = Reference::with_digest(registry, repository, digest.clone());
            found = match self.manifest_of(call, &reference, digest).await? {
                Some((manifest, _)) => part(&manifest),
                None => None,
            };
        }
        let Some(Part::Config { digest, size }) = found else { return Ok(None) };
        if size > CONFIG_BYTES_MAX {
            return Ok(None);
        }
        let config = OciDescriptor { digest, size: size.cast_signed(), ..OciDescriptor::default() };
        Ok(created_at(&call.layer(image, &config, CONFIG_BYTES_MAX).await?))
    }

    /// A manifest and its digest; none where the registry has none there.
    async fn manifest_of(
        &self,
        call: &mut Call,
        reference: &Reference,
        name: &str,
    ) -> Result<Option<(Vec<u8>, String)>, RegistryError> {
        let path = format!("manifests/{name}");
        match self.ask_manifest(call, reference, &ACCEPTED).await? {
            Ok((bytes, digest)) => Ok(Some((bytes.into(), digest))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(call.refused(error, reqwest::Method::GET, &path).await),
        }
    }
}
