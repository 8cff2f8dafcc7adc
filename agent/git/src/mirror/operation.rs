//! One conversation with a remote: its clock, its bounds, and the first thing that went wrong.
//!
//! gix reads and writes through our transports ([`super::http`], [`super::process`]), and its errors come back as
//! chains of boxed causes. So the transport notes what truly happened here, and [`Operation::verdict`] tells that; only what
//! no transport noted is told in gix's words. A conversation always ends: every read and write asks the clock first.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quarterdeck_system::program;

use crate::GitError;
use crate::error::chain;

/// See the module.
pub(crate) struct Operation {
    url: String,
    doing: &'static str,
    started: Instant,
    limit: Duration,
    /// The longest that one read may wait.
    stall: Duration,
    bytes: AtomicU64,
    bytes_max: u64,
    bytes_option: Option<&'static str>,
    interrupt: Arc<AtomicBool>,
    failure: Mutex<Option<GitError>>,
}

/// What a conversation may cost.
pub(crate) struct Bounds {
    pub(crate) doing: &'static str,
    pub(crate) time: Duration,
    pub(crate) stall: Duration,
    pub(crate) bytes: u64,
    pub(crate) bytes_option: Option<&'static str>,
}

impl Operation {
    pub(crate) fn new(url: String, bounds: Bounds, interrupt: Arc<AtomicBool>) -> Arc<Self> {
        let Bounds { doing, time, stall, bytes, bytes_option } = bounds;
        Arc::new(Self {
            url,
            doing,
            started: Instant::now(),
            limit: time,
            stall: stall.min(time),
            bytes: AtomicU64::new(0),
            bytes_max: bytes,
            bytes_option,
            interrupt,
            failure: Mutex::new(None),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn interrupt(&self) -> &AtomicBool {
        &self.interrupt
    }

    #[cfg(test)]
    pub(crate) fn interrupt_for_test(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }

    /// Notes what happened (the first time counts) and gives the error for the reader that has to stop.
    pub(crate) fn fail(&self, failure: GitError) -> io::Error {
        let mut noted = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let text = failure.to_string();
        noted.get_or_insert(failure);
        io::Error::other(text)
    }

    pub(crate) fn noted(&self) -> Option<GitError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What to tell of a conversation that failed with `error`.
    pub(crate) fn verdict(&self, error: &(dyn std::error::Error + 'static)) -> GitError {
        self.noted().unwrap_or_else(|| {
            let (url, mut detail) = (self.url.clone(), chain(error));
            // The library tells which header it misses; who gave the address of a web page is told so.
            if detail.contains("'smart' protocol") {
                "it answers, and not with a list of refs; check that the address is a repository's"
                    .clone_into(&mut detail);
            }
            GitError::Protocol { url, detail }
        })
    }
}

impl program::Bounds for Operation {
    /// How long the next read or write may wait; an error once the time is over or the agent is stopping.
    fn patience(&self) -> io::Result<Duration> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(self.fail(GitError::Interrupted { url: self.url.clone(), doing: self.doing }));
        }
        match self.limit.checked_sub(self.started.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left.min(self.stall)),
            _ => Err(self.timed_out()),
        }
    }

    /// Notes that the time is over.
    fn timed_out(&self) -> io::Error {
        // A stall is told with its own limit: that is what a person would raise.
        let over = self.started.elapsed() >= self.limit;
        let limit = if over { self.limit } else { self.stall };
        self.fail(GitError::TimedOut { url: self.url.clone(), doing: self.doing, limit })
    }

    /// Counts what came in, and fails over the bound.
    fn count(&self, bytes: usize) -> io::Result<()> {
        let all = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if all > self.bytes_max {
            return Err(self.fail(GitError::TooMuch {
                url: self.url.clone(),
                limit: self.bytes_max,
                what: "bytes",
                option: self.bytes_option,
            }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_system::program::Bounds as _;

    use super::*;
    use quarterdeck_shared::error::Failure;

    fn talk(time: Duration, bytes: u64) -> Arc<Operation> {
        let bounds = Bounds { doing: "listing", time, stall: time, bytes, bytes_option: Some("list_bytes") };
        Operation::new("https://forge/shop".into(), bounds, Arc::default())
    }

    #[test]
    fn the_first_failure_is_the_verdict() {
        let talk = talk(Duration::from_secs(60), 10);
        assert!(talk.patience().is_ok() && talk.count(10).is_ok());
        assert!(talk.count(1).is_err());
        talk.timed_out();
        let verdict = Failure::of(&talk.verdict(&io::Error::other("gix's words"))).to_string();
        let told = "https://forge/shop sent more than 10 bytes\nhint: raise `list_bytes` in [repository.limits] if that is meant";
        assert_eq!(verdict, told);
    }

    #[test]
    fn time_ends() {
        let talk = talk(Duration::ZERO, 10);
        assert!(talk.patience().is_err());
        assert!(matches!(talk.verdict(&io::Error::other("x")), GitError::TimedOut { doing: "listing", .. }));
    }

    #[test]
    fn what_no_transport_noted_is_told_in_the_librarys_words() {
        let verdict = talk(Duration::from_secs(60), 10).verdict(&io::Error::other("bad\u{1b} line"));
        assert_eq!(verdict.to_string(), "https://forge/shop did not answer as a git server: bad line");
    }
}
