//! The watches on a cluster: which run follows from what applications have there, and each runs for ever.
//!
//! ```text
//! interest -> places -> wanted watches -> one task each (stream) -> Live -> Outbox -> whoever asks for changes
//! ```
//!
//! Nothing else is asked of an idle cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::changes::ClusterChange;
use crate::cluster::interest::{self, Narrow, WatchKey};
use crate::cluster::kube::Objects;
use crate::cluster::live::Live;
use crate::cluster::problem::ApiProblem;
use crate::cluster::stream;
use crate::cluster::words::Words;

/// What the watches of a cluster share.
pub(super) struct Shared {
    pub(super) objects: Objects,
    pub(super) live: Arc<Live>,
    pub(super) link: Link,
    pub(super) words: Words,
    narrow: Mutex<Narrow>,
    moved: Notify,
}

/// The watches of a cluster. They end when this is dropped.
pub(super) struct Watches {
    shared: Arc<Shared>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

impl Watches {
    pub(super) fn new(objects: Objects, live: Arc<Live>) -> Self {
        let shared = Shared {
            words: Words::new(objects.clone(), live.clone()),
            objects,
            live,
            link: Link::default(),
            narrow: Mutex::default(),
            moved: Notify::new(),
        };
        Self { shared: Arc::new(shared), keeper: OnceLock::new() }
    }

    /// Applications live in other places than before: starts what is missing and ends what nobody needs.
    pub(super) fn moved(&self) {
        self.keeper.get_or_init(|| AbortOnDropHandle::new(tokio::spawn(keep(self.shared.clone()))));
        self.shared.moved.notify_one();
    }
}

impl Shared {
    /// A kind may not be watched over all namespaces.
    pub(super) fn narrow(&self, key: &WatchKey, problem: &ApiProblem) {
        tracing::info!(%problem, "watching {} namespace by namespace", key.kind);
        let mut narrow = self.narrow.lock().unwrap_or_else(PoisonError::into_inner);
        narrow.insert((key.what, key.group.clone(), key.kind.clone()));
        self.moved.notify_one();
    }
}

async fn keep(shared: Arc<Shared>) {
    let mut running: BTreeMap<WatchKey, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        shared.moved.notified().await;
        let began = Instant::now();
        let narrow = shared.narrow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted: BTreeSet<WatchKey> = interest::wanted(&shared.live.places(), &narrow);
        let ended: Vec<WatchKey> = running.keys().filter(|key| !wanted.contains(key)).cloned().collect();
        for key in ended {
            running.remove(&key);
            shared.live.cover(&key, false);
        }
        for key in wanted {
            running.entry(key).or_insert_with_key(|key| {
                let (shared, key) = (shared.clone(), key.clone());
                AbortOnDropHandle::new(tokio::spawn(async move { stream::follow(&shared, &key).await }))
            });
        }
        // At a start applications come by the hundred, each in a place of its own: at most a tenth of the time goes into looking
        // where they all live, whatever their number.
        tokio::time::sleep(began.elapsed() * 9).await;
    }
}

/// Whether the cluster answers, as its watches find it.
#[derive(Default)]
pub(super) struct Link {
    /// Unknown at the beginning, so that the first answer is told like one after an outage.
    lost: Mutex<Option<bool>>,
    restored: Notify,
}

impl Link {
    pub(super) fn lost(&self, live: &Live, problem: &ApiProblem) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.replace(true) != Some(true) {
            live.outbox.push([ClusterChange::Away { message: problem.to_string() }]);
        }
    }

    pub(super) fn found(&self, live: &Live) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.replace(false) != Some(false) {
            live.outbox.push([ClusterChange::Back]);
            self.restored.notify_waiters();
        }
    }

    /// Waits until the cluster answers again.
    pub(super) async fn restored(&self) {
        self.restored.notified().await;
    }
}
