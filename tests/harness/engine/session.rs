//! Sessions: connections that clients of BuildKit open beside their builds, and in which they are asked, as BuildKit asks, for
//! what a step wants and the context does not hold. A client that does not answer, or answers otherwise, fails the build.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bollard::health::HealthCheckRequest;
use bollard::health::health_client::HealthClient;
use bollard::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard::moby::sshforward::v1::ssh_client::SshClient;
use bollard::moby::sshforward::v1::{BytesMessage, CheckAgentRequest};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tonic::Code;
use tonic::codegen::Service;

use super::State;
use super::answer::failed;
use super::output::Stop;

/// The sessions that are open, by their ids.
pub(super) type Sessions = watch::Sender<BTreeMap<String, Session>>;

/// BuildKit waits this long for a session that a build names.
const WAIT: Duration = Duration::from_secs(5);

/// A connection in which we are the client.
#[derive(Debug, Clone)]
pub(super) struct Session(SendRequest<tonic::body::Body>);

/// Turns a connection round, and keeps it until the client lets it go.
pub(super) fn open(state: &Arc<State>, parts: Parts) -> Response<Body> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, protocol) = (header("x-docker-expose-session-uuid").to_owned(), header("upgrade").to_owned());
    if protocol != "h2c" {
        return failed(500, &format!("protocol {protocol} not supported"));
    }
    if state.sessions.borrow().contains_key(&id) {
        return failed(500, &format!("session {id} already exists"));
    }
    let state = state.clone();
    let upgrade = hyper::upgrade::on(Request::from_parts(parts, ()));
    tokio::spawn(async move {
        let Ok(connection) = upgrade.await else { return };
        let Ok((sender, connection)) = http2::handshake(TokioExecutor::new(), connection).await else { return };
        state.sessions.send_modify(|sessions| drop(sessions.insert(id.clone(), Session(sender))));
        let _ = connection.await;
        state.sessions.send_modify(|sessions| drop(sessions.remove(&id)));
    });
    let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    answer.header("connection", "Upgrade").header("upgrade", "h2c").body(Default::default()).expect("a plain answer")
}

impl Session {
    /// The session that a build names, once it is open and its client answers.
    pub(super) async fn named(sessions: &Sessions, id: &str) -> Result<Self, Stop> {
        let mut sessions = sessions.subscribe();
        let open = tokio::time::timeout(WAIT, sessions.wait_for(|sessions| sessions.contains_key(id))).await;
        let session = open.ok().and_then(|open| open.ok()?.get(id).cloned());
        let session =
            session.ok_or_else(|| Stop::failed(format!("no active session for {id}: context deadline exceeded")))?;
        let alive = HealthClient::with_origin(session.clone(), origin()).check(HealthCheckRequest::default()).await;
        alive.map_err(|status| Stop::failed(format!("session healthcheck failed fatally: {}", status.message())))?;
        Ok(session)
    }

    /// A secret; none where the client does not have it.
    pub(super) async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Stop> {
        let request = GetSecretRequest { id: id.to_owned(), annotations: Default::default() };
        match SecretsClient::with_origin(self.clone(), origin()).get_secret(request).await {
            Ok(answer) => Ok(Some(answer.into_inner().data)),
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(None),
            Err(status) => Err(Stop::failed(status.message())),
        }
    }
}

impl Session {
    /// What the ssh agent of a client answers when it is asked for its keys, after it refused to forget them; none where
    /// there is no agent.
    pub(super) async fn keys(&self, id: &str) -> Result<Option<Vec<u8>>, Stop> {
        const FORGET_ALL: [u8; 5] = [0, 0, 0, 1, 19];
        const REFUSED: [u8; 5] = [0, 0, 0, 1, 5];
        const KEYS: [u8; 5] = [0, 0, 0, 1, 11];
        let mut client = SshClient::with_origin(self.clone(), origin());
        match client.check_agent(CheckAgentRequest { id: id.to_owned() }).await {
            Ok(_) => {}
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => return Ok(None),
            Err(status) => return Err(Stop::failed(status.message())),
        }
        let asked = [FORGET_ALL, KEYS].map(|question| BytesMessage { data: question.to_vec() });
        let answers = client.forward_agent(futures::stream::iter(asked)).await;
        let answers = match answers {
            Ok(answers) => answers.into_inner().map_ok(|answer| answer.data).try_collect::<Vec<_>>().await,
            Err(status) => Err(status),
        };
        let answers = answers.map_err(|status| Stop::failed(status.message()))?;
        let [refused, keys] = &answers[..] else { return Err(Stop::failed(format!("{} answers", answers.len()))) };
        if *refused == REFUSED {
            Ok(Some(keys.clone()))
        } else {
            Err(Stop::failed("the agent was asked to forget its keys"))
        }
    }
}

fn origin() -> Uri {
    Uri::from_static("http://localhost")
}

impl Service<Request<tonic::body::Body>> for Session {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}
