//! The configuration: one TOML file that says what to watch, where to build and what to keep equal to git.
//!
//! Reading is strict: an unknown option is an error with its line, never ignored. What a person may write, with every
//! default and its reason, stands in `config.example.toml`; a test holds that file against these types.
//! Secrets are never written here: an option names the environment variable or the file that holds one.

pub mod check;
pub mod locate;
pub mod places;

use std::path::{Path, PathBuf};
use std::time::Duration;

use quarterdeck_shared::application::{ApplicationSpec, BuildArg};
use quarterdeck_shared::protocol::Role;
use serde::{Deserialize, Serialize};

use crate::cluster::ClusterConfig;
use crate::source::RepositoryConfig;
use crate::telemetry::LogFormat;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The agent itself.
    pub agent: AgentConfig,
    /// The container engine that builds and pushes.
    pub engine: EngineConfig,
    /// What is kept, and for how long.
    pub history: HistoryConfig,
    /// Who else may connect; the agent's own user and root may do everything.
    pub access: Vec<AccessRule>,
    /// Credentials and options of repositories, by the beginning of their address.
    pub repository: Vec<RepositoryConfig>,
    /// Credentials and options of registries, by host.
    pub registry: Vec<RegistryConfig>,
    /// Clusters by the name that applications use.
    pub cluster: Vec<ClusterConfig>,
    /// What is operated.
    pub application: Vec<ApplicationSpec>,
}

/// Options of the agent itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// How often each repository is asked for its refs; each wait is drawn from ±10 % of it.
    pub poll_interval: Interval,
    /// Where mirrors, history and logs are; the XDG data directory by default.
    pub data_dir: Option<PathBuf>,
    /// Where the agent listens; in the XDG runtime directory by default.
    pub socket: Option<PathBuf>,
    /// The group that may connect; only the agent's user where absent.
    pub socket_group: Option<String>,
    /// A line that every console shows: which environment this is.
    pub notice: Option<String>,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,quarterdeck_agent::source=debug`.
    pub log_level: String,
    /// Builds that run at once; the others wait in order.
    pub builds_at_once: usize,
    /// Syncs that run at once.
    pub syncs_at_once: usize,
    /// A build that says nothing for this long is ended.
    pub build_silence: Interval,
    /// A stage of a run that meets an outage (engine, registry or forge away) tries again for this long before it fails.
    pub patience: Interval,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            poll_interval: Interval(Duration::from_secs(30)),
            data_dir: None,
            socket: None,
            socket_group: None,
            notice: None,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            builds_at_once: 2,
            syncs_at_once: 8,
            build_silence: Interval(Duration::from_secs(7_200)),
            patience: Interval(Duration::from_secs(1_800)),
        }
    }
}

/// The container engine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// `unix:///var/run/docker.sock`, `tcp://host:port`; found as the docker program finds it where absent.
    pub address: Option<String>,
    /// Which builder of a Docker engine.
    pub builder: BuilderKind,
}

/// Which builder of a Docker engine is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuilderKind {
    /// BuildKit where the engine offers it.
    #[default]
    Auto,
    /// BuildKit or nothing.
    Buildkit,
    /// The classic builder.
    Classic,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// Runs kept for each application, with their logs.
    pub runs: u32,
    /// Syncs kept for each application.
    pub syncs: u32,
    /// Events kept over all.
    pub events: u32,
    /// The log of one run, in bytes; what is over it is cut from the middle, and the cut is told.
    pub log_bytes: u64,
    /// Runs, syncs and events older than this many days go, but never the newest of an application.
    pub days: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { runs: 50, syncs: 100, events: 50_000, log_bytes: 8 << 20, days: 180 }
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
            .map_err(|e| format!("{text:?} is no length of time ({e}): write 30s, 5m or 1h"))
    }
}

