//! Connections: HTTP/1.1 on each accepted socket, bounded in number and in patience.

mod line;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use quarterdeck_shared::protocol::{ErrorAnswer, REQUEST_BYTES_MAX, WIRE_HEADER, WIRE_VERSION};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tracing::field::Empty;

pub(super) use self::line::Line;
use self::line::Patient;
use super::answer::Failure;
use crate::access::Peer;
use crate::flood::Flood;
use quarterdeck_system::open_files;

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

/// The waits after a connection that could not be accepted: out of file descriptors, most likely, and those that are open
/// will end.
const ACCEPT_AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(ACCEPT_AGAIN_MAX)
    .without_max_times();
/// As above, at the longest: a person who waits for `qd` notices no more.
const ACCEPT_AGAIN_MAX: Duration = Duration::from_secs(1);

/// Accepts until told to stop, then lets open requests end. The next listener takes the place of the one before; its
/// connections go on.
pub async fn serve(
    mut listeners: watch::Receiver<Arc<UnixListener>>,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let counts = Counts::default();
    let (mut flood, mut waits) = (Flood::default(), ACCEPT_AGAIN.build());
    let mut listener = listeners.borrow_and_update().clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Ok(()) = listeners.changed() => {
                listener = listeners.borrow_and_update().clone();
                continue;
            }
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                waits = ACCEPT_AGAIN.build();
                tasks.spawn(attend(stream, router.clone(), counts.clone(), patience, stop.clone()));
            }
            Err(error) => {
                if let Some(times) = flood.count(std::time::Instant::now()) {
                    let why =
                        if open_files::is_reached(&error) { open_files::limit_reached() } else { error.to_string() };
                    tracing::warn!(times, "cannot accept connections: {why}");
                }
                tokio::time::sleep(waits.next().unwrap_or(ACCEPT_AGAIN_MAX)).await;
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
    let found = tokio::task::spawn_blocking(move || Peer::of_user(credentials.uid(), credentials.gid()));
    let Ok(peer) = found.await else { return };
    let line = Line(Arc::new(stream));
    let router = router.layer(Extension(peer)).layer(Extension(patience)).layer(Extension(line.clone()));
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(Patient::new(line, patience.write)), service);
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

/// Carries a command out whole, or not at all. An agent that was stopped for a while, or waited for a reload, finds
/// commands of clients that gave up: what nobody waits for is not done behind their back. And a client that leaves in the
/// middle ends nothing half done.
pub(super) async fn carry_out(
    line: Option<Extension<Line>>,
    command: impl Future<Output = Response> + Send + 'static,
) -> Response {
    if line.is_some_and(|Extension(line)| line.is_closed()) {
        tracing::debug!("a command is dropped: its client is gone");
        return Failure::conflict("the client is gone", "").into_response();
    }
    match tokio::spawn(command.in_current_span()).await {
        Ok(response) => response,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Takes in a request's body before anybody looks at the request: it is a few names, and who is slow with it holds nobody up.
pub(super) async fn whole(Extension(patience): Extension<Patience>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
        return Failure::too_long().into_response();
    }
    match tokio::time::timeout(patience.body, axum::body::to_bytes(body, REQUEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => {
            // Who it is about is said by who reads it from the path.
            let span = tracing::error_span!("request", application = Empty, environment = Empty, run = Empty);
            next.run(Request::from_parts(head, Body::from(bytes))).instrument(span).await
        }
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

#[cfg(test)]
mod tests;
