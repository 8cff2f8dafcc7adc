//! `[[forge]]`: a forge that is told what became of its commits.

use std::path::{Path, PathBuf};

use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_system::secret::Place;
use reqwest::Url;
use serde::Deserialize;

use super::values::{no_place, required, two_places};

/// A forge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeConfig {
    /// Which API it has.
    pub kind: ForgeKind,
    /// Its address in a browser. Code repositories on this host are its own, whether they are reached by http or ssh.
    pub url: String,
    /// Where its API is; below its address where absent.
    pub api: Option<String>,
    /// The file that holds the token for its API.
    pub token_file: Option<PathBuf>,
    /// The environment variable that holds it.
    pub token_env: Option<String>,
    /// Whether a merge request is shown by a comment what became of it, beside the statuses of its commits.
    #[serde(default)]
    pub comment: bool,
    /// Whether a merge request of a deploy repository is shown by a comment what merging it would change.
    #[serde(default)]
    pub plan: bool,
    /// The token may go over plain http although anyone on the way can read it; loopback addresses need not say so.
    #[serde(default)]
    pub insecure: bool,
}

/// The API of a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// GitLab.
    Gitlab,
    /// GitHub.
    Github,
    /// Gitea, and Forgejo.
    Gitea,
}

impl ForgeConfig {
    /// Its address, as addresses of repositories are read.
    pub fn web(&self) -> Option<RepositoryUrl> {
        RepositoryUrl::parse(&format!("{}/", self.url.trim_end_matches('/')), Path::new("/")).ok()
    }

    /// Whether the repository of an address is one of its own.
    pub fn has(&self, address: &RepositoryUrl) -> bool {
        self.web().is_some_and(|web| address.project_at(&web).is_some())
    }

    /// Where its API is.
    pub fn api(&self) -> String {
        let url = self.url.trim_end_matches('/');
        let api = self.api.as_ref().map(|api| api.trim_end_matches('/').to_owned());
        api.unwrap_or_else(|| match self.kind {
            ForgeKind::Gitlab => format!("{url}/api/v4"),
            ForgeKind::Github if url == "https://github.com" => "https://api.github.com".to_owned(),
            ForgeKind::Github => format!("{url}/api/v3"),
            ForgeKind::Gitea => format!("{url}/api/v1"),
        })
    }

    /// Where the token is.
    pub fn token(&self) -> Place {
        required(self.token_env.as_ref(), self.token_file.as_ref())
    }

    /// What is wrong with it, each with the option that says it.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        problems.extend(address_problem(&self.url, self.insecure || self.api.is_some()).map(|why| ("url", why)));
        let api = self.api.as_ref().and_then(|api| address_problem(api, self.insecure));
        problems.extend(api.map(|why| ("api", why)));
        let (env, file) = (self.token_env.as_ref(), self.token_file.as_ref());
        problems.extend(no_place("token", env, file).map(|why| ("kind", why)));
        problems.extend(two_places("token", env, file).map(|why| ("token_file", why)));
        problems
    }
}

/// What is wrong with an address of a forge; plain http to another machine is, unless it `may_be_plain`.
fn address_problem(address: &str, may_be_plain: bool) -> Option<String> {
    let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && is_bare(url));
    let Some(url) = url else {
        return Some("not the address of a forge: write https://forge.example, without user or token".to_owned());
    };
    let is_loopback = || url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let is_safe = url.scheme() == "https" || may_be_plain || is_loopback();
    (!is_safe).then(|| "the token would go over plain http: write https, or insecure = true".to_owned())
}
