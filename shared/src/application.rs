//! Applications: the unit that a person operates. What is written here is what a person writes in the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an application: a DNS label (RFC 1123), since it becomes a label value and part of object names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApplicationName(Box<str>);

impl ApplicationName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot name an application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name an application: use 1 to 53 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
)]
pub struct ApplicationNameError(String);

impl FromStr for ApplicationName {
    type Err = ApplicationNameError;

    /// 53, not 63: the name of the inventory object is ours plus a prefix of ten.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let outer = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
        let bytes = text.as_bytes();
        let good = bytes.len() <= 53 && bytes.iter().all(|b| inner(*b)) && outer(bytes.first()) && outer(bytes.last());
        if good { Ok(Self(text.into())) } else { Err(ApplicationNameError(text.to_owned())) }
    }
}

impl TryFrom<String> for ApplicationName {
    type Error = ApplicationNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ApplicationName> for String {
    fn from(name: ApplicationName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for ApplicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// All that a person says about one application. An application has code and a build, or a deployment, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationSpec {
    /// What people and events call it.
    pub name: ApplicationName,
    /// Where its code is; absent for an application that is only deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// How its image is built; needs code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildSpec>,
    /// Where its manifests are and where they go; absent for an image that is only built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Destination>,
    /// How the cluster is kept equal to git.
    #[serde(default)]
    pub sync: SyncPolicy,
    /// How a pushed image gets into the manifests.
    #[serde(default)]
    pub promote: PromotePolicy,
    /// Whether what changes its cluster by hand (sync, rollback, resume) asks for the approver's role.
    #[serde(default)]
    pub protected: bool,
}

/// Where the code of an application is, and which tags mean what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Path, `file://`, `ssh://`, `user@host:path` or `http(s)://`.
    pub repository: String,
    /// Globs of the tags that build the image of their commit.
    #[serde(default = "default_build_tags")]
    pub build_tags: Vec<String>,
    /// Globs of the tags that push the image of their commit.
    #[serde(default = "default_push_tags")]
    pub push_tags: Vec<String>,
    /// What to do with the tags that are there when the repository is first seen.
    #[serde(default)]
    pub existing_tags: ExistingTags,
}

fn default_build_tags() -> Vec<String> {
    ["build", "build-*", "build/*"].map(str::to_owned).into()
}

fn default_push_tags() -> Vec<String> {
    ["push", "push-*", "push/*"].map(str::to_owned).into()
}

/// Which of the tags that are already there are triggers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingTags {
    /// The newest of each kind.
    #[default]
    Latest,
    /// None.
    None,
    /// All of them.
    All,
}

/// How the image of an application is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildSpec {
    /// Registry and repository without a tag: `registry.example/ops/shop`.
    pub image: String,
    /// The folder of the repository that is sent to the engine; the whole repository by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Below the context.
    #[serde(default = "default_dockerfile")]
    pub dockerfile: String,
    /// The stage of the Dockerfile to build; the last by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Build arguments; secret ones name the environment variable or file that holds them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, BuildArg>,
    /// The image tag, from `{suffix}` (of the git tag, else the short commit), `{tag}`, `{commit}`, `{short_commit}`.
    #[serde(default = "default_tag_template")]
    pub tag: String,
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}

fn default_tag_template() -> String {
    "{suffix}".to_owned()
}

/// The value of a build argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "snake_case")]
pub enum BuildArg {
    /// Written in the configuration: not a secret.
    Plain(String),
    /// In this environment variable of the agent: masked in every output.
    Environment {
        /// Its name.
        env: String,
    },
    /// In this file: masked in every output.
    File {
        /// Its path.
        file: String,
    },
}

/// Where the manifests of an application are, and where they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Like [`Code::repository`].
    pub repository: String,
    /// The branch that is deployed; the remote's default branch where neither branch nor tag is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A tag that is deployed instead of a branch; promotion needs a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The folder of the manifests; the whole repository by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// A context of the kubeconfig, or `in-cluster`; the kubeconfig's current context by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Makes the namespace where it is not there. Off by default: who may deploy need not be allowed to make namespaces.
    #[serde(default)]
    pub create_namespace: bool,
    /// How manifests become objects.
    #[serde(default)]
    pub render: RenderKind,
}

/// How a folder of manifests becomes objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenderKind {
    /// Kustomize where a kustomization file is there, else plain.
    #[default]
    Auto,
    /// Every `.yaml`, `.yml` and `.json` file below the path.
    Plain,
    /// Through the `kustomize` or `kubectl` program.
    Kustomize,
}

/// How the cluster is kept equal to git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncPolicy {
    /// A new revision is synced without being asked.
    pub automatic: bool,
    /// What left git is deleted.
    pub prune: bool,
    /// Drift is reverted.
    pub self_heal: bool,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self { automatic: true, prune: true, self_heal: true }
    }
}

/// How a pushed image gets into the manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromotePolicy {
    /// Whether, and by what name the image is written.
    pub by: PromoteBy,
    /// The author of the commit: `Name <mail>`.
    pub author: String,
    /// The message; `{application}`, `{image}`, `{tag}`, `{digest}`, `{commit}` are filled in. Trailers follow it, by which
    /// the branch says what was promoted.
    pub message: String,
}

impl Default for PromotePolicy {
    fn default() -> Self {
        Self {
            by: PromoteBy::TagAndDigest,
            author: "Quarterdeck <quarterdeck@localhost>".to_owned(),
            message: "{application}: {tag}\n\nImage {image}:{tag}\nDigest {digest}\nSource {commit}\n".to_owned(),
        }
    }
}

/// By what name a promoted image is written into the manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromoteBy {
    /// `name:1.4.0@sha256:…`.
    #[default]
    TagAndDigest,
    /// `name:1.4.0`.
    Tag,
    /// `name@sha256:…`.
    Digest,
    /// Not at all: the manifests are somebody else's.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        let long = "a".repeat(53);
        let too_long = "a".repeat(54);
        for (text, good) in [
            ("shop", true),
            ("shop-2", true),
            (&*long, true),
            ("", false),
            ("Shop", false),
            ("-shop", false),
            ("shop-", false),
            ("shop_1", false),
            ("shop.prod", false),
            (&*too_long, false),
        ] {
            assert_eq!(text.parse::<ApplicationName>().is_ok(), good, "{text:?}");
        }
    }
}
