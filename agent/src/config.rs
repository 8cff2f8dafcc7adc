//! The configuration: one TOML file that says what to watch, where to build and what to keep equal to git.
//!
//! Reading is strict: an unknown option is an error with its line, never ignored. What a person may write, with every
//! default and its reason, stands in `config.example.toml`; a test holds that file against these types.
//! Secrets are never written here: an option names the environment variable or the file that holds one.

mod application;
mod artifact;
pub mod check;
mod daemon;
mod engine;
mod environment_source;
pub mod files;
pub mod finding;
mod follow;
pub mod forge;
pub mod git_source;
mod guards;
pub mod health;
mod helm;
pub mod in_git;
mod kustomize;
pub mod locate;
pub mod places;
mod promoted_values;
mod pull_secret;
mod registry;
mod revision;
mod scan;
mod sign;
mod sops;
pub mod source;
mod test;
mod values;
mod variables;
pub mod webhook;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::protocol::Role;
use quarterdeck_shared::snapshot::DefinedIn;
use serde::Deserialize;

pub(crate) use self::application::of_buildkit;
pub use self::engine::{BuilderKind, BuildkitConfig, EngineConfig};
pub use self::registry::{MirrorOptions, WrittenMirror, mirrors};
use self::source::spelled::FileProblem;
use crate::telemetry::LogFormat;
use quarterdeck_git::RepositoryConfig;
use quarterdeck_kubernetes::ClusterConfig;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the rest of it is; nowhere where absent.
    pub configuration: Option<git_source::ConfigurationSource>,
    /// The agent itself.
    pub agent: AgentConfig,
    /// The container engine that builds and pushes.
    pub engine: EngineConfig,
    /// What is kept, and for how long.
    pub history: HistoryConfig,
    /// When what nobody needs any more is deleted.
    pub gc: GcConfig,
    /// How much is kept of what was rendered.
    pub render: RenderConfig,
    /// Who else may connect; the agent's own user and root may do everything.
    pub access: Vec<AccessRule>,
    /// Credentials and options of repositories, by the beginning of their address.
    pub repository: Vec<RepositoryConfig>,
    /// Credentials and options of registries, by host.
    pub registry: Vec<RegistryConfig>,
    /// Forges that are told what became of their commits.
    pub forge: Vec<forge::ForgeConfig>,
    /// Where forges say that something was pushed; nowhere where absent.
    pub webhook: Option<webhook::WebhookConfig>,
    /// Clusters by the name that applications use.
    pub cluster: Vec<ClusterConfig>,
    /// What decrypts the files of environments.
    pub sops: sops::SopsConfig,
    /// Rules that say how well objects of a kind are.
    pub health: Vec<health::HealthRule>,
    /// Repositories that define applications beside this file.
    pub application_source: Vec<source::ApplicationSource>,
    /// What is operated: what the file says, and, once they were read, the sources.
    #[serde(skip)]
    pub applications: Vec<ApplicationSpec>,
    /// Where those are defined that are in git.
    #[serde(skip)]
    pub defined: BTreeMap<ApplicationName, DefinedIn>,
    /// The same as it is written; empty once it was read.
    application: Vec<application::Written>,
}

