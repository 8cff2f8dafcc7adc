//! `[webhook]`: where forges say that something was pushed.

use std::net::SocketAddr;
use std::path::PathBuf;

use quarterdeck_system::secret::Place;
use serde::Deserialize;

use super::values::{no_place, required, two_places};

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
    /// Where the secret is.
    pub fn secret(&self) -> Place {
        required(self.secret_env.as_ref(), self.secret_file.as_ref())
    }

    /// What is wrong with it, each with the option that says it.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !self.listen.ip().is_loopback() && !self.insecure {
            let why = "webhooks would come over plain http: listen on 127.0.0.1 behind a proxy with TLS, or set insecure = true";
            problems.push(("listen", why.to_owned()));
        }
        let (env, file) = (self.secret_env.as_ref(), self.secret_file.as_ref());
        problems.extend(no_place("secret", env, file).map(|why| ("listen", why)));
        problems.extend(two_places("secret", env, file).map(|why| ("secret_file", why)));
        problems
    }
}
