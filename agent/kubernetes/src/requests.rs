//! Single requests to one API server. Each has a deadline, each waits for one of a bounded number of places, and what
//! the server says when it refuses is told in its own words.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::ClusterConfig;
use crate::connection::Connection;
use crate::link::Link;
use crate::problem::{ApiProblem, Class};

/// An object is at most 1.5 MiB in etcd and somewhat more as JSON; a page of 250 large objects fits as well.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Times that a request is sent again after "too many requests" or "not available", within its deadline.
const RETRIES: usize = 4;

/// A version is answered within milliseconds; a cluster that takes longer for it does not do what it is there for, and a
/// person is told so within some seconds.
const SUSPECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The pauses before that, where the server names none.
const AGAIN: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(250)).with_max_times(RETRIES);

/// Sends requests.
#[derive(Clone)]
pub(super) struct Requests {
    connection: Arc<Connection>,
    link: Arc<Link>,
    suspecting: Arc<tokio::sync::Mutex<()>>,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Requests {
    pub(super) fn new(config: &ClusterConfig, link: Arc<Link>) -> Self {
        Self {
            connection: Arc::new(Connection::new(config.clone())),
            link,
            suspecting: Arc::default(),
            places: Arc::new(Semaphore::new(config.max_concurrent_requests.max(1))),
            timeout: Duration::from_secs(config.timeout_seconds.max(1)),
        }
    }

    /// Does something with the client; once more where the credential of that one is not taken any more, since it may
    /// have been renewed. For what has its own deadlines: watches, logs, discovery. Who gets no answer learns whether the
    /// cluster is there, and so do all: where nothing is watched yet nobody else would.
    pub(super) async fn with<T, F>(&self, act: impl Fn(Client) -> F) -> Result<T, ApiProblem>
    where
        F: Future<Output = Result<T, ApiProblem>>,
    {
        let done = self.once_or_twice(act).await;
        if let Err(problem) = &done
            && problem.class.is_way_in()
        {
            self.suspect(problem).await;
        }
        done
    }

    async fn once_or_twice<T, F>(&self, act: impl Fn(Client) -> F) -> Result<T, ApiProblem>
    where
        F: Future<Output = Result<T, ApiProblem>>,
    {
        let lent = self.connection.client().await?;
        let done = match act(lent.client.clone()).await {
            Err(problem) if self.connection.failed(&lent, problem.class) => {
                act(self.connection.client().await?.client).await
            }
            other => other,
        };
        // Also a refusal is an answer.
        if done.as_ref().err().is_none_or(|problem| !problem.class.is_way_in()) {
            self.link.found();
        }
        done
    }

    /// Whether the cluster answers.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// The way in.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// `v1.35.4`: what nobody is refused, so who gets no answer to it learns that the cluster is not there.
    pub(super) async fn version(&self) -> Result<String, ApiProblem> {
        let answer = self.ask_version().await;
        if let Err(problem) = &answer
            && problem.class.is_way_in()
        {
            self.link.lost(problem);
        }
        Ok(parsed("ask for the version", &answer?)?["gitVersion"].as_str().unwrap_or("of unknown version").to_owned())
    }

    async fn ask_version(&self) -> Result<Bytes, ApiProblem> {
        let request = get("/version");
        self.once_or_twice(|client| self.attempts(client, "ask for the version", &request)).await
    }

    /// A request failed in a way that may mean that the cluster is not there. One watch may be silent, and one aggregated
    /// API away, while all else is well: so it is asked for what costs it nothing, unless that is known.
    pub(super) async fn suspect(&self, problem: &ApiProblem) {
        // One question is enough for all that fails at the same time.
        let Ok(_asking) = self.suspecting.try_lock() else { return };
        if self.link.is_lost() {
            return;
        }
        let asked = tokio::time::timeout(SUSPECT_TIMEOUT, self.ask_version()).await;
        match asked {
            Ok(Ok(_)) => {}
            Ok(Err(answer)) if !answer.class.is_way_in() => {}
            _ => self.link.lost(problem),
        }
    }

    /// One request; its answer as JSON.
    pub(super) async fn json(&self, doing: &str, request: Request<Bytes>) -> Result<Value, ApiProblem> {
        parsed(doing, &self.bytes(doing, request).await?)
    }

    pub(super) async fn bytes(&self, doing: &str, request: Request<Bytes>) -> Result<Bytes, ApiProblem> {
        self.with(|client| self.attempts(client, doing, &request)).await
    }

    async fn attempts(&self, client: Client, doing: &str, request: &Request<Bytes>) -> Result<Bytes, ApiProblem> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(ApiProblem::new(Class::Other, doing, "the agent is stopping"));
        };
        let deadline = Instant::now() + self.timeout;
        let mut pauses = AGAIN.build();
        loop {
            let outcome = tokio::time::timeout_at(deadline, once(&client, doing, request.clone())).await;
            let (problem, pause) = match outcome {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(failed)) => failed,
                Err(_) => {
                    let words = format!("no answer within {} s", self.timeout.as_secs());
                    return Err(ApiProblem::new(Class::Timeout, doing, words));
                }
            };
            let (Some(named), Some(next)) = (pause, pauses.next()) else { return Err(problem) };
            let pause = if named.is_zero() { next } else { named };
            if Instant::now() + pause >= deadline {
                return Err(problem);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn parsed(doing: &str, bytes: &[u8]) -> Result<Value, ApiProblem> {
    serde_json::from_slice(bytes)
        .map_err(|error| ApiProblem::new(Class::Other, doing, format!("the answer is not JSON: {error}")))
}

/// Sends the request once. A failure comes with a pause where it is worth sending it again: what the server asks for, or
/// nothing in particular.
async fn once(client: &Client, doing: &str, request: Request<Bytes>) -> Result<Bytes, (ApiProblem, Option<Duration>)> {
    let unanswered = |error: kube::Error| (ApiProblem::unanswered(doing, &error), None);
    let response = client.send(request.map(Body::from)).await.map_err(unanswered)?;
    let status = response.status();
    let again = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let pause = again.then(|| retry_after(&response));
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| (ApiProblem::new(Class::Away, doing, error.to_string()), None))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let told = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| Status {
        message: String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned(),
        ..Status::default()
    });
    Err((ApiProblem::answered(doing, status.as_u16(), &told), pause))
}

fn retry_after<T>(response: &Response<T>) -> Duration {
    let seconds = response.headers().get(http::header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// A request that reads.
pub(super) fn get(path: &str) -> Request<Bytes> {
    request(Method::GET, path, None, Bytes::new())
}

/// A request; the path is ours and therefore a good one.
pub(super) fn request(method: Method, path: &str, content_type: Option<&str>, body: Bytes) -> Request<Bytes> {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    builder.body(body).unwrap_or_else(|error| panic!("paths are percent-encoded, yet {path} is none: {error}"))
}
