//! Smart http in front of `git http-backend`, as a forge has it: with a login, a log of what was asked, and faults.
//!
//! It does NOT do: tokens with scopes, rate limits by itself (a fault stands for one).

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use axum::body::Body;
use base64::Engine as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::io::ReaderStream;

use super::repo::clean_git;
use crate::serve::{Answer, Cut, Place, Server};
use crate::tls::Certificate;

/// What an http request meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing unusual.
    None,
    /// This status with these words, whatever was asked.
    Status(u16, String),
    /// No answer, ever.
    Hang,
    /// Refs for ever, all well-formed.
    EndlessRefs,
    /// One ref with this name, as bytes, where a listing was asked for.
    RefName(Vec<u8>),
    /// The repository of the first name is found under the second now, as a forge answers after renaming a project.
    Moved(String, String),
    /// The answer of a fetch ends after this many bytes, and the connection with it.
    CutAfter(usize),
    /// The answer of a fetch has nothing more after this many bytes, and does not end.
    SilentAfter(usize),
}

/// What a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Any request.
    All,
    /// `info/refs` for fetching.
    Advertisement,
    /// A POST of `git-upload-pack`: a listing or a part of a fetch.
    UploadPack,
    /// A POST of `git-receive-pack`: a push.
    ReceivePack,
    /// Answered with 401.
    Unauthorized,
}

pub(super) struct HttpGate {
    server: Server,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    /// Of bodies, in both directions.
    bytes: Arc<AtomicU64>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// A user and every password that is taken.
    login: Option<(String, Vec<String>)>,
    fault: Fault,
    counts: HashMap<Counted, usize>,
}

impl HttpGate {
    pub(super) async fn start(root: PathBuf) -> anyhow::Result<Self> {
        let inner = Inner { login: None, fault: Fault::None, counts: HashMap::new() };
        let state = Arc::new(State { root, bytes: Arc::default(), inner: Mutex::new(inner) });
        let shared = state.clone();
        let handler: crate::serve::Handler = Arc::new(move |request| Box::pin(answer(shared.clone(), request)) as _);
        Ok(Self { server: Server::start(Place::loopback(0), handler).await?, state })
    }

    pub(super) fn address(&self) -> String {
        self.server.address()
    }

    pub(super) fn require(&self, user: &str, password: &str) {
        self.state.inner().login = Some((user.to_owned(), vec![password.to_owned()]));
    }

    pub(super) fn let_in(&self, password: &str) {
        if let Some((_, passwords)) = &mut self.state.inner().login {
            passwords.push(password.to_owned());
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.state.inner().fault = fault;
    }

    pub(super) fn count(&self, counted: Counted) -> usize {
        self.state.inner().counts.get(&counted).copied().unwrap_or(0)
    }

    pub(super) async fn secure(&self, certificate: &Certificate) -> anyhow::Result<()> {
        self.server.secure(certificate).await.context("the forge listens with a certificate")
    }

    pub(super) async fn away(&self) {
        self.server.away().await;
    }

    pub(super) async fn back(&self) -> anyhow::Result<()> {
        self.server.back().await.context("the forge listens again")
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, counted: Counted) {
        *self.inner().counts.entry(counted).or_default() += 1;
    }

    fn may_enter(&self, headers: &HeaderMap) -> bool {
        let Some((user, passwords)) = self.inner().login.clone() else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let given = given.and_then(|text| base64::prelude::BASE64_STANDARD.decode(text).ok());
        let given = given.and_then(|bytes| String::from_utf8(bytes).ok());
        let given = given.as_deref().and_then(|text| text.split_once(':'));
        given.is_some_and(|(name, secret)| {
            (user.is_empty() || name == user) && passwords.iter().any(|password| password == secret)
        })
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    state.count(Counted::All);
    if path.ends_with("/info/refs") && head.uri.query() == Some("service=git-upload-pack") {
        state.count(Counted::Advertisement);
    } else if path.ends_with("/git-upload-pack") {
        state.count(Counted::UploadPack);
    } else if path.ends_with("/git-receive-pack") {
        state.count(Counted::ReceivePack);
    }
    let fault = state.inner().fault.clone();
    match &fault {
        Fault::Hang => std::future::pending::<()>().await,
        Fault::Moved(from, to) => {
            if let Some(rest) = path.strip_prefix(&format!("/{from}.git")) {
                let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let mut response = plain(StatusCode::MOVED_PERMANENTLY, "");
                let place = header::HeaderValue::from_str(&format!("/{to}.git{rest}{query}")).map_err(|_| Cut)?;
                response.headers_mut().insert(header::LOCATION, place);
                return Ok(response);
            }
        }
        Fault::Status(status, words) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(plain(status, words));
        }
        _ => {}
    }
    if !state.may_enter(&head.headers) {
        state.count(Counted::Unauthorized);
        let mut response = plain(StatusCode::UNAUTHORIZED, "HTTP Basic: Access denied.");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"forge\""));
        return Ok(response);
    }
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return Err(Cut) };
    state.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    let is_listing = body.windows(15).any(|window| window == b"command=ls-refs");
    match fault {
        Fault::EndlessRefs if is_listing => {
            return Ok(listing(futures::stream::iter(
                (0..).map(|n| Ok::<_, std::io::Error>(ref_line(format!("refs/heads/endless-{n}").as_bytes()))),
            )));
        }
        Fault::RefName(name) if is_listing => {
            let lines = [ref_line(&name), Bytes::from_static(b"0000")];
            return Ok(listing(futures::stream::iter(lines.map(Ok::<_, std::io::Error>))));
        }
        Fault::CutAfter(bytes) if path.ends_with("/git-upload-pack") && !is_listing => {
            return backend(&state, &head, body, Some((bytes, Then::Cut))).await;
        }
        Fault::SilentAfter(bytes) if path.ends_with("/git-upload-pack") && !is_listing => {
            return backend(&state, &head, body, Some((bytes, Then::Silence))).await;
        }
        _ => {}
    }
    backend(&state, &head, body, None).await
}

