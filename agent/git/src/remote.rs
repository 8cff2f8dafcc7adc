//! How a repository is reached: the `[[repository]]` part of the configuration, and the bounds of one conversation.
//!
//! The secrets themselves are not here: a token is named by its file or environment variable and read when it is
//! needed, so that a rotated token is taken up without a restart and a printed configuration holds nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::url::{RepositoryUrl, UrlError};

/// Access to all repositories whose address starts with `url`. The most specific entry counts, whole.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// The start of the addresses that this is for: `https://forge.example/ops`, `git@forge.example:`, `/srv/git`.
    pub url: String,
    /// The private key for ssh. Without it ssh uses its agent and its own configuration.
    pub ssh_key: Option<PathBuf>,
    /// The host keys to trust for ssh instead of those in `~/.ssh/known_hosts`, which a service may not have.
    pub known_hosts: Option<PathBuf>,
    /// The ssh program, for those who need another than the `ssh` in the path. It is run as OpenSSH is.
    pub ssh_program: Option<PathBuf>,
    /// The user name that goes with the token; most forges take any, so the default is `git`.
    pub username: Option<String>,
    /// A file whose first line is the token or password for http.
    pub token_file: Option<PathBuf>,
    /// An environment variable of the agent that holds the token or password for http.
    pub token_env: Option<String>,
    /// A PEM file of certificate authorities to trust beside those of the system, for https.
    pub ca_file: Option<PathBuf>,
    /// Send credentials over plain `http://` although anyone on the way can read them.
    #[serde(default)]
    pub insecure: bool,
    /// How often to poll, as `30s` or `5m`; the agent's own interval if left out.
    pub poll_interval: Option<String>,
    /// What one conversation may cost.
    #[serde(default)]
    pub limits: RemoteLimits,
}

/// A password that somebody wrote into `url` is a problem, and does not get into a log by being one.
impl std::fmt::Debug for RepositoryConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepositoryConfig").field("url", &super::url::redact(&self.url)).finish_non_exhaustive()
    }
}

/// Something in a `[[repository]]` entry that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The prefix is no address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Two places for one token.
    #[error("both `token_file` and `token_env` name the token of {url}; keep one")]
    TwoTokens {
        /// The prefix.
        url: String,
    },
    /// A secret where everyone reads it.
    #[error("the `url` of {url} has a user or password in it; name them with `username` and `token_file`")]
    UserInfo {
        /// The prefix.
        url: String,
    },
    /// No duration.
    #[error("`poll_interval = \"{value}\"` of {url} is not a valid duration; write it as `30s` or `5m`")]
    PollInterval {
        /// The prefix.
        url: String,
        /// What stands there.
        value: String,
    },
    /// Too often to be polite.
    #[error("`poll_interval = \"{value}\"` of {url} is under {min:?}, the least that forges bear with", min = RepositoryConfig::POLL_MIN)]
    PollTooOften {
        /// The prefix.
        url: String,
        /// What stands there.
        value: String,
    },
}

impl RepositoryConfig {
    /// The least time between two polls of a repository. A webhook or `qd` wakes the agent at once in any case.
    pub const POLL_MIN: Duration = Duration::from_secs(1);

    /// All that is wrong with this entry, without touching the disk; relative paths in `url` are taken from `base`.
    pub fn problems(&self, base: &Path) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let url = super::url::redact(&self.url);
        // Any address will do to see whether the prefix can be read.
        if let Err(error) = RepositoryUrl::parse("/", base).and_then(|any| any.covered_by(&self.url, base)) {
            problems.push(ConfigProblem::Url(error));
        }
        if self.url.trim_start().starts_with("http") && url.contains('@') {
            problems.push(ConfigProblem::UserInfo { url: url.clone() });
        }
        if self.token_file.is_some() && self.token_env.is_some() {
            problems.push(ConfigProblem::TwoTokens { url: url.clone() });
        }
        if let Some(value) = &self.poll_interval {
            match humantime::parse_duration(value) {
                Err(_) => problems.push(ConfigProblem::PollInterval { url, value: value.clone() }),
                Ok(time) if time < Self::POLL_MIN => {
                    problems.push(ConfigProblem::PollTooOften { url, value: value.clone() });
                }
                Ok(_) => {}
            }
        }
        problems
    }

    /// The interval of this entry, if it names one that can be read.
    pub fn poll_interval(&self) -> Option<Duration> {
        humantime::parse_duration(self.poll_interval.as_deref()?).ok().map(|time| time.max(Self::POLL_MIN))
    }
}

