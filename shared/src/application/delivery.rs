//! What of an application is built: its code, which tags, branches and merge requests mean what, and its images.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ScanSpec, SignSpec, TestSpec, ValueFrom};

/// Code, the images that are built of its commits, and what tests and scans them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySpec {
    /// Where the code is.
    pub code: Code,
    /// What is built of one commit; at least one.
    pub images: Vec<ImageSpec>,
    /// What is run between build and push, in this order.
    pub tests: Vec<TestSpec>,
    /// How what was pushed is scanned before it is promoted; not at all where absent.
    pub scan: Option<ScanSpec>,
    /// How what was pushed is signed; not at all where absent.
    pub sign: Option<SignSpec>,
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
    /// Globs of the branches whose new commits are built and tested; none by default.
    #[serde(default)]
    pub branches: Vec<String>,
    /// Builds and tests each new commit of a merge request (of a pull request, as some forges call it).
    #[serde(default)]
    pub merge_requests: bool,
    /// Pushes what was built and tested of a merge request of the repository's own branches, under a tag that names it.
    #[serde(default)]
    pub push_merge_requests: bool,
    /// What happens with merge requests whose code is of no branch of the repository.
    #[serde(default)]
    pub forks: Forks,
    /// The tag of the images, from `{suffix}` (of the git tag, else the short commit), `{tag}`, `{commit}`, `{short_commit}`.
    #[serde(default = "default_image_tag")]
    pub image_tag: String,
    /// Whose signature a tag needs to trigger anything; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_signed: Option<Signers>,
    /// Only a tag that the forge protects triggers anything.
    #[serde(default)]
    pub require_protected_tags: bool,
}

impl Code {
    /// Whether a tag has to be looked at before anything is done for it.
    pub fn guards_tags(&self) -> bool {
        self.require_signed.is_some() || self.require_protected_tags
    }
}

/// The files that name those whose signed tags trigger; at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signers {
    /// Principals and their ssh keys, in the format of git's `gpg.ssh.allowedSignersFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<PathBuf>,
    /// Public keys of OpenPGP, armored or binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpg: Option<PathBuf>,
}

fn default_image_tag() -> String {
    "{suffix}".to_owned()
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

/// What happens with a merge request whose code is of no branch of the repository: anyone may have written it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forks {
    /// It waits for a person's permission, each commit anew.
    #[default]
    Ask,
    /// It is run as any other, without secrets.
    Run,
    /// It is not run.
    Never,
}

/// An image of an application, and how it is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Registry and repository without a tag: `registry.example/ops/shop`.
    pub name: String,
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
    pub args: BTreeMap<String, ValueFrom>,
    /// Secrets by their ids, for `RUN --mount=type=secret,id=…`: each names the environment variable or file that holds it,
    /// which is read at each build. Only BuildKit has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, ValueFrom>,
    /// The keys that `RUN --mount=type=ssh` can use. Only BuildKit does.
    #[serde(default, skip_serializing_if = "Ssh::is_off")]
    pub ssh: Ssh,
    /// Gives the build the commit's time as `SOURCE_DATE_EPOCH`.
    #[serde(default, skip_serializing_if = "is_off")]
    pub source_date_epoch: bool,
    /// Images of registries whose build cache is used beside the engine's own. Only BuildKit does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<String>,
    /// The platform to build for, as `linux/arm64`; the engine's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Several platforms, which become one index. Only a BuildKit daemon of its own makes one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Where the build cache goes beside the engine. Only BuildKit writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_to: Option<CacheTo>,
}

/// The keys that a build can use over ssh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected true, false or { key_file = \"…\" }")]
pub enum Ssh {
    /// Those of the ssh agent that the agent's `SSH_AUTH_SOCK` names, or none.
    Agent(bool),
    /// The one of a file.
    Key(SshKey),
}

/// A private key, for an ssh agent of the build's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshKey {
    /// Its path.
    pub key_file: PathBuf,
}

impl Default for Ssh {
    fn default() -> Self {
        Self::Agent(false)
    }
}

impl Ssh {
    /// Whether it can use none.
    pub fn is_off(&self) -> bool {
        *self == Self::Agent(false)
    }
}

/// Where the cache of a build goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum CacheTo {
    /// Into the image itself, as far as its layers are in it.
    Inline,
    /// Into a registry under this name, of all stages. Only a BuildKit daemon of its own writes it.
    Registry(String),
}

impl From<String> for CacheTo {
    fn from(text: String) -> Self {
        if text == "inline" { Self::Inline } else { Self::Registry(text) }
    }
}

impl From<CacheTo> for String {
    fn from(to: CacheTo) -> Self {
        match to {
            CacheTo::Inline => "inline".to_owned(),
            CacheTo::Registry(name) => name,
        }
    }
}

fn is_off(option: &bool) -> bool {
    !option
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}
