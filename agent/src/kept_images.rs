//! Whether registries have the images of earlier syncs still: what can be rolled back to. It is asked when a person wants to know, and
//! nothing of it is kept.
//!
//! Only a registry that answers as one can say that an image is missing; whatever else happens, it is not known.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use quarterdeck_container::registry::oci::RegistryError;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::protocol::{ImageAnswer, ImageState};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::images::Images;

/// Images that registries are asked for in one answer, the newest first: those of some twenty releases of an application.
const IMAGES_MAX: usize = 60;

/// Registries are asked for so many images at a time, of all answers: they count what comes from one address.
static ASKING: Semaphore = Semaphore::const_new(8);

/// How long an answer to a console may take: it gives up after ten seconds.
pub const FOR_A_LIST: Duration = Duration::from_secs(8);

/// How long the answer to a rollback may take: it has begun by then, and a person waits.
pub const FOR_A_ROLLBACK: Duration = Duration::from_secs(3);

/// Asks for each image once, in the order in which they are named.
pub async fn look<'a>(
    images: &Images,
    names: impl IntoIterator<Item = &'a String>,
    within: Duration,
) -> Vec<ImageAnswer> {
    let until = Instant::now() + within;
    let mut seen = BTreeSet::new();
    let names: Vec<&String> = names.into_iter().filter(|name| seen.insert(*name)).collect();
    let one = |(place, name): (usize, &'a String)| async move {
        let unknown = |reason: String| (ImageState::Unknown, reason);
        let (state, reason) = if place < IMAGES_MAX {
            match timeout_at(until, state(images, name)).await {
                Ok(Ok(state)) => (state, String::new()),
                Ok(Err(Failure { message, .. })) => unknown(message),
                Err(_) => unknown(format!("its registry did not answer within {} s", within.as_secs())),
            }
        } else {
            unknown(format!("only the {IMAGES_MAX} newest images are looked at"))
        };
        ImageAnswer { image: name.clone(), state, reason }
    };
    let answers: Vec<_> = names.into_iter().enumerate().map(one).collect();
    stream::iter(answers).buffered(IMAGES_MAX).collect().await
}

/// What a person who rolls back to these images is warned of.
pub fn warning(answers: &[ImageAnswer]) -> Option<String> {
    let missing = answers.iter().filter(|answer| answer.state == ImageState::Missing);
    let missing: Vec<&str> = missing.map(|answer| answer.image.as_str()).collect();
    let them = if missing.len() == 1 { "it" } else { "them" };
    (!missing.is_empty()).then(|| {
        format!(
            "warning: the registry does not have {}; pods cannot start where a node has yet to pull {them}",
            missing.join(", ")
        )
    })
}

async fn state(images: &Images, name: &str) -> Result<ImageState, Failure> {
    let _place = ASKING.acquire().await;
    let image = ImageRef::parse(name).map_err(|error| Failure::from(error.to_string()))?;
    let login = images.login(&image).await.map_err(|error| Failure::of(&error))?;
    let told = |error: RegistryError| Failure::text(chain(&error));
    if images.registries.find_digest(&image, login.as_ref()).await.map_err(told)?.is_some() {
        return Ok(ImageState::Present);
    }
    // A proxy without a registry behind it, and a host that is another one now, answer 404 to whatever is asked.
    if images.registries.speaks(image.registry()).await.map_err(told)? {
        return Ok(ImageState::Missing);
    }
    Err(Failure::text(format!("{} does not answer as a registry", image.registry())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_deleted_is_warned_of() {
        let answer = |image: &str, state| ImageAnswer { image: image.to_owned(), state, reason: String::new() };
        let (present, unknown) = (answer("r/a:1", ImageState::Present), answer("r/b:1", ImageState::Unknown));
        assert_eq!(warning(&[present.clone(), unknown.clone()]), None);
        let (one, two) = (answer("r/c:1", ImageState::Missing), answer("r/d:1", ImageState::Missing));
        let begins = |answers: &[ImageAnswer], text: &str| {
            let warning = warning(answers).unwrap();
            assert!(warning.starts_with(text), "{warning}");
        };
        begins(
            &[present, one.clone(), unknown],
            "warning: the registry does not have r/c:1; pods cannot start where a node has yet to pull it",
        );
        begins(
            &[one, two],
            "warning: the registry does not have r/c:1, r/d:1; pods cannot start where a node has yet to pull them",
        );
    }
}
