//! Images of others that an application follows: what a person says about which of their tags are wanted.

use std::fmt;

use super::EnvironmentName;

/// An image of a registry whose newest tag is written into the manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowSpec {
    /// Registry and repository without a tag: `ghcr.io/stefanprodan/podinfo`.
    pub image: String,
    /// Which of its tags is wanted.
    pub policy: TagPolicy,
    /// Into the manifests of which environments; of all where empty.
    pub environments: Vec<EnvironmentName>,
}

impl FollowSpec {
    /// Whether it is written into the manifests of this environment.
    pub fn is_for(&self, environment: &EnvironmentName) -> bool {
        self.environments.is_empty() || self.environments.contains(environment)
    }
}

/// Which tag of an image is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagPolicy {
    /// The newest version in this range: `>=6.0 <7`.
    Semver(String),
    /// The newest of those that match this pattern, as people count: `main-*`, `main-10` after `main-9`.
    Newest(String),
    /// The one of those that match this pattern whose image was created last: `main-*`, where the rest of the name is a commit.
    NewestCreated(String),
    /// This one, by its digest, which changes.
    Tag(String),
}

impl fmt::Display for TagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Semver(range) => write!(f, "semver {range}"),
            Self::Newest(pattern) => write!(f, "newest {pattern}"),
            Self::NewestCreated(pattern) => write!(f, "newest created {pattern}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}