/// Options of the agent itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// How often each repository is asked for its refs; each wait is drawn from ±10 % of it.
    pub poll_interval: Interval,
    /// How often registries are asked for the tags of images that are followed.
    pub image_interval: Interval,
    /// Where mirrors, history and logs are; the XDG data directory by default.
    pub data_dir: Option<PathBuf>,
    /// Where the agent listens; in the XDG runtime directory by default.
    pub socket: Option<PathBuf>,
    /// The group that may connect; only the agent's user where absent.
    pub socket_group: Option<String>,
    /// A line that every console shows: which environment this is.
    pub banner: Option<String>,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,quarterdeck_git=debug`.
    pub log_level: String,
    /// Builds that run at once; the others wait in order.
    pub max_concurrent_builds: usize,
    /// Syncs that run at once.
    pub max_concurrent_syncs: usize,
    /// Whether programs that render see no network and no files but their own.
    pub confine_renderers: bool,
    /// A build that says nothing for this long is ended.
    pub build_idle_timeout: Interval,
    /// A stage of a run that meets an outage (engine, registry or forge away) tries again for this long before it fails.
    pub retry_timeout: Interval,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            poll_interval: Interval(Duration::from_secs(30)),
            image_interval: Interval(Duration::from_secs(300)),
            data_dir: None,
            socket: None,
            socket_group: None,
            banner: None,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            max_concurrent_builds: 2,
            max_concurrent_syncs: 8,
            confine_renderers: true,
            build_idle_timeout: Interval(Duration::from_secs(7_200)),
            retry_timeout: Interval(Duration::from_secs(1_800)),
        }
    }
}

impl AgentConfig {
    /// The agent's own table of a file; the others are not read, and may be wrong.
    ///
    /// # Errors
    /// Where the file cannot be read, is not TOML, or this table is wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            agent: AgentConfig,
        }
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let part: Part = toml::from_str(&text).map_err(|error| ConfigError::unreadable(path, &text, &error))?;
        let mut agent = part.agent;
        agent.anchor(path.parent().unwrap_or(path));
        Ok(agent)
    }

    /// Relative paths begin at the folder of the configuration, wherever the agent was started.
    fn anchor(&mut self, base: &Path) {
        for path in [&mut self.data_dir, &mut self.socket].into_iter().flatten() {
            *path = base.join(&*path);
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// Runs kept for each application, with their logs.
    pub runs: u32,
    /// Syncs kept for each application: as many releases, as many reverts of drift, and as many others.
    pub syncs: u32,
    /// Events kept over all.
    pub events: u32,
    /// The log of one run, in bytes; what is over it is cut from the middle, and the cut is told.
    pub log_bytes: u64,
    /// Runs, syncs and events older than this many days go, but never the newest of an application, nor anything in the
    /// day after the clock jumped.
    pub days: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { runs: 50, syncs: 100, events: 50_000, log_bytes: 8 << 20, days: 180 }
    }
}

/// What of the machine's disk is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GcConfig {
    /// It is deleted once an hour; else only when a person asks.
    pub automatic: bool,
    /// Commits of each application whose images are kept, of those that were pushed and of the others.
    pub images: usize,
    /// Commits of each merge request whose images are kept in the registry, where they are pushed.
    pub merge_request_images: usize,
    /// Images and mirrors that are younger than this many days are kept.
    pub days: u32,
}

impl Default for GcConfig {
    fn default() -> Self {
        Self { automatic: true, images: 20, merge_request_images: 1, days: 7 }
    }
}

/// What is kept of renders, sealed. Nothing where it is 0: for machines whose disk is to hold nothing that was decrypted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RenderConfig {
    /// Bytes of the cache: what was rendered last is not rendered again.
    pub cache_bytes: u64,
    /// Bytes of what syncs applied: a rollback needs neither the repository nor the program.
    pub kept_bytes: u64,
}

impl Default for RenderConfig {
    fn default() -> Self {
        // A thousand environments with eight renders each have 32 KiB for one, and a usual one takes two.
        Self { cache_bytes: 256 << 20, kept_bytes: 256 << 20 }
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// What they may do.
    pub role: Role,
    /// User names or ids.
    #[serde(default)]
    pub users: Vec<String>,
    /// Group names or ids.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// `registry.example`, `localhost:5000`.
    pub host: String,
    /// What it is beside a registry, where it has an API of its own.
    #[serde(default)]
    pub kind: Option<RegistryKind>,
    /// The user to log in as.
    #[serde(default)]
    pub username: Option<String>,
    /// The environment variable that holds the password or token.
    #[serde(default)]
    pub password_env: Option<String>,
    /// The file that holds the password or token.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Plain http is spoken to it; loopback addresses need not say so.
    #[serde(default)]
    pub insecure: bool,
    /// The file of authorities that are trusted for it beside those of the machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Where the same images are asked for first when the agent reads.
    #[serde(default)]
    pub mirrors: Vec<WrittenMirror>,
    /// What an environment runs has the label `deployed-ENV` there; of a Harbor alone.
    #[serde(default)]
    pub labels: bool,
    /// What an environment runs has a tag `deployed-ENV-…` there; of a Harbor alone.
    #[serde(default)]
    pub deployed_tags: bool,
}

/// A registry with an API of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// Harbor.
    Harbor,
}

/// A length of time, written as `30s`, `5m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Interval(pub Duration);

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| format!("{text:?} is not a valid duration: write 30s, 5m or 1h"))
    }
}

