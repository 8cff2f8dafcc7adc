//! Connections: HTTP/1.1 on each accepted socket, bounded in number and in patience.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use quarterdeck_shared::protocol::{ErrorAnswer, REQUEST_BYTES_MAX, WIRE_HEADER, WIRE_VERSION};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Peer;
use super::answer::Failure;

/// Connections of one user at once. A console holds a handful; a hundred scripts still fit.
const CONNECTIONS_OF_A_USER: usize = 128;

/// How long clients are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Who does not finish its request's head in this time is let go.
    pub head: Duration,
    /// Who does not finish its request's body in this time is told so and let go.
    pub body: Duration,
    /// Who takes nothing for this long is let go: its stream alone ends, and it may come back and list again.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(10), write: Duration::from_secs(30) }
    }
}

/// Accepts until told to stop, then lets open requests end.
pub async fn serve(listener: &UnixListener, router: Router, patience: Patience, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let counts = Counts::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(attend(stream, router.clone(), counts.clone(), patience, stop.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: those that are open will end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn attend(stream: UnixStream, router: Router, counts: Counts, patience: Patience, stop: CancellationToken) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let Some(_place) = counts.take(credentials.uid()) else {
        // Small enough for the buffer of a socket that nothing was written to yet.
        let _ = stream.try_write(too_many().as_bytes());
        return;
    };
    let looked_up = tokio::task::spawn_blocking(move || Peer::look_up(credentials.uid(), credentials.gid()));
    let Ok(peer) = looked_up.await else { return };
    let service = TowerToHyperService::new(router.layer(Extension(peer)).layer(Extension(patience)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(Patient::new(stream, patience.write)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that goes away or sends garbage has had its answer.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Streams end with the stop of what feeds them.
            let _ = connection.await;
        }
    }
}

/// Takes in a request's body before anybody looks at the request: it is a few names, and who is slow with it holds nobody up.
pub(super) async fn whole(Extension(patience): Extension<Patience>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
        return Failure::too_long().into_response();
    }
    match tokio::time::timeout(patience.body, axum::body::to_bytes(body, REQUEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        // Or it broke off: then nobody is there to read this.
        Ok(Err(_)) => Failure::too_long().into_response(),
        Err(_) => Failure::too_slow(patience.body).into_response(),
    }
}

/// The answer to a user who has all connections that one may have.
fn too_many() -> String {
    let answer = ErrorAnswer {
        error: "unavailable".to_owned(),
        message: format!(
            "you have {CONNECTIONS_OF_A_USER} connections to the agent already, and a user may have no more"
        ),
        hint: "close some: consoles, followed logs, scripts that wait".to_owned(),
    };
    let body = serde_json::to_string(&answer).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n{WIRE_HEADER}: {WIRE_VERSION}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// How many connections each user has.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<HashMap<u32, usize>>>);

/// A connection's place among its user's.
struct Place {
    counts: Counts,
    uid: u32,
}

impl Counts {
    fn take(&self, uid: u32) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(uid).or_default();
        if *count >= CONNECTIONS_OF_A_USER {
            return None;
        }
        *count += 1;
        Some(Place { counts: self.clone(), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}

/// A stream whose writes fail where the peer takes nothing for this long.
struct Patient {
    stream: UnixStream,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: UnixStream, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let until = Instant::now() + self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::{get, post};
    use futures::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(200);

    /// Where somebody listens who echoes bodies, and under `/endless` never stops talking; and what is told when that ends.
    fn listen(patience: Patience) -> (tempfile::TempDir, PathBuf, oneshot::Receiver<()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (talking, ended) = oneshot::channel::<()>();
        let talking = Arc::new(Mutex::new(Some(talking)));
        let endless = move || {
            // Dropped with the stream.
            let talking = talking.lock().unwrap().take();
            let chunks = stream::repeat_with(move || {
                let _ = &talking;
                Ok::<_, std::convert::Infallible>(vec![b'x'; 64 << 10])
            });
            async { Body::from_stream(chunks) }
        };
        let router = Router::new()
            .route("/", post(async |body: axum::body::Bytes| body))
            .route("/endless", get(endless))
            .route_layer(from_fn(whole));
        tokio::spawn(async move { serve(&listener, router, patience, CancellationToken::new()).await });
        (folder, path, ended)
    }

    /// Says the beginning at once and then a byte now and then, for ever: what it is told until it is let go.
    async fn dribble(path: &PathBuf, beginning: &str) -> String {
        let (mut read, mut write) = UnixStream::connect(path).await.unwrap().into_split();
        write.write_all(beginning.as_bytes()).await.unwrap();
        let dribbling = async {
            let mut ticks = tokio::time::interval(SHORT / 20);
            while write.write_all(b"x").await.is_ok() {
                ticks.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        let ended = async {
            tokio::select! {
                // A connection that ends with bytes that nobody took ends with an error, after what it had to say.
                _ = read.read_to_end(&mut answer) => {}
                () = dribbling => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("nobody lets it go");
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn who_is_slow_and_comes_to_an_end_is_served() {
        let (_folder, path, _) = listen(Patience::default());
        let mut stream = UnixStream::connect(&path).await.unwrap();
        for byte in b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_let_go() {
        let (_folder, path, _) = listen(Patience { head: SHORT, body: LONG, write: LONG });
        assert_eq!(dribble(&path, "GET / HTTP/1.1\r\nhost: a\r\nx: ").await, "");
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_told_so_and_let_go() {
        let (_folder, path, _) = listen(Patience { head: LONG, body: SHORT, write: LONG });
        let answer = dribble(&path, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("the body of the request did not come within 200ms"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_told_so() {
        let (_folder, path, _) = listen(Patience::default());
        let answer = dribble(&path, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("the body of the request is longer than 65536 bytes"), "{answer}");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go() {
        let (_folder, path, ended) = listen(Patience { head: LONG, body: LONG, write: SHORT });
        let mut deaf = UnixStream::connect(&path).await.unwrap();
        deaf.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("nobody lets it go");
        ended.expect_err("the stream was dropped");
        // What was on its way when the patience ended, and no more.
        let mut left = Vec::new();
        let _ = deaf.read_to_end(&mut left).await;
        assert!(left.starts_with(b"HTTP/1.1 200 "));
    }
}
