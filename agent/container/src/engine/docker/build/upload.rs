//! The build context on its way to the engine: read of the commit, packed, and sent as fast as the engine takes it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::engine::context::{Context, ContextError};
use crate::engine::docker::send;
use crate::engine::{BuildError, BuildRequest, Progress, Sink};

/// The context goes out in pieces of this size, and so many wait for the engine: 2 MiB beside the one file that is read.
const PIECE_BYTES: usize = 128 * 1024;
const PIECES_WAITING_MAX: usize = 16;

/// The context on its way: a thread reads the commit and packs it, as fast as the engine takes it.
pub(super) struct Upload {
    body: Option<ReceiverStream<io::Result<Bytes>>>,
    /// Bytes so far.
    pub(super) sent: Arc<AtomicU64>,
    error: Arc<Mutex<Option<ContextError>>>,
}

impl Upload {
    /// Decides what is sent, then begins. What a person should know of the context is told first.
    pub(super) async fn start(request: BuildRequest, sink: Sink) -> Result<Self, BuildError> {
        let (pieces, body) = mpsc::channel(PIECES_WAITING_MAX);
        let (sent, error) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let tree = request.tree.clone();
        let span = tracing::Span::current();
        let plan = move || span.in_scope(|| Context::plan(&*tree, &request.context, &request.dockerfile));
        let planned = tokio::task::spawn_blocking(plan).await;
        let context = planned.expect("planning a context does not panic")?;
        for warning in &context.warnings {
            send(&sink, Progress::Line(format!("warning: {warning}"))).await;
        }
        let tree = request.tree;
        let (counter, slot) = (sent.clone(), error.clone());
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _span = span.enter();
            let out = Pieces { pieces: pieces.clone(), buffer: BytesMut::new(), sent: counter };
            let warn = |warning| drop(sink.blocking_send(Progress::Line(format!("warning: {warning}"))));
            if let Err(error) = context.write(&*tree, request.modified, out, warn) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // Ends the request; the engine throws away what it has.
                let _ = pieces.blocking_send(Err(io::Error::other("the build context could not be read")));
            }
        });
        Ok(Self { body: Some(ReceiverStream::new(body)), sent, error })
    }

    /// What goes out; once.
    pub(super) fn body(&mut self) -> impl futures::Stream<Item = io::Result<Bytes>> + use<> {
        futures::stream::iter(self.body.take()).flatten()
    }

    /// Why it broke, where it did.
    pub(super) fn error(&self) -> Option<ContextError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Gathers small writes into pieces, and waits while the engine is slow.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
    sent: Arc<AtomicU64>,
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.buffer.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.pieces
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the engine stopped listening"))
    }
}
