//! `[[forge]]`: a forge that is told what became of its commits.

use std::path::{Path, PathBuf};

use quarterdeck_git::url::RepositoryUrl;
use serde::Deserialize;

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

    /// What is wrong with it, each with the option that says it.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for (option, address) in [("url", Some(&self.url)), ("api", self.api.as_ref())] {
            let Some(address) = address else { continue };
            match reqwest::Url::parse(address) {
                Ok(url)
                    if matches!(url.scheme(), "http" | "https")
                        && url.username().is_empty()
                        && url.password().is_none() =>
                {
                    let loopback =
                        url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
                    if option == "url" && self.api.is_some() || url.scheme() == "https" || loopback || self.insecure {
                        continue;
                    }
                    problems.push((
                        option,
                        "the token would go over plain http: write https, or insecure = true".to_owned(),
                    ));
                }
                _ => problems.push((
                    option,
                    "not the address of a forge: write https://forge.example, without user or token".to_owned(),
                )),
            }
        }
        match (&self.token_file, &self.token_env) {
            (None, None) => problems.push(("kind", "a token is required: set token_file or token_env".to_owned())),
            (Some(_), Some(_)) => {
                problems.push((
                    "token_file",
                    "the token comes from one place: leave out token_env or token_file".to_owned(),
                ));
            }
            _ => {}
        }
        problems
    }
}
