//! The clock of a cluster: the newest resource version that was seen of it, and how often that was worth nothing any more.
//!
//! All of Kubernetes' own kinds are kept in one etcd, whose revision is their version. So a list that is asked for now is
//! at least as new as whatever was seen before, be it told by another watch or the answer to a write; one that is older is
//! of a cluster that was set back. Other groups may be another server's, and are left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::watch_set::is_foreign;

/// The clock, and the epoch that it is of.
#[derive(Default)]
pub(super) struct Clock {
    newest: Mutex<Newest>,
    epoch: watch::Sender<u64>,
}

#[derive(Default)]
struct Newest {
    epoch: u64,
    version: u64,
}

impl Clock {
    /// How often all that was known was dropped.
    pub(super) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// Changes with the epoch.
    pub(super) fn epochs(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// The newest version of this epoch; 0 where none was seen, or the epoch is over.
    pub(super) fn newest(&self, epoch: u64) -> u64 {
        Some(self.lock()).filter(|newest| newest.epoch == epoch).map_or(0, |newest| newest.version)
    }

    /// A version was seen by somebody who began to look in this epoch.
    pub(super) fn saw(&self, epoch: u64, group: &str, version: u64) {
        let mut newest = self.lock();
        if newest.epoch == epoch && !is_foreign(group) {
            newest.version = newest.version.max(version);
        }
    }

    /// The cluster is another, or an older one.
    pub(super) fn begin_anew(&self) {
        let mut newest = self.lock();
        *newest = Newest { epoch: newest.epoch + 1, version: 0 };
        self.epoch.send_replace(newest.epoch);
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_of_this_epoch_counts() {
        let clock = Clock::default();
        for (epoch, group, version, newest) in
            [(0, "apps", 7, 7), (0, "", 5, 7), (0, "metrics.example", 900, 7), (0, "networking.k8s.io", 9, 9)]
        {
            clock.saw(epoch, group, version);
            assert_eq!(clock.newest(0), newest, "{group} {version}");
        }
        clock.begin_anew();
        clock.saw(0, "", 100);
        assert_eq!((clock.epoch(), clock.newest(0), clock.newest(1)), (1, 0, 0), "what was on its way is of the past");
        clock.saw(1, "", 3);
        assert_eq!(clock.newest(1), 3);
    }
}
