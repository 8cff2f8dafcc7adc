//! An image out of a registry: its manifests byte for byte, and its blobs piece by piece, each held against its digest.

use std::io::{self, Write};

use futures::StreamExt as _;
use oci_client::errors::DigestError;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor,
};
use reqwest::Method;
use sha2::{Digest as _, Sha256};

use super::call::{is_missing, is_refused};
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::ImageRef;

/// The specification lets registries refuse manifests that are larger.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// Why an image is not here.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The registry could not be asked, or gave something else.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What came cannot be written.
    #[error("cannot write what {registry} sends")]
    Write {
        /// The host.
        registry: String,
        /// Why not.
        source: io::Error,
    },
}

impl Registries {
    /// The manifest or the index of an image, which is named by its digest; none if the registry does not have it.
    ///
    /// # Errors
    /// Where the registry cannot be asked, or has other bytes under the digest.
    pub async fn copy_manifest(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        for there in self.mirrors.of(image).await {
            let answer = self.own_manifest(&there.image, there.login.as_ref()).await;
            if let Some(Some(manifest)) = self.mirrors.heard(&there, answer) {
                return Ok(Some(manifest));
            }
        }
        self.own_manifest(image, login).await
    }

    /// The same of this registry itself.
    async fn own_manifest(&self, image: &ImageRef, login: Option<&Login>) -> Result<Option<Vec<u8>>, RegistryError> {
        const ACCEPTED: [&str; 4] = [
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
            OCI_IMAGE_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
        ];
        let mut call = self.call(image, login)?.log_in().await?;
        let Some(digest) = image.digest() else { return Err(call.answer("an image is copied by its digest")) };
        let path = format!("manifests/{digest}");
        let reference = call.reference.clone();
        let manifest = self.ask_manifest(&mut call, &reference, &ACCEPTED).await?;
        let other = || RegistryError::OtherContent { image: image.name(), digest: digest.to_owned() };
        match manifest {
            Ok((bytes, _)) if bytes.len() as u64 > MANIFEST_BYTES_MAX => {
                Err(RegistryError::TooLarge { image: image.to_string(), bytes_max: MANIFEST_BYTES_MAX })
            }
            Ok((bytes, _)) if hex(&Sha256::digest(&bytes)) == digest => Ok(Some(bytes.to_vec())),
            Ok(_) => Err(other()),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(call.refused(error, Method::GET, &path).await),
        }
    }

    /// Writes a blob of the repository of an image; the answer is whether the registry has it.
    ///
    /// # Errors
    /// Where the registry breaks off or has other bytes, or where they cannot be written. What was written so far is of no use then.
    pub async fn copy_blob(
        &self,
        image: &ImageRef,
        blob @ (digest, _): (&str, u64),
        login: Option<&Login>,
        out: &mut dyn Write,
    ) -> Result<bool, DownloadError> {
        // An image of a bundle is read by digest, and so are its blobs.
        let pinned = image.with_digest(digest).unwrap_or_else(|_| image.clone());
        for there in self.mirrors.of(&pinned).await {
            let mut begun = Begun { out: &mut *out, is_begun: false };
            match self.own_blob(&there.image, blob, there.login.as_ref(), &mut begun).await {
                Err(DownloadError::Registry(error)) if !begun.is_begun => {
                    self.mirrors.heard::<()>(&there, Err(error));
                }
                Ok(false) => {}
                answer => return answer,
            }
        }
        self.own_blob(image, blob, login, out).await
    }

    /// The same of this registry itself.
    async fn own_blob(
        &self,
        image: &ImageRef,
        (digest, size): (&str, u64),
        login: Option<&Login>,
        out: &mut dyn Write,
    ) -> Result<bool, DownloadError> {
        let mut call = self.call(image, login)?.log_in().await?;
        let layer = OciDescriptor {
            digest: digest.to_owned(),
            size: size.try_into().unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let mut stream = call.within(call.client.pull_blob_stream(&call.reference, &layer)).await;
        if stream.as_ref().is_err_and(is_refused) && self.is_answered(&mut call, &format!("blobs/{digest}")).await? {
            stream = call.within(call.client.pull_blob_stream(&call.reference, &layer)).await;
        }
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(call.error(error).into()),
        };
        let other = || RegistryError::OtherContent { image: image.name(), digest: digest.to_owned() };
        let (mut hash, mut left) = (Sha256::new(), size);
        // The library bounds the silence between two parts, and the size bounds them all.
        while let Some(part) = stream.next().await {
            let part = part.map_err(|error| match error.get_ref() {
                Some(inner) if inner.is::<DigestError>() => other(),
                _ => call.error(error.into()),
            })?;
            left = left.checked_sub(part.len() as u64).ok_or_else(other)?;
            hash.update(&part);
            let written = out.write_all(&part);
            written.map_err(|source| DownloadError::Write { registry: image.registry().to_owned(), source })?;
        }
        if left == 0 && hex(&hash.finalize()) == digest { Ok(true) } else { Err(other().into()) }
    }
}

/// Where a blob is written, and whether anything of it is: then no other place can be asked for it.
struct Begun<'w> {
    out: &'w mut dyn Write,
    is_begun: bool,
}

impl Write for Begun<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.is_begun = true;
        self.out.write(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn hex(hash: &[u8]) -> String {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
