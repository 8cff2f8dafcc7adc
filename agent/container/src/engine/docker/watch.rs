//! Reads a long stream of an engine without waiting for ever.
//!
//! A step that compiles for an hour says nothing, and that is fine while the engine lives. So silence is met with a ping now and
//! then; the work is given up when the engine answers none, or after a limit that no sound work reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::ping;
use super::discover::Host;
use crate::engine::BuildError;

/// How long silence may last, and what is too much to say.
#[derive(Debug, Clone)]
pub struct Limits {
    /// After so much silence the engine is pinged, and again each time.
    pub heartbeat: Duration,
    /// A build that said nothing for so long is given up.
    pub build_silent: Duration,
    /// A push that said nothing for so long is given up.
    pub push_silent: Duration,
    /// The most that a test may write.
    pub test_output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // Two hours is twice what the slowest single steps that people write (compilers, package mirrors) take; a push tells
        // each half megabyte.
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            heartbeat: Duration::from_secs(30),
            build_silent: minutes(120),
            push_silent: minutes(15),
            // A suite that runs for hours writes a tenth of it, and an engine keeps all of it on its disk until the end.
            test_output_bytes: 256 << 20,
        }
    }
}

/// So many pings in a row without answer, and the engine is away.
const PINGS_LOST_MAX: u32 = 3;

/// What a stream is read with.
pub(super) struct Watch<'a> {
    pub(super) host: &'a Host,
    pub(super) doing: &'a str,
    pub(super) cancel: &'a CancellationToken,
    pub(super) heartbeat: Duration,
    pub(super) silent: Duration,
    /// Bytes that went out so far: an upload is no silence.
    pub(super) uploaded: Arc<AtomicU64>,
}

impl Watch<'_> {
    /// The next item of the stream; none at its end.
    pub(super) async fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Result<Option<S::Item>, BuildError> {
        let mut heard = Instant::now();
        let mut uploaded = self.uploaded.load(Ordering::Relaxed);
        let mut lost = 0;
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(BuildError::Cancelled { doing: self.doing.to_owned() }),
                item = stream.next() => return Ok(item),
                () = tokio::time::sleep(self.heartbeat.min(self.silent)) => {}
            }
            let now_uploaded = self.uploaded.load(Ordering::Relaxed);
            if now_uploaded != uploaded {
                (uploaded, heard) = (now_uploaded, Instant::now());
            }
            if heard.elapsed() >= self.silent {
                return Err(BuildError::Silent { doing: self.doing.to_owned(), seconds: heard.elapsed().as_secs() });
            }
            tokio::select! {
                () = self.cancel.cancelled() => continue,
                answer = ping(self.host) => lost = if answer.is_ok() { 0 } else { lost + 1 },
            }
            if lost >= PINGS_LOST_MAX {
                return Err(BuildError::Away {
                    address: self.host.to_string(),
                    doing: self.doing.to_owned(),
                    source: None,
                });
            }
        }
    }
}