/// A configuration that is not in force, and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read the configuration {path}; write one with `qd-agent init` or name another with --config")]
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

    /// Checks a text; `path` is for the messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |problems| Err(ConfigError::Wrong { problems });
        let mut config: Self = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => {
                let (line, column) = locate::position(text, error.span().map_or(0, |span| span.start));
                return wrong(vec![Problem {
                    path: path.to_owned(),
                    line,
                    column,
                    message: error.message().to_owned(),
                }]);
            }
        };
        let problems = check::check(&config, path.parent().unwrap_or(path));
        if problems.is_empty() {
            config.anchor(path.parent().unwrap_or(path));
            return Ok(config);
        }
        wrong(
            problems
                .into_iter()
                .map(|check::Finding { place, message }| {
                    let (line, column) = locate::locate(text, &place);
                    Problem { path: path.to_owned(), line, column, message }
                })
                .collect(),
        )
    }
}

impl Config {
    /// Relative paths begin at the folder of the configuration, wherever the agent was started.
    fn anchor(&mut self, base: &Path) {
        let anchor = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = base.join(&*path);
            }
        };
        anchor(&mut self.agent.data_dir);
        anchor(&mut self.agent.socket);
        self.registry.iter_mut().for_each(|registry| anchor(&mut registry.password_file));
        self.cluster.iter_mut().for_each(|cluster| anchor(&mut cluster.kubeconfig));
        for repository in &mut self.repository {
            anchor(&mut repository.ssh_key);
            anchor(&mut repository.token_file);
            anchor(&mut repository.ca_file);
        }
        for build in self.application.iter_mut().filter_map(|application| application.build.as_mut()) {
            for arg in build.args.values_mut() {
                if let BuildArg::File { file } = arg {
                    *file = base.join(&*file).display().to_string();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    /// The example with every commented option in force.
    fn whole_example() -> String {
        let option = |line: &str| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let key = bare.split(['=', ' ']).next().unwrap_or_default();
            let is_key =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && bare.contains(" = ");
            if is_key || bare.starts_with('[') { bare.to_owned() } else { String::new() }
        };
        EXAMPLE.lines().map(option).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_as_it_stands_is_the_default() {
        assert_eq!(Config::parse(Path::new("/etc/qd/config.toml"), EXAMPLE).unwrap(), Config::default());
    }

    #[test]
    fn the_example_names_options_that_are_there_with_their_defaults() {
        let text = whole_example();
        let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let AgentConfig {
            poll_interval,
            data_dir,
            socket,
            socket_group,
            notice,
            log_format,
            log_level,
            builds_at_once,
            syncs_at_once,
            build_silence,
            patience,
        } = config.agent;
        assert!(data_dir.is_some() && socket.is_some() && socket_group.is_some() && notice.is_some());
        let shown = AgentConfig {
            data_dir: None,
            socket: None,
            socket_group: None,
            notice: None,
            poll_interval,
            log_format,
            log_level,
            builds_at_once,
            syncs_at_once,
            build_silence,
            patience,
        };
        assert_eq!(shown, AgentConfig::default());
        assert_eq!(EngineConfig { address: None, ..config.engine }, EngineConfig::default());
        assert_eq!(config.history, HistoryConfig::default());
        let [application] = &config.application[..] else { panic!("one application") };
        assert_eq!(application.sync, Default::default());
        assert_eq!(application.promote, Default::default());
        let bare: ApplicationSpec = toml::from_str(
            "name = 'shop'\nsource = { repository = 'a' }\nbuild = { image = 'b' }\ndeploy = { repository = 'c', namespace = 'd' }",
        )
        .unwrap();
        let (shown, default) = (application.source.as_ref().unwrap(), bare.source.as_ref().unwrap());
        assert_eq!(
            (&shown.build_tags, &shown.push_tags, shown.first_sight),
            (&default.build_tags, &default.push_tags, default.first_sight)
        );
        let (shown, default) = (application.build.as_ref().unwrap(), bare.build.as_ref().unwrap());
        assert_eq!(
            (&shown.context, &shown.dockerfile, &shown.tag),
            (&default.context, &default.dockerfile, &default.tag)
        );
        let (shown, default) = (application.deploy.as_ref().unwrap(), bare.deploy.as_ref().unwrap());
        assert_eq!((shown.create_namespace, shown.render), (default.create_namespace, default.render));
    }

    /// Every option that the types know stands in the example: serde tells the names when it meets a wrong one.
    #[test]
    fn every_option_stands_in_the_example() {
        for table in
            ["agent", "engine", "history", "[access]", "[repository]", "[registry]", "[cluster]", "[application]"]
        {
            let error = toml::from_str::<Config>(&format!("[{table}]\nwrong = 1\n")).unwrap_err().to_string();
            assert_example_has(&error);
        }
        for part in ["source", "build", "deploy", "sync", "promote"] {
            let text = format!("[[application]]\nname = 'a'\n[application.{part}]\nwrong = 1\n");
            assert_example_has(&toml::from_str::<Config>(&text).unwrap_err().to_string());
        }
    }

    fn assert_example_has(error: &str) {
        let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{error}"));
        for option in expected.split('`').skip(1).step_by(2) {
            let there = EXAMPLE.lines().any(|line| {
                line.trim_start_matches("# ").starts_with(&format!("{option} = "))
                    || line.contains(&format!("[{option}]"))
                    || line.contains(&format!(".{option}]"))
            });
            assert!(there, "{option} is not in config.example.toml: {error}");
        }
    }

    #[test]
    fn relative_paths_begin_at_the_folder_of_the_configuration() {
        let text = "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_file = 'secret'\n[[cluster]]\nname = 'c'\nkubeconfig = '/k'\n";
        let config = Config::parse(Path::new("/etc/qd/config.toml"), text).unwrap();
        assert_eq!(config.registry[0].password_file.as_deref(), Some(Path::new("/etc/qd/secret")));
        assert_eq!(config.cluster[0].kubeconfig.as_deref(), Some(Path::new("/k")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_would_be_right() {
        let application =
            "[[application]]\nname = 'shop'\n[application.deploy]\nrepository = '/srv/deploy'\nnamespace = 'shop'\n";
        for (text, line, words) in [
            ("[agent]\npol_interval = '30s'\n".to_owned(), 2, "expected one of `poll_interval`"),
            ("[agent]\npoll_interval = 'soon'\n".to_owned(), 2, "write 30s, 5m or 1h"),
            ("[agent]\nbuilds_at_once = 0\n".to_owned(), 2, "write 1 or more"),
            ("[agent\n".to_owned(), 1, ""),
            ("[[application]]\nname = 'Shop'\n".to_owned(), 2, "cannot name an application"),
            ("[[application]]\nname = 'shop'\n".to_owned(), 2, "nothing to do"),
            (format!("{application}\n{application}"), 8, "twice"),
            (format!("{application}branch = 'main'\ntag = 'v1'\n"), 7, "leave out one"),
            (format!("{application}path = '../other'\n"), 6, "inside the repository"),
            (format!("{application}[application.build]\nimage = 'r/a'\n"), 6, "add [application.source]"),
            (
                format!(
                    "{application}[application.source]\nrepository = 'ftp://x/y'\n[application.build]\nimage = 'r/a:1'\n"
                ),
                7,
                "ftp",
            ),
            (format!("{application}cluster = 'prod'\n[[cluster]]\nname = 'qa'\n"), 6, "there are: qa"),
            (
                "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_env = 'A'\npassword_file = 'b'\n".to_owned(),
                5,
                "one place",
            ),
        ] {
            match Config::parse(Path::new("/etc/qd/config.toml"), &text) {
                Err(ConfigError::Wrong { problems }) => {
                    let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(words));
                    assert!(found, "{text}\nwanted line {line}: {words}\nfound {problems:#?}");
                }
                other => panic!("{text}\n{other:?}"),
            }
        }
    }
}
