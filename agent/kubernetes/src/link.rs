//! Whether the cluster answers. Any answer says that it does, whatever was asked and whatever the answer is; that it does
//! not is said by a request that only a cluster which is there can answer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::problem::ApiProblem;

/// What is shown of a cluster, and hears from its requests whether it answers.
pub(super) trait Hears: Send + Sync {
    /// It does not answer. `is_news`: it did, or was not asked before; `ever`: it was asked before.
    fn lost(&self, problem: &ApiProblem, is_news: bool, ever: bool);

    /// It answers, and did not before.
    fn found(&self);
}

/// Whether the cluster answers, as its requests find it.
pub(super) struct Link {
    shown: Arc<dyn Hears>,
    /// Unknown at the beginning, so that the first answer is told like one after an outage.
    lost: Mutex<Option<bool>>,
    /// Counts the times that it answered after it had not.
    restored: watch::Sender<u64>,
}

impl Link {
    pub(super) fn new(shown: Arc<dyn Hears>) -> Self {
        Self { shown, lost: Mutex::default(), restored: watch::Sender::new(0) }
    }

    /// It does not answer.
    pub(super) fn lost(&self, problem: &ApiProblem) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lost.replace(true);
        self.shown.lost(problem, before != Some(true), before.is_some());
    }

    /// It answers.
    pub(super) fn found(&self) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.replace(false) != Some(false) {
            self.shown.found();
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
