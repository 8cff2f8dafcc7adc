//! Whether the mirror of a registry answers, and accepts the login.

use std::sync::Arc;

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::registry_mirror::Mirror;

use super::{Found, LOG_IN};
use crate::context::Context;
use crate::images::one_of_each_registry;

/// Asks it for an image of the registry that it mirrors, where one is known, else whether it is there.
pub(super) async fn answers(context: Arc<Context>, of: String, mirror: Mirror) -> Found {
    let images = context.images();
    let known = one_of_each_registry(&context.config()).into_iter().find(|image| image.registry() == of);
    let meanwhile =
        |found: Found| Found { message: format!("{}; {of} itself is asked meanwhile", found.message), ..found };
    let asked = match known.and_then(|image| mirror.of(&image)) {
        None => images.registries.answers(mirror.registry()).await,
        Some(image) => match login(&images, &image).await {
            Ok(login) => images.registries.check_login(&image, login.as_ref()).await,
            Err(found) => return meanwhile(found),
        },
    };
    let answers_for = if mirror.tags { "digests and tags" } else { "digests" };
    match asked {
        Ok(()) => Found::good(format!("answers; asked first for {answers_for}")),
        Err(error) => meanwhile(Found::of(&error, LOG_IN)),
    }
}

async fn login(
    images: &crate::images::Images,
    image: &ImageRef,
) -> Result<Option<quarterdeck_container::registry::credentials::Login>, Found> {
    images.login(image).await.map_err(|error| Found::of(&error, LOG_IN))
}
