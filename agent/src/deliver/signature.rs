//! Whether an image is signed by one of the keys that an environment requires: asked of the registry at each promotion, and
//! verified here.

use std::path::PathBuf;

use quarterdeck_container::registry::signature::{PublicKey, verify};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::signature::{Wanted, judge};

use super::DeliverError;
use crate::context::Context;

/// Which of these keys signed what is wanted of an image; what was found instead, where none did.
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

/// Makes sure that each of the images, by name and digest, is signed by one of the keys in these files: by which, for people.
/// None where no key is required. The files are read each time, so that a new key is taken up.
pub(super) async fn require(
    context: &Context,
    files: &[PathBuf],
    images: &[(&str, &str)],
) -> Result<Option<String>, DeliverError> {
    if files.is_empty() {
        return Ok(None);
    }
    let keys = files.iter().map(|file| PublicKey::read(file)).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> = Vec::new();
    for &(name, digest) in images {
        let image = ImageRef::parse(name)?.with_digest(digest)?;
        match signers(context, &image, Wanted::Signature, &keys).await? {
            Ok(signers) => names.extend(signers),
            Err(found) => {
                let keys = keys.iter().map(PublicKey::name).collect::<Vec<_>>().join(" or ");
                return Err(DeliverError::Unsigned { image: format!("{name}@{digest}"), keys, found });
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Some(format!("signed by {}", names.join(", "))))
}
