//! The way to the agent: one request, one connection, over the Unix socket.
//!
//! What it is for: finding the agent, asking it, and telling plainly why that did not work. What it is not: it keeps no
//! state, retries nothing and decides nothing; the console's reconnecting and `--wait`'s patience are built on top.
//!
//! A connection of its own for each request costs some 50 µs on a Unix socket, and it buys that a slow log never delays
//! a command, and that an agent that was started again is simply found by the next request.
//!
//! Every wait has a deadline and every answer a size ([`Limits`]): an agent that hangs or babbles becomes an error with
//! words, never a console that hangs or a machine without memory. Who waits is told of it after a few seconds, see
//! [`patience`].

pub mod error;
pub mod patience;
pub mod records;

mod lines;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use quarterdeck_shared::protocol::{
    ErrorAnswer, STALE_SECONDS, SYSTEM_SOCKET, State, WIRE_HEADER, WIRE_VERSION, WatchRecord, user_socket,
};
use quarterdeck_shared::queries::WatchQuery;
use quarterdeck_shared::routes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::client::error::{ClientError, Tried};
use crate::client::patience::{Kind, WaitNotice, Waiting};
use crate::client::records::Records;

/// Where to look for the agent, in this order. A socket that a person names (`--socket`, else `$QD_SOCKET`) is the only
/// one: a command meant for one agent must not reach another because the first is down.
pub fn socket_candidates(named: Option<&Path>) -> Vec<PathBuf> {
    let named = named.map(Path::to_owned).or_else(|| std::env::var_os("QD_SOCKET").map(PathBuf::from));
    match named.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => vec![path],
        None => {
            let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
            let uid = rustix::process::getuid().as_raw();
            vec![user_socket(runtime_dir.as_deref(), uid), PathBuf::from(SYSTEM_SOCKET)]
        }
    }
}

/// How long the client waits and how much it takes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a connection; a Unix socket answers at once unless its agent is stuck.
    pub connect: Duration,
    /// Who has waited this long is told that the agent does not answer.
    pub notice: Duration,
    /// For an answer that the agent has in its memory or on its disk; and after this time an agent that is slow with
    /// anything else has to show that it is alive. Also the longest silence within an answer.
    pub read: Duration,
    /// For a whole answer, and for the head of a stream. A difference renders and asks the cluster about every object,
    /// which the agent itself bounds at a minute or so.
    pub answer: Duration,
    /// Bytes of a whole answer. The state of 1,000 applications with 10,000 pods is some 12 MB; ten times that.
    pub answer_bytes_max: usize,
    /// Bytes of one line of a stream. The largest is an environment with its last sync, some 10 KB; a hundred times that.
    pub line_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            notice: Duration::from_secs(5),
            read: Duration::from_secs(10),
            answer: Duration::from_secs(120),
            answer_bytes_max: 128 * 1024 * 1024,
            line_bytes_max: 1024 * 1024,
        }
    }
}

/// The way to the agent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    candidates: Arc<[PathBuf]>,
    limits: Arc<Limits>,
    notice: WaitNotice,
}

impl Client {
    /// A client that asks the first of these sockets that answers, see [`socket_candidates`].
    pub fn new(candidates: Vec<PathBuf>) -> Self {
        Self::with_limits(candidates, Limits::default())
    }

    /// A client with limits of one's own.
    pub fn with_limits(candidates: Vec<PathBuf>, limits: Limits) -> Self {
        Self { candidates: candidates.into(), limits: Arc::new(limits), notice: WaitNotice::default() }
    }

    /// The same client, which says so where the agent keeps it waiting, once until the agent answers again.
    pub fn saying(self, say: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        Self { notice: WaitNotice::new(say), ..self }
    }

