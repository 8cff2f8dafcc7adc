//! The API of Harbor, beside the registry that it is: what it knows of an artifact, and its scanner.
//!
//! Asked with the login of the registry as Basic, and without cookies: of a session Harbor wants a token beside it. Repositories
//! are in projects, and the rest of their name is encoded twice, or a proxy before Harbor would decode its slashes. What an answer
//! holds is read by `quarterdeck_core::scan::harbor`.

mod error;
mod labels;
mod tags;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

pub use self::error::{HarborError, What};
use super::credentials::Login;
use super::messages::{fit, pause};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::output::Mask;
use quarterdeck_core::scan::harbor::FORMS;
use quarterdeck_shared::error::chain;
use quarterdeck_system::certificate::distrust;

/// Bytes of an answer that are read: a report with ten thousand vulnerabilities and their descriptions has some 20 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The longest wait that a `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Items of a list that are asked for: the most that Harbor gives at a time.
const PAGE_SIZE: &str = "100";

/// One Harbor, asked as one user.
pub struct Harbor<'r> {
    client: Client,
    base: Url,
    registry: String,
    login: Option<&'r Login>,
}

/// A part of Harbor, and how it says that it is: `healthy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// `core`, `database`, `trivy`.
    pub name: String,
    /// `healthy`, `unhealthy`.
    pub status: String,
}

impl<'r> Harbor<'r> {
    /// The Harbor that is a registry. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the name of the registry makes no address.
    pub(super) fn new(
        client: Client,
        scheme: &str,
        registry: &str,
        login: Option<&'r Login>,
    ) -> Result<Self, HarborError> {
        let base = Url::parse(&format!("{scheme}://{registry}/api/v2.0/"));
        let base = base.map_err(|_| HarborError::NotHarbor { registry: registry.to_owned() })?;
        Ok(Self { client, base, registry: registry.to_owned(), login })
    }

    /// An artifact with what is known of its scan: the bytes of the answer.
    ///
    /// # Errors
    /// Where Harbor does not give it.
    pub async fn artifact(&self, image: &ImageRef) -> Result<Vec<u8>, HarborError> {
        let mut to = self.of(image, &[])?;
        to.query_pairs_mut().append_pair("with_scan_overview", "true");
        self.ask(What::Artifact, image, Method::GET, to, None).await
    }

