//! Applications: the unit that a person operates. What is written here is what a person writes in the configuration.

mod test;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::test::{ContainerLimits, ServiceSpec, TestCommand, TestRun, TestSpec};

/// Text that names a thing of ours: a DNS label (RFC 1123), since it becomes a label value and part of object names.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        #[doc = concat!("A text that cannot name ", $what, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error(
            "{0:?} cannot name {what}: use 1 to 53 of a-z, 0-9 and '-', beginning and ending with a letter or digit",
            what = $what
        )]
        pub struct $error(String);

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_label(text) { Ok(Self(text.into())) } else { Err($error(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// 53, not 63: so that what is made of it stays a label.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let outer = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
    let bytes = text.as_bytes();
    bytes.len() <= 53 && bytes.iter().all(|b| inner(*b)) && outer(bytes.first()) && outer(bytes.last())
}

name!(
    /// The name of an application.
    ApplicationName,
    ApplicationNameError,
    "an application"
);

name!(
    /// The name of an environment among those of its application.
    EnvironmentName,
    EnvironmentNameError,
    "an environment"
);

name!(
    /// The name of a test among those of its application.
    TestName,
    TestNameError,
    "a test"
);

name!(
    /// The name of a service among those of its test, by which the test reaches it.
    ServiceName,
    ServiceNameError,
    "a service"
);

/// An environment of an application, as people address it: `shop/prod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvironmentId {
    /// Whose.
    pub application: ApplicationName,
    /// Which of it.
    pub environment: EnvironmentName,
}

impl EnvironmentId {
    /// An environment of an application.
    pub fn new(application: &ApplicationName, environment: &EnvironmentName) -> Self {
        Self { application: application.clone(), environment: environment.clone() }
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.application, self.environment))
    }
}

/// A text that addresses no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentIdError {
    /// There is no environment in it.
    #[error("{0:?} names no environment: write APPLICATION/ENVIRONMENT")]
    NoEnvironment(String),
    /// What is before the slash.
    #[error(transparent)]
    Application(#[from] ApplicationNameError),
    /// What is behind it.
    #[error(transparent)]
    Environment(#[from] EnvironmentNameError),
}

impl FromStr for EnvironmentId {
    type Err = EnvironmentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (application, environment) =
            text.split_once('/').ok_or_else(|| EnvironmentIdError::NoEnvironment(text.to_owned()))?;
        Ok(Self { application: application.parse()?, environment: environment.parse()? })
    }
}

impl TryFrom<String> for EnvironmentId {
    type Error = EnvironmentIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EnvironmentId> for String {
    fn from(id: EnvironmentId) -> Self {
        id.to_string()
    }
}

/// What a person types to mean an environment: `shop/prod`, or `shop` where the application has but one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The application.
    pub application: ApplicationName,
    /// The environment; the only one where absent.
    pub environment: Option<EnvironmentName>,
}

impl FromStr for Address {
    type Err = EnvironmentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            None => Self { application: text.parse()?, environment: None },
            Some((application, environment)) => {
                Self { application: application.parse()?, environment: Some(environment.parse()?) }
            }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.environment {
            None => self.application.fmt(f),
            Some(environment) => f.pad(&format!("{}/{environment}", self.application)),
        }
    }
}

impl Address {
    /// The environment, where one is named.
    pub fn id(&self) -> Option<EnvironmentId> {
        Some(EnvironmentId::new(&self.application, self.environment.as_ref()?))
    }

    /// Whether it means this environment: by its name, or as one of its application.
    pub fn means(&self, id: &EnvironmentId) -> bool {
        self.application == id.application && self.environment.as_ref().is_none_or(|one| *one == id.environment)
    }
}

impl TryFrom<String> for Address {
    type Error = EnvironmentIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<EnvironmentId> for Address {
    fn from(EnvironmentId { application, environment }: EnvironmentId) -> Self {
        Self { application, environment: Some(environment) }
    }
}

impl From<ApplicationName> for Address {
    fn from(application: ApplicationName) -> Self {
        Self { application, environment: None }
    }
}

/// All that a person says about one application. It has code and images, or environments, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSpec {
    /// What people and events call it.
    pub name: ApplicationName,
    /// What is built; absent for an application that is only deployed.
    pub delivery: Option<DeliverySpec>,
    /// Where it runs, in the order in which they were written; none for images that are only built.
    pub environments: Vec<EnvironmentSpec>,
}

impl ApplicationSpec {
    /// One of its environments.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&EnvironmentSpec> {
        self.environments.iter().find(|environment| environment.name == *name)
    }
}

