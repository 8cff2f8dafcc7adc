//! Whether an image is signed by one of the keys or identities that an environment requires: asked of the registry at each promotion.
//! Keys are asked here; what an identity signed is verified by `cosign`.

use quarterdeck_container::registry::signature::{PublicKey, is_signed, verify};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::signature::{Claim, Unfit, Wanted, judge};
use quarterdeck_shared::application::{RequiredSigner, SignerIdentity};
use secrecy::SecretString;

use super::DeliverError;
use crate::context::Context;
use crate::signing::{SignError, Workplace};

/// Which of these keys signed what is wanted of an image, as its registry itself says; what was found instead, where none did.
pub(super) async fn signers(
    context: &Context,
    image: &ImageRef,
    wanted: Wanted,
    keys: &[PublicKey],
) -> Result<Result<Vec<String>, String>, DeliverError> {
    let images = context.images();
    let login = images.login(image).await?;
    let claims = images.registries.claims(image, wanted, login.as_ref()).await?;
    Ok(judge(&verify(claims, keys)))
}

/// Which of these keys signed an image, as a mirror or its registry says.
async fn holders(
    context: &Context,
    image: &ImageRef,
    keys: &[PublicKey],
) -> Result<Result<Vec<String>, String>, DeliverError> {
    let images = context.images();
    let login = images.login(image).await?;
    let are_enough = |claims: &[Result<Claim, Unfit>]| is_signed(claims, keys);
    let claims = images.registries.find_claims(image, Wanted::Signature, login.as_ref(), are_enough).await?;
    Ok(judge(&verify(claims, keys)))
}

/// Whether this identity signed an image; what was found instead, where it did not.
async fn by_identity(
    context: &Context,
    image: &ImageRef,
    signer: &SignerIdentity,
) -> Result<Result<(), String>, DeliverError> {
    let images = context.images();
    let login = images.login(image).await?;
    let way = images.registries.way(image.registry())?;
    let no_password = SecretString::default();
    let verified = async {
        let at = Workplace::open(context.scratch(), image, login.as_ref(), &no_password, way)?;
        at.verified(signer, Wanted::Signature).await
    };
    verified.await.map_err(|error| match error {
        SignError::Dropped => DeliverError::Cancelled,
        source => DeliverError::Identity { signer: signer.to_string(), source },
    })
}

/// Makes sure that each of the images, by name and digest, is signed by one of these: by which, for people. None where nothing is required.
/// The files are read each time, so that a new one is taken up.
pub(super) async fn require(
    context: &Context,
    required: &[RequiredSigner],
    images: &[(&str, &str)],
) -> Result<Option<String>, DeliverError> {
    if required.is_empty() {
        return Ok(None);
    }
    let keys = required.iter().filter_map(RequiredSigner::key).map(PublicKey::read).collect::<Result<Vec<_>, _>>()?;
    let identities: Vec<&SignerIdentity> = required.iter().filter_map(RequiredSigner::identity).collect();
    let mut names: Vec<String> = Vec::new();
    for &(name, digest) in images {
        let image = ImageRef::parse(name)?.with_digest(digest)?;
        match signed(context, &image, &keys, &identities).await? {
            Ok(signers) => names.extend(signers),
            Err(found) => {
                let keys = keys.iter().map(|key| key.name().to_owned());
                let all = keys.chain(identities.iter().map(ToString::to_string)).collect::<Vec<_>>().join(" or ");
                let by_identity = !identities.is_empty();
                return Err(DeliverError::Unsigned {
                    image: format!("{name}@{digest}"),
                    keys: all,
                    found,
                    by_identity,
                });
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Some(format!("signed by {}", names.join(", "))))
}

/// The keys are asked first, which starts no program.
async fn signed(
    context: &Context,
    image: &ImageRef,
    keys: &[PublicKey],
    identities: &[&SignerIdentity],
) -> Result<Result<Vec<String>, String>, DeliverError> {
    let mut instead: Vec<String> = Vec::new();
    if !keys.is_empty() {
        match holders(context, image, keys).await? {
            Ok(signers) => return Ok(Ok(signers)),
            Err(found) => instead.push(found),
        }
    }
    for signer in identities {
        match by_identity(context, image, signer).await? {
            Ok(()) => return Ok(Ok(vec![signer.to_string()])),
            Err(found) if instead.contains(&found) => {}
            Err(found) => instead.push(found),
        }
    }
    Ok(Err(instead.join(", and ")))
}
