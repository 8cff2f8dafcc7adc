//! Whether the cluster answers. Any answer says that it does, whatever was asked and whatever the answer is; that it does
//! not is said by a request that only a cluster which is there can answer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::cluster::changes::ClusterChange;
use crate::cluster::live::Live;
use crate::cluster::problem::ApiProblem;

/// Whether the cluster answers, as its requests find it.
pub(super) struct Link {
    live: Arc<Live>,
    /// Unknown at the beginning, so that the first answer is told like one after an outage.
    lost: Mutex<Option<bool>>,
    /// Counts the times that it answered after it had not.
    restored: watch::Sender<u64>,
}

impl Link {
    pub(super) fn new(live: Arc<Live>) -> Self {
        Self { live, lost: Mutex::default(), restored: watch::Sender::new(0) }
    }

    /// It does not answer.
    pub(super) fn lost(&self, problem: &ApiProblem) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lost.replace(true);
        self.live.unreachable(&problem.message, before.is_some());
        if before != Some(true) {
            self.live.outbox.push([ClusterChange::Away { message: problem.to_string() }]);
        }
    }

    /// It answers.
    pub(super) fn found(&self) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.replace(false) != Some(false) {
            self.live.reachable();
            self.live.outbox.push([ClusterChange::Back]);
            self.restored.send_modify(|count| *count += 1);
        }
    }

    /// Whether it is known not to answer.
    pub(super) fn is_lost(&self) -> bool {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) == Some(true)
    }

    /// Changes whenever it answers again.
    pub(super) fn restored(&self) -> watch::Receiver<u64> {
        self.restored.subscribe()
    }

    /// How often it answered after it had not.
    pub(super) fn times(&self) -> u64 {
        *self.restored.borrow()
    }
}