/// A configuration that is not in force, and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is wrong; each problem names its line.
    #[error("{}", list(problems))]
    Wrong {
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// A text that is not TOML, or has an option that does not exist.
    fn unreadable(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let (line, column) = locate::position(text, error.span().map_or(0, |span| span.start));
        Self::Wrong {
            problems: vec![Problem { path: path.to_owned(), line, column, message: error.message().to_owned() }],
        }
    }
}

impl Hint for ConfigError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Read { .. } => "write one with `qd-agent init` or name another with --config".into(),
            Self::Wrong { .. } => "".into(),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// As [`Config::load`], and looks whether the files are there that are read only when they are needed.
    pub fn load_with_files(path: &Path) -> Result<Self, ConfigError> {
        let config = Self::load(path)?;
        let mut findings = Vec::new();
        guards::check_files(&config.applications, &mut findings);
        check::check_files(&config, &mut findings);
        sign::check_files(&config.applications, &mut findings);
        artifact::check_files(&config.applications, &mut findings);
        helm::check_files(&config.applications, &mut findings);
        sops::check_files(&config.sops, path.parent().unwrap_or(path), &config.applications, &mut findings);
        if findings.is_empty() {
            return Ok(config);
        }
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Err(ConfigError::Wrong { problems: located(path, &text, findings) })
    }

    /// Checks a text; `path` is for the messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |problems| Err(ConfigError::Wrong { problems });
        let mut config: Self = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => return Err(ConfigError::unreadable(path, text, &error)),
        };
        let problems = check::check(&config, path.parent().unwrap_or(path));
        if problems.is_empty() {
            let problem =
                |FileProblem { line, column, message }| Problem { path: path.to_owned(), line, column, message };
            let inline: Vec<Problem> = source::read_inline(&mut config, text).into_iter().map(problem).collect();
            if !inline.is_empty() {
                return wrong(inline);
            }
            let base = path.parent().unwrap_or(path);
            config.anchor(base);
            config.applications = application::read(std::mem::take(&mut config.application), &config.sops, base);
            return Ok(config);
        }
        wrong(located(path, text, problems))
    }
}

/// Each with its line.
fn located(path: &Path, text: &str, findings: Vec<finding::Finding>) -> Vec<Problem> {
    let problem = |finding::Finding { place, message }| {
        let (line, column) = locate::locate(text, &place);
        Problem { path: path.to_owned(), line, column, message }
    };
    findings.into_iter().map(problem).collect()
}

impl Config {
    /// Relative paths begin at the folder of the configuration, wherever the agent was started.
    fn anchor(&mut self, base: &Path) {
        let anchor = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = base.join(&*path);
            }
        };
        self.agent.anchor(base);
        self.engine.anchor(base);
        self.configuration.iter_mut().for_each(|configuration| configuration.anchor(base));
        for registry in &mut self.registry {
            anchor(&mut registry.password_file);
            anchor(&mut registry.ca_file);
        }
        self.cluster.iter_mut().for_each(|cluster| anchor(&mut cluster.kubeconfig));
        self.webhook.iter_mut().for_each(|webhook| anchor(&mut webhook.secret_file));
        self.forge.iter_mut().for_each(|forge| anchor(&mut forge.token_file));
        for repository in &mut self.repository {
            anchor(&mut repository.ssh_key);
            anchor(&mut repository.known_hosts);
            anchor(&mut repository.token_file);
            anchor(&mut repository.ca_file);
        }
    }
}

#[cfg(test)]
mod tests;
