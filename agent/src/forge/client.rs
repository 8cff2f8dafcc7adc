//! Asks a forge.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::error::{Hint, chain};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_system::secret::{self, SecretError};
use reqwest::{Client, Method, Url};
use secrecy::ExposeSecret as _;

use super::api::{Meaning, Status, below, message};
use crate::config::forge::ForgeConfig;

/// The longest one answer may take: forges are seen to lock a commit for ten seconds while others tell of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of an answer that are read; those to a status have some hundred.
const ANSWER_MAX: usize = 64 << 10;

/// One for all forges and the life of the agent: they are asked at the pace of polls, and to make one reads all authorities.
static CLIENT: LazyLock<Option<Client>> = LazyLock::new(|| {
    let client = Client::builder()
        .timeout(PATIENCE)
        // A project that moved is told by its new address: what is posted does not follow.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("quarterdeck/", env!("CARGO_PKG_VERSION")))
        .build();
    client.inspect_err(|error| tracing::error!(error = %chain(error), "no commit statuses can be sent")).ok()
});

/// A forge that can be asked.
pub struct Forge {
    /// What the configuration says of it.
    pub config: ForgeConfig,
    web: RepositoryUrl,
    api: Url,
    client: Client,
}

/// A forge was not told.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The configuration names a place where no token is.
    #[error("forge {forge} has no token")]
    Token {
        /// Which forge.
        forge: String,
        /// Where it should be, and why not.
        source: SecretError,
    },
    /// It does not answer.
    #[error("forge {forge} cannot be reached: {why}")]
    Unreachable {
        /// Which forge.
        forge: String,
        /// In a few words.
        why: String,
    },
    /// It will not let us.
    #[error("forge {forge} refuses our token: {status} {words}")]
    Refused {
        /// Which forge.
        forge: String,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
    },
    /// It cannot take this now.
    #[error("forge {forge} answered {status} {words}")]
    Busy {
        /// Which forge.
        forge: String,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
    },
    /// It will never take this.
    #[error("forge {forge} rejects the status: {status} {words}")]
    Rejected {
        /// Which forge.
        forge: String,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
    },
}

impl Hint for ForgeError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Token { .. } => "set token_env or token_file in [[forge]]".into(),
            Self::Unreachable { .. } => "see that url and api in [[forge]] are right, and that the way to it is open".into(),
            Self::Refused { .. } => "give the token the right to write commit statuses: scope api in GitLab, repo:status in GitHub, write:repository in Gitea".into(),
            Self::Busy { .. } | Self::Rejected { .. } => "".into(),
        }
    }
}

impl Forge {
    /// As the configuration says. Nothing is connected yet; nothing where this machine has no certificate authorities.
    pub fn new(config: &ForgeConfig) -> Option<Self> {
        let (web, api) = (config.web()?, config.api().parse().ok()?);
        Some(Self { web, api, client: CLIENT.clone()?, config: config.clone() })
    }

    /// What it calls a repository of this address.
    pub fn project(&self, address: &RepositoryUrl) -> Option<String> {
        address.project_at(&self.web)
    }

    /// Tells it one status of a commit.
    pub async fn post(
        &self,
        project: &str,
        commit: &CommitId,
        reference: Option<&str>,
        status: Status<'_>,
    ) -> Result<(), ForgeError> {
        let (to, body) = self.config.kind.status(&self.api, project, commit, reference, status);
        self.ask(Method::POST, to, Some(body.to_string())).await.map(drop)
    }

    /// Whether it answers, and takes our token.
    pub async fn answers(&self) -> Result<(), ForgeError> {
        self.ask(Method::GET, below(&self.api, ["user"]), None).await.map(drop)
    }

    async fn ask(&self, method: Method, to: Url, body: Option<String>) -> Result<String, ForgeError> {
        let forge = || self.config.url.clone();
        let token = self.token()?;
        let unreachable = |error: reqwest::Error| {
            // Without the address: it says nothing that the name of the forge does not.
            let why = chain(&error.without_url());
            ForgeError::Unreachable { forge: forge(), why: SecretScrubber::global().scrub(&why).into_owned() }
        };
        let (header, value) = self.config.kind.login(token.expose_secret());
        let mut request = self.client.request(method, to).header(header, value).header("Accept", "application/json");
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(unreachable)?;
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + part.len() > ANSWER_MAX {
                break;
            }
            bytes.extend_from_slice(&part);
        }
        // Masked before it is cut: of a secret that is cut nobody knows the rest.
        let body = SecretScrubber::global().scrub(&String::from_utf8_lossy(&bytes)).into_owned();
        let (status, words) = (answer.status().as_u16(), message(&body));
        match self.config.kind.meaning(answer.status(), &body) {
            Meaning::Accepted => Ok(body),
            Meaning::Refused => Err(ForgeError::Refused { forge: forge(), status, words }),
            Meaning::Away => Err(ForgeError::Busy { forge: forge(), status, words }),
            Meaning::Rejected => Err(ForgeError::Rejected { forge: forge(), status, words }),
        }
    }

    /// Read each time, so that a rotated one is taken up.
    fn token(&self) -> Result<secrecy::SecretString, ForgeError> {
        secret::read(&self.config.token())
            .map_err(|source| ForgeError::Token { forge: self.config.url.clone(), source })
    }
}
