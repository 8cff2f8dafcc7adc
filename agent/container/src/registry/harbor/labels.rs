//! Labels of a project of Harbor, and the artifacts that they are on.

use reqwest::Method;

use super::{Harbor, HarborError, PAGE_SIZE, What};
use quarterdeck_core::image_ref::ImageRef;

/// One of the colours that Harbor offers: grey.
const COLOUR: &str = "#61717D";

impl Harbor<'_> {
    /// The labels of a project that hold this name, a hundred at most: the bytes of the answer.
    ///
    /// # Errors
    /// Where Harbor does not give them.
    pub async fn labels(&self, project: i64, name: &str) -> Result<Vec<u8>, HarborError> {
        let mut to = self.below(&["labels"])?;
        let (project, size) = (project.to_string(), ("page_size", PAGE_SIZE));
        to.query_pairs_mut().extend_pairs([("scope", "p"), ("project_id", &project), ("name", name), size]);
        let answer = self.send(What::Labels, Method::GET, to, None).await?;
        self.refusal(What::Labels, name, &answer).map_or(Ok(answer.body), Err)
    }

    /// Makes a label in a project. One that is there is as good.
    ///
    /// # Errors
    /// Where Harbor does not make it.
    pub async fn make_label(&self, project: i64, name: &str) -> Result<(), HarborError> {
        let description = "What an environment runs; kept by Quarterdeck";
        let label = serde_json::json!({
            "name": name, "description": description, "color": COLOUR, "scope": "p", "project_id": project,
        });
        let to = self.below(&["labels"])?;
        let answer = self.send(What::MakeLabel, Method::POST, to, Some(label.to_string())).await?;
        match self.refusal(What::MakeLabel, name, &answer) {
            None | Some(HarborError::Conflict { .. }) => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The artifacts of the repository of an image that have a label, a hundred at most: the bytes of the answer. What is over that
    /// loses its label at the next change.
    ///
    /// # Errors
    /// Where Harbor does not give them.
    pub async fn labelled(&self, image: &ImageRef, label: i64) -> Result<Vec<u8>, HarborError> {
        let mut to = self.artifacts(image)?;
        let of = format!("labels=({label})");
        to.query_pairs_mut().extend_pairs([("q", of.as_str()), ("with_tag", "false"), ("page_size", PAGE_SIZE)]);
        self.ask(What::Artifacts, image, Method::GET, to, None).await
    }

    /// Sets a label on an artifact. One that is there is as good.
    ///
    /// # Errors
    /// Where Harbor does not set it.
    pub async fn set_label(&self, image: &ImageRef, label: i64) -> Result<(), HarborError> {
        let body = serde_json::json!({ "id": label }).to_string();
        let to = self.of(image, &["labels"])?;
        match self.ask(What::SetLabel, image, Method::POST, to, Some(body)).await {
            Ok(_) | Err(HarborError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a label off an artifact. One that is gone, with its artifact or without, is as good.
    ///
    /// # Errors
    /// Where Harbor does not take it off.
    pub async fn take_label_off(&self, image: &ImageRef, label: i64) -> Result<(), HarborError> {
        let to = self.of(image, &["labels", &label.to_string()])?;
        match self.ask(What::TakeLabelOff, image, Method::DELETE, to, None).await {
            Ok(_) | Err(HarborError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
