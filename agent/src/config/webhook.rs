//! `[webhook]`: where forges say that something was pushed.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The listener for webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where it listens, by plain http.
    pub listen: SocketAddr,
    /// The file that holds the secret that forges sign with, or send.
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
    /// It may listen beyond this machine, although GitLab sends its token as it is.
    #[serde(default)]
    pub insecure: bool,
}

impl WebhookConfig {
    /// What is wrong with it, each with the option that says it.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !self.listen.ip().is_loopback() && !self.insecure {
            let why = "webhooks would come over plain http: listen on 127.0.0.1 behind a proxy with TLS, or set insecure = true";
            problems.push(("listen", why.to_owned()));
        }
        match (&self.secret_file, &self.secret_env) {
            (None, None) => {
                problems.push(("listen", "a secret is required: set secret_file or secret_env".to_owned()));
            }
            (Some(_), Some(_)) => problems.push((
                "secret_file",
                "the secret comes from one place: leave out secret_env or secret_file".to_owned(),
            )),
            _ => {}
        }
        problems
    }
}
