//! Connections: HTTP/1.1 on each accepted socket, bounded in number and in patience.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use quarterdeck_shared::protocol::{ErrorAnswer, WIRE_HEADER, WIRE_VERSION};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Peer;

/// Connections of one user at once. A console holds a handful; a hundred scripts still fit.
const CONNECTIONS_OF_A_USER: usize = 128;

/// A client that does not finish its request's head in this time is let go.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// A client that takes nothing for this long is let go: its stream alone ends, and it may come back and list again.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Accepts until told to stop, then lets open requests end.
pub async fn serve(listener: &UnixListener, router: Router, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let counts = Counts::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(attend(stream, router.clone(), counts.clone(), stop.clone()));
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

async fn attend(stream: UnixStream, router: Router, counts: Counts, stop: CancellationToken) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let Some(_place) = counts.take(credentials.uid()) else {
        // Small enough for the buffer of a socket that nothing was written to yet.
        let _ = stream.try_write(too_many().as_bytes());
        return;
    };
    let looked_up = tokio::task::spawn_blocking(move || Peer::look_up(credentials.uid(), credentials.gid()));
    let Ok(peer) = looked_up.await else { return };
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
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

/// A stream whose writes fail where the peer takes nothing for [`WRITE_PATIENCE`].
struct Patient {
    stream: UnixStream,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: UnixStream) -> Self {
        Self { stream, waiting: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_PATIENCE)));
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
