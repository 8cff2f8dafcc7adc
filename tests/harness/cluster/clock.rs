//! The time of the stand-in: on the clock of timers, and as Kubernetes writes it.

use std::time::Instant;

use jiff::Timestamp;

/// Now, for timers and for people.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// For timers.
    pub instant: Instant,
    /// For people.
    pub now: Timestamp,
}

impl Clock {
    /// The clocks of this machine.
    pub fn read() -> Clock {
        Clock { instant: Instant::now(), now: Timestamp::now() }
    }

    /// Now as Kubernetes writes it.
    pub fn stamp(&self) -> String {
        stamp(self.now)
    }

    /// When the moment `seconds` after `since` (as Kubernetes writes it) is; `None` if it is past.
    pub fn later(&self, since: &str, seconds: i64) -> Option<Instant> {
        let since: Timestamp = since.parse().ok()?;
        let left = since.as_millisecond() + seconds * 1_000 - self.now.as_millisecond();
        (left > 0).then(|| self.instant + std::time::Duration::from_millis(left as u64))
    }
}

/// A moment as Kubernetes writes it: RFC 3339 to the second.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
