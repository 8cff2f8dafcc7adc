//! What a registry has beside an image that may be a signature of it: under cosign's tag, and what refers to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use oci_client::Reference;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::signature::{
    BUNDLE_TYPE, CERTIFICATE_ANNOTATION, Claim, SIGNATURE_ANNOTATION, Signer, Unfit, Wanted, of_bundle, of_envelope,
    of_payload,
};
use tokio::io::AsyncWrite;

use super::call::{Call, is_missing};
use super::referrers::REFERRERS_MAX;
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;

/// Signatures that are looked at under a tag, and among what refers to the image: each signer leaves one or two.
const CLAIMS_MAX: usize = 32;

/// The largest signature: one with a certificate, its chain and an entry of a public log has some 20 KiB.
const SIGNATURE_BYTES_MAX: u64 = 256 << 10;

/// The largest list of what is in an image, in base64: those of large distributions have some 20 MiB.
const SBOM_BYTES_MAX: u64 = 64 << 20;

/// The annotation of a bundle's manifest with what its statement says that it is.
const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// The annotation of a layer with the same.
const LAYER_PREDICATE_ANNOTATION: &str = "predicateType";

impl Registries {
    /// All that may be a signature of an image, which is named by its digest, where a mirror or the registry has what is enough. A
    /// mirror may lack what the registry has, and is believed to have no signature by no one.
    ///
    /// # Errors
    /// As of [`Registries::claims`].
    pub async fn find_claims(
        &self,
        image: &ImageRef,
        wanted: Wanted,
        login: Option<&Login>,
        are_enough: impl Fn(&[Result<Claim, Unfit>]) -> bool,
    ) -> Result<Vec<Result<Claim, Unfit>>, RegistryError> {
        for there in self.mirrors.of(image).await {
            let answer = self.claims(&there.image, wanted, there.login.as_ref()).await;
            if let Some(claims) = self.mirrors.heard(&there, answer).filter(|claims| are_enough(claims)) {
                return Ok(claims);
            }
        }
        self.claims(image, wanted, login).await
    }

