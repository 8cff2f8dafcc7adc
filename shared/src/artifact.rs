//! Artifacts: images that we built, by image id and, once pushed, by the digest the registry answered with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::ApplicationName;
use crate::revision::CommitId;

/// One built image of one application. It is recorded when built and completed when pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Whose image it is.
    pub application: ApplicationName,
    /// The commit of the code repository that it was built from.
    pub commit: CommitId,
    /// Registry and repository, without a tag: `registry.example/ops/shop`.
    pub image: String,
    /// The image tag that the git tag gave: `1.4.0`.
    pub tag: String,
    /// The engine's id of the image: `sha256:…`.
    pub image_id: String,
    /// What the registry calls it: `sha256:…`; absent until pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the build ended.
    pub built: Timestamp,
    /// When the push ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
}

impl Artifact {
    /// `registry.example/ops/shop:1.4.0`.
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.image, self.tag)
    }

    /// `registry.example/ops/shop:1.4.0@sha256:…` once pushed, else as [`Artifact::tagged`].
    pub fn pinned(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}:{}@{digest}", self.image, self.tag),
            None => self.tagged(),
        }
    }
}