    /// Asks for a scan of an artifact. One that is under way is as good.
    ///
    /// # Errors
    /// Where Harbor does not begin one.
    pub async fn scan(&self, image: &ImageRef) -> Result<(), HarborError> {
        let to = self.of(image, &["scan"])?;
        match self.ask(What::Scan, image, Method::POST, to, Some("{\"scan_type\":\"vulnerability\"}".to_owned())).await
        {
            Ok(_) | Err(HarborError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The report of the last scan of an artifact: the bytes of the answer.
    ///
    /// # Errors
    /// Where Harbor does not give it.
    pub async fn vulnerabilities(&self, image: &ImageRef) -> Result<Vec<u8>, HarborError> {
        self.ask(What::Report, image, Method::GET, self.of(image, &["additions", "vulnerabilities"])?, None).await
    }

    /// Whether there is a project of this name. Any login may ask.
    ///
    /// # Errors
    /// Where Harbor does not say.
    pub async fn has_project(&self, project: &str) -> Result<bool, HarborError> {
        let mut to = self.below(&["projects"])?;
        to.query_pairs_mut().append_pair("project_name", project);
        let answer = self.send(What::Project, Method::HEAD, to, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            // It has no words, and what is no Harbor answers the same.
            return self.health().await.map(|_| false);
        }
        self.refusal(What::Project, project, &answer).map_or(Ok(true), Err)
    }

    /// What is in a project, with its quota for those who may see it: the bytes of the answer. The list of quotas is for
    /// administrators of the system alone.
    ///
    /// # Errors
    /// Where Harbor does not give it.
    pub async fn project_summary(&self, project: &str) -> Result<Vec<u8>, HarborError> {
        let to = self.below(&["projects", project, "summary"])?;
        let answer = self.send(What::Project, Method::GET, to, None).await?;
        self.refusal(What::Project, project, &answer).map_or(Ok(answer.body), Err)
    }

    /// The rules of a project by which tags are immutable: the bytes of the answer. Harbor takes fifteen of a project.
    ///
    /// # Errors
    /// Where Harbor does not give them.
    pub async fn immutable_tag_rules(&self, project: &str) -> Result<Vec<u8>, HarborError> {
        let mut to = self.below(&["projects", project, "immutabletagrules"])?;
        to.query_pairs_mut().append_pair("page_size", PAGE_SIZE);
        let answer = self.send(What::Rules, Method::GET, to, None).await?;
        self.refusal(What::Rules, project, &answer).map_or(Ok(answer.body), Err)
    }

    /// A project: the bytes of the answer, in which its number is.
    ///
    /// # Errors
    /// Where Harbor does not give it.
    pub async fn project(&self, project: &str) -> Result<Vec<u8>, HarborError> {
        let answer = self.send(What::Project, Method::GET, self.below(&["projects", project])?, None).await?;
        self.refusal(What::Project, project, &answer).map_or(Ok(answer.body), Err)
    }

    /// The parts of Harbor and how they are. It asks no login.
    ///
    /// # Errors
    /// Where no Harbor answers.
    pub async fn health(&self) -> Result<Vec<Component>, HarborError> {
        #[derive(Deserialize)]
        struct Health {
            components: Vec<Component>,
        }
        let not_harbor = || HarborError::NotHarbor { registry: self.registry.clone() };
        let to = self.base.join("health").map_err(|_| not_harbor())?;
        let answer = self.send(What::Health, Method::GET, to, None).await?;
        match serde_json::from_slice::<Health>(&answer.body) {
            Ok(health) if answer.status.is_success() => Ok(health.components),
            _ => Err(self.refusal(What::Health, &self.registry, &answer).unwrap_or_else(not_harbor)),
        }
    }

    /// The address of something of an artifact.
    fn of(&self, image: &ImageRef, below: &[&str]) -> Result<Url, HarborError> {
        let reference = image.digest().or(image.tag()).unwrap_or("latest");
        let mut to = self.artifacts(image)?;
        let no_project = |()| HarborError::NoProject { image: image.name() };
        to.path_segments_mut().map_err(no_project)?.push(reference).extend(below);
        Ok(to)
    }

    /// The address of the artifacts of a repository.
    fn artifacts(&self, image: &ImageRef) -> Result<Url, HarborError> {
        let no_project = || HarborError::NoProject { image: image.name() };
        let (project, repository) = image.repository().split_once('/').ok_or_else(no_project)?;
        let mut to = self.base.clone();
        {
            let mut path = to.path_segments_mut().map_err(|()| no_project())?;
            // Encoded once here, and its percent signs once more with the path.
            path.pop_if_empty().extend([
                "projects",
                project,
                "repositories",
                &repository.replace('/', "%2F"),
                "artifacts",
            ]);
        }
        Ok(to)
    }

    /// An address below that of the API.
    fn below(&self, steps: &[&str]) -> Result<Url, HarborError> {
        let mut to = self.base.clone();
        to.path_segments_mut()
            .map_err(|()| HarborError::NotHarbor { registry: self.registry.clone() })?
            .pop_if_empty()
            .extend(steps);
        Ok(to)
    }

    async fn ask(
        &self,
        what: What,
        image: &ImageRef,
        method: Method,
        to: Url,
        body: Option<String>,
    ) -> Result<Vec<u8>, HarborError> {
        let answer = self.send(what, method, to, body).await?;
        match self.refusal(what, &image.to_string(), &answer) {
            None => Ok(answer.body),
            Some(error) => Err(error),
        }
    }

    async fn send(&self, what: What, method: Method, to: Url, body: Option<String>) -> Result<Answer, HarborError> {
        let id = request_id();
        let mut request = self
            .client
            .request(method, to)
            .header("Accept", "application/json")
            .header("X-Request-Id", &id)
            // A project may be called as the number of another.
            .header("X-Is-Resource-Name", "true")
            .header("X-Accept-Vulnerabilities", FORMS.join(", "));
        request = match (self.login, what) {
            (_, What::Health) | (None, _) => request,
            (Some(Login::Password { username, password }), _) => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            (Some(_), _) => return Err(HarborError::NoPassword { registry: self.registry.clone() }),
        };
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let broken = |error: reqwest::Error| match distrust(&error) {
            Some(why) => HarborError::Certificate { registry: self.registry.clone(), why },
            None => {
                let message = fit(&self.mask(), &chain(&error.without_url()));
                HarborError::Away { registry: self.registry.clone(), message }
            }
        };
        let mut answer = request.send().await.map_err(broken)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        tracing::debug!(registry = self.registry, request = id, %status, "Harbor was asked to {what}");
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(broken)? {
            if bytes.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(HarborError::TooLong { registry: self.registry.clone(), what, bytes: ANSWER_BYTES_MAX });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Answer { status, wait: retry_after(&headers), body: bytes, id })
    }

    /// What an answer that is not one says; none where it is one.
    fn refusal(&self, what: What, of: &str, answer: &Answer) -> Option<HarborError> {
        let Answer { status, wait, body, id } = answer;
        let (registry, of) = (self.registry.clone(), of.to_owned());
        let said = Said::read(body);
        let message = || fit(&self.mask(), &format!("{status} {}", said.as_ref().map_or("", |said| &said.message)));
        let user = match self.login {
            Some(Login::Password { username, .. }) => Some(username.clone()),
            _ => None,
        };
        Some(match (status.as_u16(), user) {
            // A page in place of an answer is of something else at that address.
            (200..=299, _) if body.is_empty() || is_json(body) => return None,
            (200..=299, _) => HarborError::NotHarbor { registry },
            (401, Some(user)) => HarborError::WrongLogin { registry, user, message: message() },
            (401 | 403, None) => HarborError::NoLogin { registry, what },
            (403, Some(user)) => HarborError::NoPermission { registry, user, what, message: message() },
            (404, _) if said.is_some() => HarborError::Missing { registry, of },
            (404 | 405, _) => HarborError::NotHarbor { registry },
            (409, _) => HarborError::Conflict { registry, what, message: message() },
            (412, _) => HarborError::Refused { registry, what, message: message() },
            (429, _) => HarborError::Busy { registry, wait: *wait },
            (500..=599, _) => HarborError::Away { registry, message: format!("{} (request {id})", message()) },
            _ => HarborError::Answer { registry, what, message: format!("{} (request {id})", message()) },
        })
    }

    fn mask(&self) -> Mask {
        Mask::new(self.login.map(Login::secret))
    }
}

struct Answer {
    status: StatusCode,
    wait: Option<Duration>,
    body: Vec<u8>,
    id: String,
}

/// The first of the errors that Harbor lists.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
}

impl Said {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<Said>,
        }
        serde_json::from_slice::<Errors>(body).ok()?.errors.into_iter().next()
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// How long a server wants to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    pause(headers.get(RETRY_AFTER)?.to_str().ok()?, Timestamp::now(), RETRY_AFTER_MAX)
}

/// Harbor writes it into its logs, so that a question of ours is found there.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("quarterdeck-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
