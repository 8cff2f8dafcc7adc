//! The stream of JSON lines that the stand-in engine answers builds, pushes and pulls with.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::buildkit::{self, Trace};
use super::locked;

/// Why work on a stream ends before it is done.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client closed its connection; nobody listens.
    Gone,
    /// A fault that a test asked for cut the stream.
    Cut,
    /// It failed, in words that go to the client.
    Failed { message: String, code: Option<i64> },
}

impl Stop {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Stop::Failed { message: message.into(), code: None }
    }
}

/// A way for a stream to go wrong.
#[derive(Debug, Clone)]
pub enum StreamFault {
    /// The connection is cut after this step of a build, or this layer of a push (1 is the first).
    CutAfter(usize),
    /// After this step or layer nothing more is said, and the connection stays open.
    SilentAfter(usize),
}

/// The sending end of a stream.
pub(super) struct Output {
    lines: mpsc::Sender<io::Result<Bytes>>,
    /// Nothing is told but the end.
    quiet: bool,
    fault: Mutex<Option<StreamFault>>,
    /// It is told as BuildKit does.
    trace: Option<Mutex<Trace>>,
}

impl Output {
    /// A stream, and the response body that it comes out of. Eight lines wait at most: a slow client slows the work.
    pub(super) fn new(quiet: bool, fault: Option<StreamFault>) -> (Self, Body) {
        let (lines, receiver) = mpsc::channel(8);
        let output = Self { lines, quiet, fault: Mutex::new(fault), trace: None };
        (output, Body::from_stream(ReceiverStream::new(receiver)))
    }

    /// The same, told as BuildKit does.
    pub(super) fn traced(self) -> Self {
        Self { trace: Some(Mutex::default()), ..self }
    }

    /// What a step of a build prints.
    pub(super) async fn stream(&self, text: &str) -> Result<(), Stop> {
        let line = match &self.trace {
            _ if self.quiet => None,
            Some(trace) => locked(trace).prints(text),
            None => Some(json!({ "stream": text })),
        };
        self.all(line).await
    }

    /// What the classic builder says of its own work.
    pub(super) async fn remark(&self, text: &str) -> Result<(), Stop> {
        if self.trace.is_some() { Ok(()) } else { self.stream(text).await }
    }

    /// The id of a stage, as the classic builder tells it.
    pub(super) async fn aux(&self, aux: Value) -> Result<(), Stop> {
        if self.trace.is_some() { Ok(()) } else { self.line(json!({ "aux": aux })).await }
    }

    /// A vertex of BuildKit's begins.
    pub(super) async fn vertex(&self, name: &str) -> Result<(), Stop> {
        let lines = self.trace.as_ref().map(|trace| locked(trace).begin(name));
        self.all(lines.into_iter().flatten()).await
    }

    /// The vertex at work was done before.
    pub(super) fn cached(&self) {
        self.trace.iter().for_each(|trace| locked(trace).cached());
    }

    /// The image is there.
    pub(super) async fn built(&self, id: &str) -> Result<(), Stop> {
        let Some(trace) = &self.trace else { return Ok(()) };
        self.vertex("exporting to image").await?;
        let done = locked(trace).end("");
        self.all(done.into_iter().chain([json!({ "id": "moby.image.id", "aux": { "ID": id } })])).await
    }

    async fn all(&self, lines: impl IntoIterator<Item = Value>) -> Result<(), Stop> {
        for line in lines {
            self.line(line).await?;
        }
        Ok(())
    }

    /// A line of a push or pull about a layer (`id` empty: about the whole).
    pub(super) async fn status(&self, id: &str, status: &str) -> Result<(), Stop> {
        let line = match id {
            "" => json!({ "status": status }),
            id => json!({ "status": status, "progressDetail": {}, "id": id }),
        };
        self.line(line).await
    }

    pub(super) async fn progress(&self, id: &str, status: &str, current: u64, total: u64) -> Result<(), Stop> {
        let done = usize::try_from(current * 50 / total.max(1)).unwrap_or(50);
        let bar = format!("[{:<50}]  {current}B/{total}B", "=".repeat(done) + ">");
        let detail = json!({ "current": current, "total": total });
        self.line(json!({ "status": status, "progressDetail": detail, "progress": bar, "id": id })).await
    }

    pub(super) async fn line(&self, line: Value) -> Result<(), Stop> {
        self.lines.send(Ok(Bytes::from(format!("{line}\r\n")))).await.map_err(|_| Stop::Gone)
    }

    /// Waits, unless the client goes away meanwhile.
    pub(super) async fn pause(&self, duration: Duration) -> Result<(), Stop> {
        if duration.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = self.lines.closed() => Err(Stop::Gone),
        }
    }

    /// Meets the fault that was asked for after this step.
    pub(super) async fn fault_after(&self, step: usize) -> Result<(), Stop> {
        let fault = self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match fault {
            Some(StreamFault::CutAfter(at)) if at == step => {
                // What was said before gets out first: it waits in the connection's buffer, which goes with the connection.
                self.pause(Duration::from_millis(50)).await?;
                Err(Stop::Cut)
            }
            Some(StreamFault::SilentAfter(at)) if at == step => {
                self.lines.closed().await;
                Err(Stop::Gone)
            }
            _ => Ok(()),
        }
    }

    /// Says how it ended, where there is still somebody to hear it.
    pub(super) async fn end(&self, stop: &Stop) {
        let _ = match (stop, &self.trace) {
            (Stop::Gone, _) => return,
            (Stop::Cut, _) => self.lines.send(Err(io::Error::other("cut on purpose"))).await.map_err(|_| Stop::Gone),
            (Stop::Failed { message, .. }, Some(trace)) => {
                let words = buildkit::words(message);
                let (vertex, all) = (locked(trace).end(&words), format!("failed to solve: {words}"));
                let error = json!({ "errorDetail": { "message": all }, "error": all });
                self.all(vertex.into_iter().chain([error])).await
            }
            (Stop::Failed { message, code: Some(code) }, None) => {
                self.line(json!({ "errorDetail": { "code": code, "message": message }, "error": message })).await
            }
            (Stop::Failed { message, code: None }, None) => {
                self.line(json!({ "errorDetail": { "message": message }, "error": message })).await
            }
        };
    }
}
