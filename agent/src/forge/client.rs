//! Asks a forge.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_core::generate::Preview;
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::error::{Hint, chain};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_system::secret::{self, SecretError};
use reqwest::{Client, Method, Url};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::api::{self, Listed, Meaning, MergeRequest, OpenMergeRequest, PAGE, Status, below, message};
use super::protection::{self, RULESETS_MAX, Restricted};
use crate::config::Config;
use crate::config::forge::{ForgeConfig, ForgeKind};

/// The longest one answer may take: forges are seen to lock a commit for ten seconds while others tell of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of an answer that are read: those to a status have some hundred, a page of comments is seldom longer than this.
const ANSWER_MAX: usize = 4 << 20;

/// Pages of comments in which ours is looked for: a merge request with a thousand comments before our first has another problem.
const PAGES_MAX: usize = 10;

/// Open merge requests that templates are made for: more previews than that no cluster runs, and who has more names a narrower
/// branch.
const PREVIEWS_MAX: usize = 200;

/// Pages of them, those of forks among them.
const PREVIEW_PAGES_MAX: usize = 20;

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
        /// For what.
        what: What,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
    },
    /// It cannot take this now.
    #[error("forge {forge} answered {status} {words}{}", asks_for(*wait))]
    Busy {
        /// Which forge.
        forge: String,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
        /// How long it asks to be left alone.
        wait: Option<Duration>,
    },
    /// It answered something else than a list of merge requests.
    #[error("forge {forge} answered with no list of merge requests")]
    Unreadable {
        /// Which forge.
        forge: String,
    },
    /// More merge requests are open than templates are made for.
    #[error("forge {forge} has more than {max} open merge requests there")]
    TooMany {
        /// Which forge.
        forge: String,
        /// The bound.
        max: usize,
    },
    /// It will never take this.
    #[error("forge {forge} rejects the {what}: {status} {words}")]
    Rejected {
        /// Which forge.
        forge: String,
        /// What was asked of it.
        what: What,
        /// The status of its answer.
        status: u16,
        /// Its words.
        words: String,
    },
}

/// What a forge is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A commit status, or who we are.
    Status,
    /// A comment on a merge request.
    Comment,
    /// The question which merge requests are open.
    MergeRequests,
    /// The question whether it protects a tag.
    Protection,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "status",
            Self::Comment => "comment",
            Self::MergeRequests => "question for open merge requests",
            Self::Protection => "question for protected tags",
        })
    }
}

/// The pause that a forge asks for, behind what it says.
fn asks_for(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(", and asks for a pause of {}", humantime::format_duration(wait))).unwrap_or_default()
}

impl ForgeError {
    /// How long it asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether it passes by itself.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Unreadable { .. })
    }
}