    /// All that this registry itself has that may be a signature of an image, which is named by its digest. Nothing is verified yet.
    ///
    /// # Errors
    /// Where the registry does not answer; not where what it has is no signature.
    pub async fn claims(
        &self,
        image: &ImageRef,
        wanted: Wanted,
        login: Option<&Login>,
    ) -> Result<Vec<Result<Claim, Unfit>>, RegistryError> {
        let mut tokens = self.tokens(image.registry(), login);
        loop {
            match self.ask_claims(image, wanted, login).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_claims(
        &self,
        image: &ImageRef,
        wanted: Wanted,
        login: Option<&Login>,
    ) -> Result<Vec<Result<Claim, Unfit>>, RegistryError> {
        let mut call = self.call(image, login)?.log_in().await?;
        let Some(digest) = image.digest() else {
            return Err(call.answer("an image without a digest has no signature"));
        };
        let mut claims = self.under_tag(&mut call, digest, wanted).await?;
        claims.extend(self.referring(&mut call, digest, wanted).await?);
        Ok(claims)
    }

    /// Under the tag that cosign makes of the digest: a layer for each.
    async fn under_tag(
        &self,
        call: &mut Call,
        digest: &str,
        wanted: Wanted,
    ) -> Result<Vec<Result<Claim, Unfit>>, RegistryError> {
        let (registry, repository) = (call.registry.clone(), call.reference.repository().to_owned());
        let reference = Reference::with_tag(registry, repository, wanted.tag(digest));
        let Some(manifest) = self.manifest(call, &reference).await? else { return Ok(Vec::new()) };
        let layers: Vec<OciDescriptor> = match wanted {
            Wanted::Signature => manifest.layers,
            Wanted::Sbom(_) | Wanted::Provenance => {
                manifest.layers.into_iter().filter(|layer| may_be(layer, wanted)).collect()
            }
        };
        let mut claims = Vec::new();
        // The newest is the last.
        for layer in layers.iter().rev().take(CLAIMS_MAX) {
            let bytes = match blob(call, layer, wanted).await? {
                Ok(bytes) => bytes,
                Err(unfit) => {
                    claims.push(Err(unfit));
                    continue;
                }
            };
            match wanted {
                Wanted::Signature => {
                    let signature = annotation(layer, SIGNATURE_ANNOTATION).unwrap_or_default();
                    let certificate = annotation(layer, CERTIFICATE_ANNOTATION);
                    let by = certificate.map_or(Signer::Unknown, |_| Signer::Certificate);
                    claims.push(of_payload(&bytes, signature, by, digest));
                }
                Wanted::Sbom(_) | Wanted::Provenance => claims.extend(of_envelope(&bytes, wanted, digest).transpose()),
            }
        }
        if layers.len() > CLAIMS_MAX {
            claims.push(Err(Unfit::TooMany(CLAIMS_MAX)));
        }
        Ok(claims)
    }

    /// What refers to the image: a bundle for each.
    async fn referring(
        &self,
        call: &mut Call,
        digest: &str,
        wanted: Wanted,
    ) -> Result<Vec<Result<Claim, Unfit>>, RegistryError> {
        let referrers = self.referrers(call, digest).await?;
        let is_bundle = |kind: &Option<String>| kind.as_ref().is_some_and(|kind| kind.starts_with(BUNDLE_TYPE));
        let other = |said: Option<&String>| said.is_some_and(|said| said != wanted.predicate());
        let entries = referrers.into_iter().take(REFERRERS_MAX).filter(|entry| {
            let said = entry.annotations.as_ref().and_then(|all| all.get(PREDICATE_ANNOTATION));
            is_bundle(&entry.artifact_type) && !other(said)
        });
        let mut claims = Vec::new();
        for (looked_at, entry) in entries.enumerate() {
            if looked_at >= CLAIMS_MAX {
                claims.push(Err(Unfit::TooMany(CLAIMS_MAX)));
                break;
            }
            let (registry, repository) = (call.registry.clone(), call.reference.repository().to_owned());
            let reference = Reference::with_digest(registry, repository, entry.digest);
            let Some(manifest) = self.manifest(call, &reference).await? else { continue };
            if other(manifest.annotations.as_ref().and_then(|all| all.get(PREDICATE_ANNOTATION))) {
                continue;
            }
            let Some(layer) = manifest.layers.first() else { continue };
            match blob(call, layer, wanted).await? {
                Ok(bytes) => claims.extend(of_bundle(&bytes, wanted, digest).transpose()),
                Err(unfit) => claims.push(Err(unfit)),
            }
        }
        Ok(claims)
    }

    /// A manifest of one image; none where the registry has none there, or something else.
    async fn manifest(
        &self,
        call: &mut Call,
        reference: &Reference,
    ) -> Result<Option<OciImageManifest>, RegistryError> {
        const ACCEPTED: [&str; 2] = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        match self.ask_manifest(call, reference, &ACCEPTED).await? {
            Ok((bytes, _)) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(call.error(error)),
        }
    }
}

/// Whether a layer says that it is what is wanted, or says nothing.
fn may_be(layer: &OciDescriptor, wanted: Wanted) -> bool {
    annotation(layer, LAYER_PREDICATE_ANNOTATION).is_none_or(|said| said == wanted.predicate())
}

fn annotation<'l>(layer: &'l OciDescriptor, name: &str) -> Option<&'l str> {
    layer.annotations.as_ref()?.get(name).map(String::as_str)
}

/// The bytes of a layer, which are those of its digest. Other places that it names are not asked.
async fn blob(call: &Call, layer: &OciDescriptor, wanted: Wanted) -> Result<Result<Vec<u8>, Unfit>, RegistryError> {
    let most = match wanted {
        Wanted::Signature | Wanted::Provenance => SIGNATURE_BYTES_MAX,
        Wanted::Sbom(_) => SBOM_BYTES_MAX,
    };
    if u64::try_from(layer.size).is_ok_and(|size| size > most) {
        return Ok(Err(Unfit::TooLarge(most)));
    }
    let mut bytes = Bounded { bytes: Vec::new(), left: most, is_over: false };
    match call.within(call.client.pull_blob(&call.reference, layer.digest.as_str(), &mut bytes)).await {
        Ok(()) => Ok(Ok(bytes.bytes)),
        Err(_) if bytes.is_over => Ok(Err(Unfit::TooLarge(most))),
        Err(OciDistributionError::DigestError(_)) => Ok(Err(Unfit::OtherBytes)),
        Err(error) if is_missing(&error) => Ok(Err(Unfit::Missing)),
        Err(error) => Err(call.error(error)),
    }
}

/// Keeps what is written, up to a bound.
struct Bounded {
    bytes: Vec<u8>,
    left: u64,
    is_over: bool,
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, part: &[u8]) -> Poll<io::Result<usize>> {
        match self.left.checked_sub(part.len() as u64) {
            Some(left) => {
                self.left = left;
                self.bytes.extend_from_slice(part);
                Poll::Ready(Ok(part.len()))
            }
            None => {
                self.is_over = true;
                Poll::Ready(Err(io::Error::other("it is larger than it may be")))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
