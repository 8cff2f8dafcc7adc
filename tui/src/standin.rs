//! A stand-in for the agent, for the tests of this crate: a real Unix socket and real HTTP, canned answers.
//!
//! It does not do: any of the agent's work, roles, watching for changes. A test says what it answers to which request.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use quarterdeck_shared::protocol::{ErrorAnswer, WIRE_HEADER, WIRE_VERSION};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// A request that came: `GET /v1/state` or `POST /v1/applications/shop/sync {"prune":true,…}`.
pub(crate) type Asked = String;

/// What is answered.
pub(crate) enum Reply {
    /// A status, the version of the wire if any, and a body.
    Answer(StatusCode, Option<u32>, String),
    /// A stream of lines; kept open after the last where so said.
    Lines(Vec<String>, bool),
    /// A stream of which more comes than anyone asked for.
    Flood,
    /// Nothing, for ever.
    Never,
    /// Another one, once this has happened.
    After(Arc<Notify>, Box<Reply>),
}

impl Reply {
    /// A good answer.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::Answer(StatusCode::OK, Some(WIRE_VERSION), serde_json::to_string(value).unwrap())
    }

    /// A refusal.
    pub(crate) fn error(status: u16, error: &str, message: &str, hint: &str) -> Self {
        let answer = ErrorAnswer { error: error.to_owned(), message: message.to_owned(), hint: hint.to_owned() };
        let body = serde_json::to_string(&answer).unwrap();
        Self::Answer(StatusCode::from_u16(status).unwrap(), Some(WIRE_VERSION), body)
    }

    /// A stream that ends after these.
    pub(crate) fn records(records: &[impl Serialize]) -> Self {
        Self::Lines(records.iter().map(|r| serde_json::to_string(r).unwrap()).collect(), false)
    }

    /// A stream that stays open after these.
    pub(crate) fn open(records: &[impl Serialize]) -> Self {
        Self::Lines(records.iter().map(|r| serde_json::to_string(r).unwrap()).collect(), true)
    }
}

/// A stand-in that answers until it is dropped.
pub(crate) struct StandIn {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: AbortOnDropHandle<()>,
}

impl StandIn {
    /// Answers each request with what the function says.
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, record) = (Arc::new(answer), asked.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, record) = (answer.clone(), record.clone());
                let service = service_fn(move |request| {
                    let (answer, record) = (answer.clone(), record.clone());
                    async move {
                        let asked = read(request).await;
                        record.lock().unwrap().push(asked.clone());
                        respond(answer(&asked)).await
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { folder, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Answers every connection with these bytes, whatever was asked, and closes it.
    pub(crate) fn garbage(bytes: &'static [u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(bytes).await;
                });
            }
        });
        Self { folder, asked: Arc::default(), _serving: AbortOnDropHandle::new(serving) }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.folder.path())
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The socket in a folder of a test.
pub(crate) fn socket_in(folder: &Path) -> PathBuf {
    folder.join("agent.sock")
}

async fn read(request: Request<Incoming>) -> Asked {
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if body.is_empty() { line } else { format!("{line} {}", String::from_utf8_lossy(&body)) }
}

type Body = BoxBody<Bytes, std::io::Error>;

async fn respond(reply: Reply) -> Result<Response<Body>, std::io::Error> {
    let frames = |lines: Vec<String>| {
        futures::stream::iter(lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(line + "\n")))))
    };
    let streamed = |body| Response::builder().header(WIRE_HEADER, WIRE_VERSION).body(body).unwrap();
    Ok(match reply {
        Reply::Answer(status, wire, text) => {
            let builder = Response::builder().status(status);
            let builder = wire.into_iter().fold(builder, |builder, wire| builder.header(WIRE_HEADER, wire));
            builder.body(Full::from(text).map_err(|never| match never {}).boxed()).unwrap()
        }
        Reply::Lines(lines, false) => streamed(BodyExt::boxed(StreamBody::new(frames(lines)))),
        Reply::Lines(lines, true) => {
            use futures::StreamExt;
            streamed(BodyExt::boxed(StreamBody::new(frames(lines).chain(futures::stream::pending()))))
        }
        Reply::Flood => {
            let endless = futures::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b'x'; 4096]))));
            streamed(BodyExt::boxed(StreamBody::new(endless)))
        }
        Reply::Never => std::future::pending().await,
        Reply::After(happened, reply) => {
            happened.notified().await;
            return Box::pin(respond(*reply)).await;
        }
    })
}