impl Hint for ForgeError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Token { .. } => "set token_env or token_file in [[forge]]".into(),
            Self::Unreachable { .. } => "see that url and api in [[forge]] are right, and that the way to it is open".into(),
            Self::Refused { what: What::Comment, .. } => "give the token the right to comment, or leave out `comment`: scope api in GitLab, repo or Pull requests: write in GitHub, write:issue in Gitea".into(),
            Self::Refused { what: What::MergeRequests, .. } => "give the token the right to list merge requests, or leave out `plan`: scope read_api in GitLab, repo or Pull requests: read in GitHub, read:repository in Gitea".into(),
            Self::Refused { what: What::Status, .. } => "give the token the right to write commit statuses: scope api in GitLab, repo:status in GitHub, write:repository in Gitea".into(),
            Self::Refused { what: What::Protection, .. } => "give the token the right to read how tags are protected: scope read_api in GitLab, Metadata: read in GitHub, read:repository of an administrator of the repository in Gitea".into(),
            Self::Rejected { what: What::Protection, .. } => "see that the token may see the repository; Gitea lists protected tags since version 1.23".into(),
            Self::Unreadable { .. } => "see that api in [[forge]] leads to the API of the forge".into(),
            Self::TooMany { .. } => "close those that are over, or make the template for branches".into(),
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

    /// The forge of a configuration that has the repository of this address, and what it calls it.
    pub fn that_has(config: &Config, address: &RepositoryUrl) -> Option<(Self, String)> {
        let mut forges = config.forge.iter().filter_map(Self::new);
        forges.find_map(|forge| forge.project(address).map(|project| (forge, project)))
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
        self.ask(What::Status, Method::POST, to, Some(body)).await.map(drop)
    }

    /// Writes a comment on a merge request, a new one or over the one with this id. Tells its id, where the answer has one.
    pub async fn comment(&self, of: &MergeRequest, id: Option<u64>, text: &str) -> Result<Option<u64>, ForgeError> {
        let (method, to) = self.config.kind.comment(&self.api, of, id);
        let answer = self.ask(What::Comment, method, to, Some(json!({ "body": text }))).await?;
        Ok(api::id(&answer).or(id))
    }

    /// The first of the comments of a merge request that we wrote and `is_it`.
    pub async fn find_comment(
        &self,
        of: &MergeRequest,
        is_it: impl Fn(&Listed) -> bool,
    ) -> Result<Option<u64>, ForgeError> {
        let own = self.ask(What::Comment, Method::GET, below(&self.api, ["user"]), None).await?;
        let own = serde_json::from_str(&own).ok().and_then(|user| api::name(&user));
        for page in 1..=PAGES_MAX {
            let Some(at) = self.config.kind.comments(&self.api, of, page) else { break };
            let listed = api::listed(&self.ask(What::Comment, Method::GET, at, None).await?);
            let found = listed.iter().find(|one| Some(&one.author) == own.as_ref() && is_it(one));
            if found.is_some() || listed.len() < PAGE {
                return Ok(found.map(|one| one.id));
            }
        }
        Ok(None)
    }

    /// The `count` open merge requests of one of its projects that changed last.
    pub async fn open_merge_requests(&self, project: &str, count: usize) -> Result<Vec<OpenMergeRequest>, ForgeError> {
        let at = self.config.kind.open_merge_requests(&self.api, project, count);
        Ok(self.config.kind.open_listed(&self.ask(What::MergeRequests, Method::GET, at, None).await?))
    }

    /// All open merge requests of one of its projects, those of forks only where that is asked, in the order of their numbers.
    ///
    /// # Errors
    /// Also where there are more than a cluster has room for: half of them would look as if the others were closed.
    pub async fn previews(&self, project: &str, forks: bool) -> Result<Vec<Preview>, ForgeError> {
        let kind = self.config.kind;
        let mut all = Vec::new();
        for page in 1.. {
            let body =
                self.ask(What::MergeRequests, Method::GET, kind.all_open(&self.api, project, page), None).await?;
            let listed = kind.previews_listed(&body);
            let Some(listed) = listed else { return Err(ForgeError::Unreadable { forge: self.config.url.clone() }) };
            if listed.is_empty() {
                break;
            }
            all.extend(listed.into_iter().filter(|(_, is_of_fork)| forks || !is_of_fork).map(|(preview, _)| preview));
            if all.len() > PREVIEWS_MAX || page >= PREVIEW_PAGES_MAX {
                return Err(ForgeError::TooMany { forge: self.config.url.clone(), max: PREVIEWS_MAX });
            }
        }
        all.sort_by_key(|preview| preview.number);
        all.dedup_by_key(|preview| preview.number);
        Ok(all)
    }

    /// Whether it protects a tag of one of its projects.
    pub async fn protects(&self, project: &str, tag: &str) -> Result<bool, ForgeError> {
        let (kind, ask) = (self.config.kind, |at| self.ask(What::Protection, Method::GET, at, None));
        let at = |page| kind.protection(&self.api, project, tag, page);
        match kind {
            ForgeKind::Gitlab => Ok(protection::is_protected(&ask(at(1)).await?)),
            ForgeKind::Gitea => Ok(protection::protects(&ask(at(1)).await?, tag)),
            ForgeKind::Github => {
                let mut restricted = Restricted::default();
                for page in 1..=RULESETS_MAX / PAGE {
                    let (rulesets, listed) = protection::rulesets(&ask(at(page)).await?);
                    for id in rulesets {
                        restricted = restricted.and(&ask(protection::ruleset(&self.api, project, id)).await?, tag);
                        if restricted.all() {
                            return Ok(true);
                        }
                    }
                    if listed < PAGE {
                        break;
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether it answers, and takes our token.
    pub async fn answers(&self) -> Result<(), ForgeError> {
        self.ask(What::Status, Method::GET, below(&self.api, ["user"]), None).await.map(drop)
    }

    async fn ask(&self, what: What, method: Method, to: Url, body: Option<Value>) -> Result<String, ForgeError> {
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
            request = request.header("Content-Type", "application/json").body(body.to_string());
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
        let wait = api::pause(|name| answer.headers().get(name)?.to_str().ok(), Timestamp::now());
        match self.config.kind.meaning(answer.status(), &body) {
            Meaning::Accepted => Ok(body),
            Meaning::Refused => Err(ForgeError::Refused { forge: forge(), what, status, words }),
            Meaning::Away => Err(ForgeError::Busy { forge: forge(), status, words, wait }),
            Meaning::Rejected => Err(ForgeError::Rejected { forge: forge(), what, status, words }),
        }
    }

    /// Read each time, so that a rotated one is taken up.
    fn token(&self) -> Result<secrecy::SecretString, ForgeError> {
        secret::read(&self.config.token())
            .map_err(|source| ForgeError::Token { forge: self.config.url.clone(), source })
    }
}
