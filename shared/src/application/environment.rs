//! Where an application runs: its manifests, how they become objects, and the policies of sync and promotion.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kustomize::{KustomizeSpec, PostRender};
use super::{
    ArtifactSpec, EnvironmentName, EnvironmentSource, EnvironmentSourceName, Follow, RequiredSigner, ValueFrom,
    source_of,
};

/// One place where an application runs: where its manifests are, where they go, and the policies of sync and promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// What people and events call it, behind the name of the application.
    pub name: EnvironmentName,
    /// Where the manifests are; like [`Code::repository`](super::Code::repository).
    pub repository: String,
    /// What is deployed of it.
    pub follow: Follow,
    /// The artifact of a registry that they come from instead; `repository` describes it then.
    pub artifact: Option<ArtifactSpec>,
    /// Others whose files are seen beside those.
    pub sources: Vec<EnvironmentSource>,
    /// The folder of the manifests; the whole repository where empty.
    pub path: String,
    /// How manifests become objects.
    pub render: RenderKind,
    /// Which of its files are rendered, where they are rendered plainly.
    pub files: FilesSpec,
    /// What kustomizations may take from elsewhere, and what is changed in its own.
    pub kustomize: KustomizeSpec,
    /// What a chart is given.
    pub helm: HelmSpec,
    /// What jsonnet is given.
    pub jsonnet: JsonnetSpec,
    /// The files of the age keys that decrypt its files; those of all environments where it has none of its own.
    pub age_keys: Vec<PathBuf>,
    /// Whether nothing but these keys decrypts its files: not the `sops` program, which logs in as the agent does.
    pub age_keys_only: bool,
    /// What `${name}` in its manifests means; nothing is looked for where absent.
    pub variables: Option<VariablesSpec>,
    /// A `[[cluster]]`, a context of the kubeconfig, or `in-cluster`; the kubeconfig's current context where absent.
    pub cluster: Option<String>,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Makes the namespace where it is not there. Off by default: who may deploy need not be allowed to make namespaces.
    pub create_namespace: bool,
    /// The Secrets with which the cluster pulls its images.
    pub pull_secrets: Vec<PullSecretSpec>,
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
            artifact: None,
            sources: Vec::new(),
            path: String::new(),
            render: RenderKind::default(),
            files: FilesSpec::default(),
            kustomize: KustomizeSpec::default(),
            helm: HelmSpec::default(),
            jsonnet: JsonnetSpec::default(),
            age_keys: Vec::new(),
            age_keys_only: false,
            variables: None,
            cluster: None,
            namespace,
            create_namespace: false,
            pull_secrets: Vec::new(),
            sync: SyncPolicy::default(),
            promote: PromotePolicy::default(),
            protected: false,
        }
    }

    /// The source that promotions are written into; nothing where that is the environment's own repository.
    pub fn promoted_source(&self) -> Option<&EnvironmentSource> {
        let name = self.promote.source.as_ref()?;
        self.sources.iter().find(|source| source.name == *name)
    }

    /// What is followed of the repository that promotions are written into.
    pub fn promoted_follow(&self) -> &Follow {
        self.promoted_source().map_or(&self.follow, |source| &source.follow)
    }

    /// What names the images in that repository: of several values files the one that overrules the others, else the folder of the
    /// manifests; `.` where that is all of it. What two environments share has one name.
    pub fn promoted_place(&self) -> String {
        let into = self.promoted_source();
        let there = |path: &String| match into {
            Some(source) => source.path_of(path),
            None => source_of(path).is_none().then(|| path.trim_matches('/').to_owned()),
        };
        let values = self.helm.values_files.iter().rev().find_map(there);
        let place = values.or_else(|| there(&self.path)).unwrap_or_else(|| self.path.trim_matches('/').to_owned());
        if place.is_empty() { ".".to_owned() } else { place }
    }
}

/// A Secret in an environment's namespace with which its cluster pulls images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSecretSpec {
    /// Its name.
    pub name: String,
    /// The registries that it logs in to, each once.
    pub registries: Vec<PullLogin>,
    /// The ServiceAccounts whose pods pull with it, without being told; none where manifests name it.
    pub service_accounts: Vec<String>,
}

/// How a cluster logs in to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullLogin {
    /// Its host.
    pub registry: String,
    /// The cluster's own user and where the password is; the agent's login where absent.
    pub own: Option<(String, ValueFrom)>,
}

/// The variables of an environment's manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariablesSpec {
    /// By name; these overrule all others.
    pub values: BTreeMap<String, String>,
    /// Objects of the environment's namespace that hold more; a later one overrules an earlier one.
    pub from: Vec<VariableSource>,
    /// Whether a variable without a value is an error, and not nothing.
    pub strict: bool,
}

/// An object that holds variables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariableSource {
    /// Which kind of object.
    pub kind: VariableKind,
    /// Its name.
    pub name: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// The kinds of object that hold variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum VariableKind {
    /// In clear.
    ConfigMap,
    /// Shown nowhere.
    Secret,
}

impl VariableKind {
    /// As Kubernetes calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
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
    /// Every `.jsonnet` file of the folder through the `jsonnet` program.
    Jsonnet,
}

