//! Tags that mark artifacts, by Harbor's own API: it takes one off without the artifact, which a registry does not.

use reqwest::Method;

use super::{Harbor, HarborError, PAGE_SIZE, What};
use quarterdeck_core::image_ref::ImageRef;

impl Harbor<'_> {
    /// The artifacts of the repository of an image with a tag that holds this text, a hundred at most: the bytes of the answer. What is
    /// over that loses its tag at the next change.
    ///
    /// # Errors
    /// Where Harbor does not give them.
    pub async fn tagged(&self, image: &ImageRef, text: &str) -> Result<Vec<u8>, HarborError> {
        let mut to = self.artifacts(image)?;
        let of = format!("tags=~{text}");
        to.query_pairs_mut().extend_pairs([("q", of.as_str()), ("with_tag", "true"), ("page_size", PAGE_SIZE)]);
        self.ask(What::Artifacts, image, Method::GET, to, None).await
    }

    /// Gives an artifact one more tag. One that is there is as good.
    ///
    /// # Errors
    /// Where Harbor does not do it.
    pub async fn add_tag(&self, image: &ImageRef, tag: &str) -> Result<(), HarborError> {
        let body = serde_json::json!({ "name": tag }).to_string();
        match self.ask(What::AddTag, image, Method::POST, self.of(image, &["tags"])?, Some(body)).await {
            Ok(_) | Err(HarborError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a tag off an artifact, which stays. One that is gone, with its artifact or without, is as good.
    ///
    /// # Errors
    /// Where Harbor does not take it off.
    pub async fn take_tag_off(&self, image: &ImageRef, tag: &str) -> Result<(), HarborError> {
        match self.ask(What::TakeTagOff, image, Method::DELETE, self.of(image, &["tags", tag])?, None).await {
            Ok(_) | Err(HarborError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