/// A repository and how to reach it: all that [`super::git::Mirror`] needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// Where it is.
    pub url: RepositoryUrl,
    /// How it is reached, and what that may cost.
    pub access: RepositoryConfig,
    /// Whether its merge requests are listed. A forge keeps the refs of those that were closed too.
    pub merge_requests: bool,
}

impl Remote {
    /// The repository at `url` with the most specific of `configs` that is meant for it.
    /// Relative prefixes are taken from `base`, as the address was.
    pub fn new(url: RepositoryUrl, configs: &[RepositoryConfig], base: &Path) -> Result<Self, UrlError> {
        let mut best: Option<(usize, &RepositoryConfig)> = None;
        for config in configs {
            let specific = url.covered_by(&config.url, base)?;
            if let Some(length) = specific.filter(|length| best.is_none_or(|(longest, _)| *length > longest)) {
                best = Some((length, config));
            }
        }
        let access = best.map(|(_, config)| config.clone()).unwrap_or_default();
        Ok(Self { url, access, merge_requests: false })
    }
}

/// Bounds of one conversation with a remote: `[repository.limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteLimits {
    /// The longest a listing of refs may take, from connecting to the last ref. Forges answer in well under a second;
    /// a cold one needs some.
    #[serde(deserialize_with = "duration")]
    pub list_time: Duration,
    /// The longest a fetch or a push may take. 2 GiB at 4 MiB/s.
    #[serde(deserialize_with = "duration")]
    pub transfer_time: Duration,
    /// The longest a server may be silent during a fetch: it reports progress every few seconds while it counts.
    #[serde(deserialize_with = "duration")]
    pub stall_time: Duration,
    /// The most bytes of a listing: 100,000 refs of 330 bytes, the longest that names and ids become in practice.
    pub list_bytes: u64,
    /// The most refs of a listing.
    pub refs: u64,
    /// The most bytes of one fetch as it comes over the wire.
    pub pack_bytes: u64,
    /// The most bytes of one object, unpacked: what an inflated pack could claim of our memory at once.
    pub object_bytes: u64,
    /// The most files and directories that a listing of a tree holds. The Linux kernel has 100,000.
    pub tree_entries: usize,
}

/// `30s`, `5m`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| serde::de::Error::custom(format!("\"{text}\" is not a valid duration; write it as `30s` or `5m`")))
}

impl Default for RemoteLimits {
    fn default() -> Self {
        Self {
            list_time: Duration::from_secs(30),
            transfer_time: Duration::from_secs(600),
            stall_time: Duration::from_secs(120),
            list_bytes: 32 << 20,
            refs: 100_000,
            pack_bytes: 2 << 30,
            object_bytes: 512 << 20,
            tree_entries: 200_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RepositoryConfig {
        RepositoryConfig { url: url.into(), ..Default::default() }
    }

    #[test]
    fn the_most_specific_entry_counts() {
        let configs = [config("https://forge"), config("https://forge/ops"), config("https://other"), config("/srv")];
        for (url, chosen) in [
            ("https://forge/ops/shop", "https://forge/ops"),
            ("https://forge/web/shop", "https://forge"),
            ("https://third/web/shop", ""),
            ("/srv/shop", "/srv"),
        ] {
            let url = RepositoryUrl::parse(url, Path::new("/")).unwrap();
            assert_eq!(Remote::new(url, &configs, Path::new("/")).unwrap().access.url, chosen);
        }
    }

    #[test]
    fn what_cannot_work_is_told() {
        for (toml, told) in [
            ("url = 'https://forge'", None),
            ("url = 'git@forge:'\npoll_interval = '5m'", None),
            ("url = 'ftp://forge'", Some("uses ftp")),
            ("url = 'https://forge'\npoll_interval = 'soon'", Some("is not a valid duration")),
            ("url = 'https://forge'\npoll_interval = '1ms'", Some("is under 1s")),
            ("url = 'https://forge'\ntoken_env = 'A'\ntoken_file = 'b'", Some("the token of https://forge")),
            ("url = 'https://a:b@forge'", Some("the `url` of https://***@forge has a user")),
        ] {
            let config: RepositoryConfig = toml::from_str(toml).unwrap();
            let problems = config.problems(Path::new("/"));
            assert_eq!(problems.len(), usize::from(told.is_some()), "{toml}: {problems:?}");
            for problem in problems {
                assert!(problem.to_string().contains(told.unwrap_or_default()), "{problem}");
            }
        }
        assert!(toml::from_str::<RepositoryConfig>("url = 'x'\npassword = 'y'").is_err());
    }
}
