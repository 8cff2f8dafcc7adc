//! Artifacts: images that we built, by image id and, once pushed, by the digest the registry answered with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{ApplicationName, TestName};
use crate::revision::CommitId;

/// All images of one commit of one application, under one tag. It is recorded when built and completed when pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Whose.
    pub application: ApplicationName,
    /// The commit of the code repository that it was built from.
    pub commit: CommitId,
    /// The tag of each image, which the git tag gave: `1.4.0`.
    pub tag: String,
    /// The images, in the order of the configuration; at least one.
    pub images: Vec<Image>,
    /// When the last build ended.
    pub built: Timestamp,
    /// When the last push ended; absent until all are pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
    /// The tests that it passed, each with a digest of what was run on which image: what has another is tested again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tested: BTreeMap<TestName, String>,
}

/// One image of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Registry and repository, without a tag: `registry.example/ops/shop`.
    pub name: String,
    /// The engine's id of the image: `sha256:…`.
    pub id: String,
    /// What the registry calls it: `sha256:…`; absent until pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Image {
    /// `registry.example/ops/shop:1.4.0`.
    pub fn tagged(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name)
    }

    /// `registry.example/ops/shop:1.4.0@sha256:…` once pushed, else as [`Image::tagged`].
    pub fn pinned(&self, tag: &str) -> String {
        match &self.digest {
            Some(digest) => format!("{}:{tag}@{digest}", self.name),
            None => self.tagged(tag),
        }
    }
}

impl Artifact {
    /// For people, in a line: `registry.example/ops/shop:1.4.0`, or `registry.example/ops/shop:1.4.0 and 2 more`.
    pub fn tagged(&self) -> String {
        match self.images.as_slice() {
            [] => self.tag.clone(),
            [one] => one.tagged(&self.tag),
            [first, more @ ..] => format!("{} and {} more", first.tagged(&self.tag), more.len()),
        }
    }

    /// Each image as [`Image::pinned`].
    pub fn pinned(&self) -> Vec<String> {
        self.images.iter().map(|image| image.pinned(&self.tag)).collect()
    }
}
