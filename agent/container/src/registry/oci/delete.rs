//! A tag is taken out of a repository; what it names stays for whoever names it otherwise.

use reqwest::{Method, StatusCode};

use super::call::Call;
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;
use crate::registry::messages::fit;
use quarterdeck_core::image_ref::ImageRef;

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRemoval {
    /// It is gone, now or since before.
    Done,
    /// The registry deletes no tags: only what they name, with all its tags (distribution before 3.0), or nothing at all.
    Unsupported,
}

impl Registries {
    /// Takes a tag away. Never the manifest: a release may be the very same image.
    ///
    /// # Errors
    /// Where the registry does not do it, as one whose login may not.
    pub async fn delete_tag(&self, image: &ImageRef, login: Option<&Login>) -> Result<TagRemoval, RegistryError> {
        let mut call = self.call(image, login)?;
        let Some(tag) = image.tag() else { return Err(call.answer("only a tag is deleted")) };
        let path = format!("manifests/{tag}");
        let mut answer = call.delete(&path).await?;
        let bare = call.bare.clone();
        // A token that may delete is given for this alone.
        if answer.status() == StatusCode::UNAUTHORIZED
            && call.answer_challenge_to(Method::DELETE, &bare, &path).await?.is_some()
        {
            answer = call.delete(&path).await?;
        }
        let status = answer.status();
        let words: String = answer.text().await.unwrap_or_default().chars().take(WORDS_MAX).collect();
        match status {
            StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => {
                Ok(TagRemoval::Done)
            }
            StatusCode::METHOD_NOT_ALLOWED => Ok(TagRemoval::Unsupported),
            StatusCode::BAD_REQUEST if words.contains("UNSUPPORTED") || words.contains("DIGEST_INVALID") => {
                Ok(TagRemoval::Unsupported)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::NoPermission { image: call.image, user: call.user })
            }
            status if status.is_server_error() => {
                let message = fit(&call.mask, &format!("{status} {words}"));
                Err(RegistryError::Away { registry: call.registry, message })
            }
            status => Err(call.answer(&format!("deleting the tag: {status} {words}"))),
        }
    }
}

/// Characters of an answer that are read for its reason.
const WORDS_MAX: usize = 2_000;

impl Call {
    async fn delete(&self, path: &str) -> Result<reqwest::Response, RegistryError> {
        let asked = self.authorized(self.bare.delete(self.url(path)));
        asked.send().await.map_err(|error| self.error(error.into()))
    }
}