/// Which files of a folder are rendered plainly. Each text is a pattern as in a `.gitignore` in that folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesSpec {
    /// Only these; all where empty.
    pub include: Vec<String>,
    /// Not these, also where they are included.
    pub exclude: Vec<String>,
}

impl FilesSpec {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// What jsonnet is given. A text is given as a text, everything else as code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonnetSpec {
    /// Top-level arguments: what a file gets that is a function.
    pub tla: serde_json::Map<String, serde_json::Value>,
    /// External variables: `std.extVar`.
    pub ext: serde_json::Map<String, serde_json::Value>,
    /// Folders from the root of the repository in which imports are looked for, the first one first.
    pub libs: Vec<String>,
}

/// How a Helm chart is rendered, and its hooks are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmSpec {
    /// The chart, where it comes from a registry or a chart repository; the folder of the manifests is one where absent.
    pub chart: Option<ChartSpec>,
    /// The repositories that a chart of the folder may have its dependencies from; none where empty.
    pub dependencies: Vec<DependencyRepository>,
    /// `.Release.Name`; the name of the application where absent.
    pub release_name: Option<String>,
    /// Files of values from the root of the repository; a later one overrules an earlier one, and each the chart's own.
    pub values_files: Vec<String>,
    /// Values that overrule all files.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// Values that are the texts of files; they overrule all others.
    pub file_parameters: Vec<FileParameter>,
    /// Deploys a chart without the definitions in its folder `crds`.
    pub skip_crds: bool,
    /// Deploys a chart that has hooks without them.
    pub skip_hooks: bool,
    /// Each hook has to be done within this time.
    pub hook_timeout: Duration,
    /// What is changed in its objects after they are rendered.
    pub post_render: Option<PostRender>,
}

impl HelmSpec {
    /// As long as `helm` itself waits for a hook.
    pub const HOOK_TIMEOUT: Duration = Duration::from_secs(300);
}

impl Default for HelmSpec {
    fn default() -> Self {
        Self {
            chart: None,
            dependencies: Vec::new(),
            release_name: None,
            values_files: Vec::new(),
            values: serde_json::Map::new(),
            file_parameters: Vec::new(),
            skip_crds: false,
            skip_hooks: false,
            hook_timeout: Self::HOOK_TIMEOUT,
            post_render: None,
        }
    }
}

/// A value of a chart that is the text of a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileParameter {
    /// The value, as `helm --set-file` reads it: `config.text`, `files[0].content`.
    pub name: String,
    /// The file, from the root of the repository.
    pub path: String,
}

/// A repository of charts, and all below its address, from which dependencies may be fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependencyRepository {
    /// `oci://registry.example/charts`, or `https://charts.example`.
    pub repository: String,
    /// The user to log in as to a chart repository.
    pub username: Option<String>,
    /// The environment variable that holds the password or token.
    pub password_env: Option<String>,
    /// The file that holds it.
    pub password_file: Option<PathBuf>,
}

/// A chart of a registry or a chart repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChartSpec {
    /// `oci://registry.example/charts`, or `https://charts.example` where its `index.yaml` is.
    pub repository: String,
    /// What the chart is called there.
    pub name: String,
    /// A version, or a range of which the newest is deployed.
    pub version: String,
    /// The user to log in as to a chart repository.
    pub username: Option<String>,
    /// The environment variable that holds the password or token.
    pub password_env: Option<String>,
    /// The file that holds it.
    pub password_file: Option<PathBuf>,
    /// Public keys of OpenPGP: the provenance file of the chart has to be signed by one of them. Not asked for where absent.
    pub verify_keyring: Option<PathBuf>,
    /// Public keys, as PEM: one of them has to have signed the chart in its registry by `cosign`. Any chart where empty.
    pub verify: Vec<PathBuf>,
}

impl ChartSpec {
    /// `podinfo 6.x of oci://registry.example/charts`, for people.
    pub fn describe(&self) -> String {
        format!("{} {} of {}", self.name, self.version, self.repository)
    }
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
    /// The source whose files name the image, where these are not in the environment's own repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<EnvironmentSourceName>,
    /// The author of the commit: `Name <mail>`.
    pub author: String,
    /// The message; `{application}`, `{environment}`, `{images}` (a line each, with digest), `{tag}`, `{commit}` are filled in.
    /// Trailers follow it, by which the branch says what was promoted.
    pub message: String,
    /// Public keys and identities: an image that none of them signed is not promoted. Any image where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require_signature: Vec<RequiredSigner>,
    /// Where the values of a chart name images, for charts with other keys than most have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ImageValues>,
}

/// The keys of a values file that name an image: `web.version`, a `\\.` is a dot of a key. Either those of its tag and digest, or the
/// one that has all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageValues {
    /// Registry and repository: `registry.example/ops/shop`.
    pub image: String,
    /// Of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Of repository, tag and digest in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

impl Default for PromotePolicy {
    fn default() -> Self {
        Self {
            by: PromoteBy::TagAndDigest,
            source: None,
            author: "Quarterdeck <quarterdeck@localhost>".to_owned(),
            message: "{application}: {tag}\n\n{images}\nSource {commit}\n".to_owned(),
            require_signature: Vec::new(),
            values: Vec::new(),
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