    /// `GET`s a whole answer. `path` begins with `/v1/`, see [`quarterdeck_shared::routes`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, None).await
    }

    /// `POST`s a request with a body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|source| ClientError::Unwritable { request: format!("POST {path}"), source })?;
        self.ask(Method::POST, path, Some(body.into())).await
    }

    /// `POST`s a request without a body: one with the defaults.
    pub async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::POST, path, None).await
    }

    /// `GET`s a stream of NDJSON records. Where nothing comes for `idle`, the stream fails as [`ClientError::Silent`];
    /// `None` for a stream that may be silent for ever (the log of a quiet pod).
    pub async fn stream<T: DeserializeOwned>(
        &self,
        path: &str,
        idle: Option<Duration>,
    ) -> Result<Records<T>, ClientError> {
        let answer = self.send(Method::GET, path, None).await?.wire_checked()?;
        if answer.status().is_success() { Ok(self.records(answer, idle)) } else { Err(self.error_answer(answer).await) }
    }

    /// The whole state: where every watch begins.
    pub async fn state(&self) -> Result<State, ClientError> {
        self.get(routes::STATE.path()).await
    }

    /// What changes after a revision of the state. An error for which [`ClientError::is_gone`] holds asks for the whole
    /// state again; a silence of [`STALE_SECONDS`] is an error, since bookmarks come more often.
    pub async fn watch(&self, epoch: &str, since: u64) -> Result<Records<WatchRecord>, ClientError> {
        let path = routes::WATCH.with(&WatchQuery { epoch: Some(epoch.to_owned()), since });
        self.stream(&path, Some(Duration::from_secs(STALE_SECONDS))).await
    }

    /// Sends any request and gives the answer as it comes, whatever its status and its wire: for `qd api`.
    pub async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer, ClientError> {
        let what = format!("{method} {path}");
        let kind = Kind::of(&method, path);
        let request = request(method, path, body)?;
        let slow = || ClientError::slow(&what, self.limits.connect, None, false);
        let (socket, stream) = timeout(self.limits.connect, self.connect()).await.map_err(|_| slow())??;
        // Of who listens: it is the agent that is asked, however old the socket is.
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
        let exchange = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // Its error is the error of the answer or of its body, where it is told; here it has nobody to be told to.
            let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
            Ok((sender.send_request(request).await?, connection))
        };
        match self.patiently(kind, exchange).await {
            Err(limit) => Err(ClientError::slow(&what, limit, pid, kind == Kind::Change)),
            Ok(Err(source)) => Err(ClientError::Lost { request: what, source }),
            Ok(Ok((response, connection))) => {
                Ok(Answer { request: what, socket, pid, response, _connection: connection })
            }
        }
    }

    /// An answer as a stream of NDJSON records, see [`Client::stream`].
    pub fn records<T: DeserializeOwned>(&self, answer: Answer, idle: Option<Duration>) -> Records<T> {
        Records::new(answer, idle, self.limits.line_bytes_max)
    }

    /// The whole body of an answer, within the limits. It was made before its head was sent, so that no part of it is long
    /// in coming.
    pub async fn whole(&self, mut answer: Answer) -> Result<Bytes, ClientError> {
        let limit = self.limits.answer_bytes_max;
        let (request, pid) = (answer.request.clone(), answer.pid);
        let collect = async {
            let mut whole = BytesMut::new();
            loop {
                let next = timeout(self.limits.read, answer.next()).await;
                let next = next.map_err(|_| ClientError::slow(&request, self.limits.read, pid, false))?;
                let Some(bytes) = next? else { return Ok(whole.freeze()) };
                if whole.len() + bytes.len() > limit {
                    return Err(ClientError::TooLong { request: request.clone(), limit });
                }
                whole.extend_from_slice(&bytes);
            }
        };
        let outcome = timeout(self.limits.answer, collect).await;
        outcome.unwrap_or_else(|_| Err(ClientError::slow(&request, self.limits.answer, pid, false)))
    }

    /// Tries the sockets in order. A socket that is there and refuses us is remembered, not passed over in silence.
    async fn connect(&self) -> Result<(PathBuf, UnixStream), ClientError> {
        let mut tried = Vec::new();
        for path in self.candidates.iter() {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok((path.clone(), stream)),
                Err(source) => tried.push(Tried { socket: path.clone(), source }),
            }
        }
        Err(ClientError::NoAgent { tried })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?.wire_checked()?;
        if !answer.status().is_success() {
            return Err(self.error_answer(answer).await);
        }
        let request = answer.request.clone();
        let bytes = self.whole(answer).await?;
        serde_json::from_slice(&bytes).map_err(|source| ClientError::Garbled { request, source })
    }

    /// What an answer that is not 2xx says.
    async fn error_answer(&self, answer: Answer) -> ClientError {
        let (status, request) = (answer.status(), answer.request.clone());
        match self.whole(answer).await {
            Err(error) => error,
            Ok(bytes) => match serde_json::from_slice::<ErrorAnswer>(&bytes) {
                Ok(answer) => ClientError::Answer { status, answer },
                Err(source) => ClientError::Garbled { request: format!("{request} ({status})"), source },
            },
        }
    }
}

/// A request as HTTP.
fn request(method: Method, path: &str, body: Option<Bytes>) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "quarterdeck")
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .header(WIRE_HEADER, WIRE_VERSION)
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|source| ClientError::BadPath { path: path.to_owned(), source })
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Answer {
    request: String,
    socket: PathBuf,
    /// The agent's process, where its socket tells.
    pid: Option<u32>,
    response: Response<Incoming>,
    /// Drives the connection for as long as the answer is read, and ends with it.
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Whether it is a stream of NDJSON records.
    pub fn is_stream(&self) -> bool {
        let kind = self.response.headers().get(CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"))
    }

    /// The socket that answered.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The next bytes of the body; `None` at its end. Nothing is lost where the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.response.body_mut().frame().await {
            let frame = frame.map_err(|source| ClientError::Lost { request: self.request.clone(), source })?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Lets the answer of an agent of our wire pass, and no other.
    fn wire_checked(self) -> Result<Self, ClientError> {
        let Some(wire) = self.response.headers().get(WIRE_HEADER) else {
            return Err(ClientError::NotAnAgent { request: self.request, socket: self.socket });
        };
        if wire.as_bytes() == WIRE_VERSION.to_string().as_bytes() {
            return Ok(self);
        }
        let theirs = String::from_utf8_lossy(wire.as_bytes()).into_owned();
        Err(ClientError::WireVersion { socket: self.socket, theirs })
    }
}