/// Code, the images that are built of its commits, and what tests them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySpec {
    /// Where the code is.
    pub code: Code,
    /// What is built of one commit; at least one.
    pub images: Vec<ImageSpec>,
    /// What is run between build and push, in this order.
    pub tests: Vec<TestSpec>,
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
    /// What happens with merge requests whose code is of no branch of the repository.
    #[serde(default)]
    pub forks: Forks,
    /// The tag of the images, from `{suffix}` (of the git tag, else the short commit), `{tag}`, `{commit}`, `{short_commit}`.
    #[serde(default = "default_image_tag")]
    pub image_tag: String,
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
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}

/// Where the value of a build argument or of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "snake_case")]
pub enum ValueFrom {
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

/// One place where an application runs: where its manifests are, where they go, and the policies of sync and promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// What people and events call it, behind the name of the application.
    pub name: EnvironmentName,
    /// Where the manifests are; like [`Code::repository`].
    pub repository: String,
    /// What is deployed of it.
    pub follow: Follow,
    /// The folder of the manifests; the whole repository where empty.
    pub path: String,
    /// How manifests become objects.
    pub render: RenderKind,
    /// What a chart is given.
    pub helm: HelmSpec,
    /// A `[[cluster]]`, a context of the kubeconfig, or `in-cluster`; the kubeconfig's current context where absent.
    pub cluster: Option<String>,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Makes the namespace where it is not there. Off by default: who may deploy need not be allowed to make namespaces.
    pub create_namespace: bool,
    /// How the cluster is kept equal to git.
    pub sync: SyncPolicy,
    /// How pushed images get into the manifests.
    pub promote: PromotePolicy,
    /// Whether what changes its cluster manually (sync, rollback, resume) requires role `approver`.
    pub protected: bool,
}

impl EnvironmentSpec {
    /// An environment with the defaults for all that need not be said.
    pub fn new(name: EnvironmentName, repository: String, namespace: String) -> Self {
        Self {
            name,
            repository,
            follow: Follow::default(),
            path: String::new(),
            render: RenderKind::default(),
            helm: HelmSpec::default(),
            cluster: None,
            namespace,
            create_namespace: false,
            sync: SyncPolicy::default(),
            promote: PromotePolicy::default(),
            protected: false,
        }
    }
}

/// What is deployed of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Follow {
    /// The remote's default branch.
    #[default]
    Default,
    /// A branch.
    Branch(String),
    /// A tag. Nothing is promoted to it: a promotion is a commit on a branch.
    Tag(String),
}

impl Follow {
    /// The branch that promotions go to, where one is named.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(branch) => Some(branch),
            Self::Default | Self::Tag(_) => None,
        }
    }
}

/// How a folder of manifests becomes objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenderKind {
    /// Kustomize where a kustomization file is there, Helm where a `Chart.yaml` is, else plain.
    #[default]
    Auto,
    /// Every `.yaml`, `.yml` and `.json` file below the path.
    Plain,
    /// Through the `kustomize` or `kubectl` program.
    Kustomize,
    /// Through the `helm` program, as a release of the chart.
    Helm,
}

/// How a Helm chart is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HelmSpec {
    /// `.Release.Name`; the name of the application where absent.
    pub release_name: Option<String>,
    /// Files of values from the root of the repository; a later one overrules an earlier one, and each the chart's own.
    pub values_files: Vec<String>,
    /// Values that overrule all files.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// Deploys a chart that has hooks without them.
    pub skip_hooks: bool,
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

/// How pushed images get into the manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromotePolicy {
    /// Whether, and by what name the image is written.
    pub by: PromoteBy,
    /// The author of the commit: `Name <mail>`.
    pub author: String,
    /// The message; `{application}`, `{environment}`, `{images}` (a line each, with digest), `{tag}`, `{commit}` are filled in.
    /// Trailers follow it, by which the branch says what was promoted.
    pub message: String,
}

impl Default for PromotePolicy {
    fn default() -> Self {
        Self {
            by: PromoteBy::TagAndDigest,
            author: "Quarterdeck <quarterdeck@localhost>".to_owned(),
            message: "{application}: {tag}\n\n{images}\nSource {commit}\n".to_owned(),
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
    fn an_environment_is_addressed_with_its_application() {
        for (text, good) in [("shop/prod", true), ("shop", false), ("shop/", false), ("/prod", false), ("a/b/c", false)]
        {
            let id = text.parse::<EnvironmentId>();
            assert_eq!(id.is_ok(), good, "{text:?}");
            assert!(id.is_err() || id.unwrap().to_string() == text);
        }
        for text in ["shop", "shop/prod"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("shop/".parse::<Address>().is_err());
    }

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
