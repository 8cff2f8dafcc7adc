//! Watches that wait for their kind: it may not be watched, or is not served. Whoever sees that it may be otherwise now
//! wakes them: an object of the kind was read or written, its definition changed, the cluster serves other kinds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// The kinds that are waited for, by group and kind. At rest there are none.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<(String, String), watch::Sender<()>>>);

/// Ends when its kind is worth another try.
pub(super) struct Wait(watch::Receiver<()>);

impl Waiting {
    /// Waits for a kind, from now on.
    pub(super) fn wait(&self, group: &str, kind: &str) -> Wait {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Wait(waiting.entry((group.to_owned(), kind.to_owned())).or_default().subscribe())
    }

    /// The cluster did something with an object of this kind.
    pub(super) fn wake(&self, group: &str, kind: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            waiting.remove(&(group.to_owned(), kind.to_owned()));
        }
    }

    /// Anything may be otherwise now.
    pub(super) fn wake_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Wait {
    pub(super) async fn over(mut self) {
        // Its sender goes when it is over.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_kind_wakes_who_waits_for_it() {
        let waiting = Waiting::default();
        let over = |wait: Wait| wait.over().now_or_never().is_some();
        let both = || (waiting.wait("", "Pod"), waiting.wait("", "Pod"), waiting.wait("apps", "Deployment"));
        let (one, other, deployment) = both();
        waiting.wake("", "ConfigMap");
        waiting.wake("", "Pod");
        assert!(over(one) && over(other) && !over(deployment));
        let (pod, _, deployment) = both();
        waiting.wake_all();
        assert!(over(pod) && over(deployment));
        assert!(!over(waiting.wait("", "Pod")), "who comes later waits for the next time");
    }
}