/// What comes after the beginning of an answer that is not told whole.
#[derive(Clone, Copy)]
enum Then {
    Cut,
    Silence,
}

/// Runs `git http-backend` for one request, as a web server runs a CGI program.
async fn backend(state: &State, head: &http::request::Parts, body: Bytes, beginning: Option<(usize, Then)>) -> Answer {
    let header = |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut command = clean_git();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or(""))
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
        .env("GIT_PROTOCOL", head.headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or(""))
        .env("REMOTE_USER", "ann")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(|_| Cut)?;
    let mut stdin = child.stdin.take().ok_or(Cut)?;
    let writing = tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let mut output = BufReader::new(child.stdout.take().ok_or(Cut)?);
    let mut response = Response::builder();
    loop {
        let mut line = String::new();
        output.read_line(&mut line).await.map_err(|_| Cut)?;
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(": ") else { break };
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap_or("500")),
            name => response.header(name, value),
        };
    }
    let body = match beginning {
        None => {
            // The child lives as long as its answer is read.
            let stream = ReaderStream::new(output);
            let bytes = state.bytes.clone();
            Body::from_stream(stream.map(move |chunk| {
                let _keep = (&child, &writing);
                bytes.fetch_add(chunk.as_ref().map_or(0, Bytes::len) as u64, Ordering::Relaxed);
                chunk
            }))
        }
        Some((bytes, then)) => {
            let mut start = vec![0; bytes];
            let mut read = 0;
            while read < bytes {
                match output.read(&mut start[read..]).await.map_err(|_| Cut)? {
                    0 => break,
                    more => read += more,
                }
            }
            start.truncate(read);
            let torn = std::io::Error::other("the stand-in cuts this answer on purpose");
            let start = futures::stream::iter([Ok(Bytes::from(start))]);
            match then {
                Then::Cut => Body::from_stream(start.chain(futures::stream::iter([Err(torn)]))),
                Then::Silence => Body::from_stream(start.chain(futures::stream::pending::<std::io::Result<Bytes>>())),
            }
        }
    };
    response.body(body).map_err(|_| Cut)
}

fn plain(status: StatusCode, words: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(words.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn listing(lines: impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(lines));
    let kind = header::HeaderValue::from_static("application/x-git-upload-pack-result");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// One line of a listing in protocol 2, with its length in front.
fn ref_line(name: &[u8]) -> Bytes {
    let mut line = BytesMut::new();
    line.put_slice(format!("{:04x}", 4 + 41 + name.len() + 1).as_bytes());
    line.put_slice("1f3c2a9000000000000000000000000000000000 ".as_bytes());
    line.put_slice(name);
    line.put_u8(b'\n');
    line.freeze()
}
