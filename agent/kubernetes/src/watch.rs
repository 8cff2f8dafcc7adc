//! The watches on a cluster: which run follows from what environments have there, and each runs for ever.
//!
//! ```text
//! watch_set -> places -> wanted watches -> one task each (stream) -> ObjectCache -> Outbox -> whoever asks for changes
//!                                                  |
//!                                               identity -> another cluster, or one that was set back: all anew
//! ```
//!
//! Nothing else is asked of an idle cluster.

mod kinds;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::cache::ObjectCache;
use crate::identity::{Compared, Identity, SET_BACK, Ways};
use crate::inventory::Inventories;
use crate::namespaced::NamespacedFallback;
use crate::objects::Objects;
use crate::problem::ApiProblem;
use crate::watch_set::{self, WatchKey, What};

use self::kinds::Uses;
pub use self::kinds::{Use, Used};
use crate::termination::TerminationMessages;
use tracing::Instrument as _;

/// Files of the way in are looked at this often, and whether the cluster is the one that was listed. A few `stat` calls, for a
/// person who lets a kubeconfig point elsewhere and waits for it to count.
const FILES_EVERY: Duration = Duration::from_secs(5);

/// What the watches of a cluster share.
pub(super) struct Shared {
    pub(super) objects: Objects,
    pub(super) cache: Arc<ObjectCache>,
    pub(super) messages: TerminationMessages,
    /// Which kinds environments use that not every cluster serves.
    pub(super) uses: Uses,
    inventories: Arc<Inventories>,
    identity: Identity,
    narrowed: Mutex<NamespacedFallback>,
    moved: Notify,
    /// When a watch was last connected after a list.
    listed: Mutex<Option<Instant>>,
}

/// The watches of a cluster. They end when this is dropped.
pub(super) struct Watches {
    shared: Arc<Shared>,
    keepers: OnceLock<[AbortOnDropHandle<()>; 3]>,
}

impl Watches {
    pub(super) fn new(objects: Objects, cache: Arc<ObjectCache>, inventories: Arc<Inventories>) -> Self {
        let shared = Shared {
            messages: TerminationMessages::new(objects.clone(), cache.clone()),
            objects,
            cache,
            inventories,
            uses: Uses::default(),
            identity: Identity::default(),
            narrowed: Mutex::default(),
            moved: Notify::new(),
            listed: Mutex::default(),
        };
        Self { shared: Arc::new(shared), keepers: OnceLock::new() }
    }

    /// Applications live in other places than before: starts what is missing and ends what nobody needs.
    pub(super) fn moved(&self) {
        self.keepers.get_or_init(|| {
            let span =
                || tracing::error_span!("cluster", cluster = self.shared.objects.requests.connection().cluster());
            let spawned = [
                tokio::spawn(keep(self.shared.clone()).instrument(span())),
                tokio::spawn(check_files(self.shared.clone()).instrument(span())),
                tokio::spawn(kinds::poll(self.shared.clone()).instrument(span())),
            ];
            spawned.map(AbortOnDropHandle::new)
        });
        self.shared.moved.notify_one();
    }

    /// Permissions and kinds may be others: what is refused is tried now.
    pub(super) fn try_again(&self) {
        self.shared.narrowed().begin_anew(Instant::now());
        self.shared.objects.waiting().wake_all();
        self.shared.moved.notify_one();
    }

    /// Which kinds environments use.
    pub(super) fn uses(&self) -> &Uses {
        &self.shared.uses
    }

    /// How often what is known of the cluster was dropped.
    pub(super) fn epoch(&self) -> u64 {
        self.shared.objects.clock.epoch()
    }
}

impl Shared {
    /// A kind may not be watched over all namespaces.
    pub(super) fn narrow(&self, key: &WatchKey, problem: &ApiProblem) {
        tracing::info!(%problem, "watching {} namespace by namespace", key.kind);
        self.narrowed().refused((key.what, key.group.clone(), key.kind.clone()), Instant::now());
        self.moved.notify_one();
    }

    /// A watch is about to be connected.
    fn begins(&self, key: &WatchKey) {
        if key.what != What::Kinds {
            self.cache.begins(key);
        }
    }

    /// A watch is connected.
    pub(super) fn connected(&self, key: &WatchKey) {
        match key.what {
            What::Kinds => self.uses.covers(key, true),
            _ => self.cache.connected(key),
        }
    }

    /// A watch is not connected any more, or still not, and why.
    pub(super) fn lost(&self, key: &WatchKey, why: &str) {
        match key.what {
            What::Kinds => self.uses.covers(key, false),
            _ => self.cache.lost(key, why),
        }
    }

    /// Nobody wants the watch any more.
    fn ends(&self, key: &WatchKey) {
        match key.what {
            What::Kinds => self.uses.covers(key, false),
            _ => self.cache.ends(key),
        }
    }

    /// A definition of this name came, changed or went, or any may have.
    pub(super) fn kinds_changed(&self, name: Option<&str>) {
        self.objects.kinds_changed();
        self.uses.changed(name);
    }

    /// The ways in through which the cluster is seen now.
    pub(super) fn ways(&self) -> Ways {
        (self.objects.requests.link().times(), *self.objects.requests.connection().elsewhere().borrow())
    }

    /// A watch was connected after a list: where the cluster became another between the two, the version that is followed
    /// does not exist yet, and the watch is silent until it does. So the cluster is looked at once more.
    pub(super) fn confirm(&self) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Looks at the cluster where that has not been done since a watch was connected after a list. Not at rest: there watches
    /// go on where they were.
    async fn confirmed(&self) {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if listed.is_some() {
            // One that cannot be asked breaks the watches, and is looked at then.
            let _ = self.check_identity(self.ways(), listed).await;
        }
    }

    /// Looks whether the cluster is the one that it was, where that has not been done lately.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub(super) async fn check_identity(&self, ways: Ways, broke: Option<Instant>) -> Result<(), ApiProblem> {
        let newest = self.objects.clock.newest(self.objects.clock.epoch());
        self.identity.check(&self.objects.requests, ways, broke, newest, &|how| self.replaced(how)).await.map(drop)
    }

    /// A watch was told of a version before one that it was told of already. A cluster that cannot be looked at is believed,
    /// but for kinds that are not Kubernetes' own: their API may be another server's, with versions of its own. True where
    /// the cluster is the same all the same.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub(super) async fn ran_backwards(&self, key: &WatchKey) -> Result<bool, ApiProblem> {
        let (requests, newest) = (&self.objects.requests, self.objects.clock.newest(self.objects.clock.epoch()));
        let identity = self.identity.check_now(requests, self.ways(), newest, &|how| self.replaced(how)).await?;
        let is_same =
            identity == Compared::Same || (identity == Compared::Unreadable && watch_set::is_foreign(&key.group));
        if identity == Compared::Unreadable && !is_same {
            self.replaced(SET_BACK);
        }
        Ok(is_same)
    }

    /// Drops all that is known of the cluster. The watches see the epoch and list anew; who remembers more compares it.
    pub(super) fn replaced(&self, how: &'static str) {
        tracing::warn!("the cluster {how}: everything is compared again");
        self.objects.forget_kinds();
        self.inventories.forget();
        self.objects.clock.begin_anew();
        self.cache.replaced(how);
        self.narrowed().begin_anew(Instant::now());
        self.moved.notify_one();
    }

    fn narrowed(&self) -> MutexGuard<'_, NamespacedFallback> {
        self.narrowed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(shared: Arc<Shared>) {
    let mut running: BTreeMap<WatchKey, AbortOnDropHandle<()>> = BTreeMap::new();
    let mut restored = shared.objects.requests.link().restored();
    loop {
        let next = shared.narrowed().next();
        tokio::select! {
            () = shared.moved.notified() => {}
            Ok(()) = restored.changed() => {
                shared.narrowed().begin_anew(Instant::now());
                continue;
            }
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if !shared.narrowed().widen(Instant::now()) {
                    continue;
                }
            }
        }
        let began = Instant::now();
        let narrow = shared.narrowed().kinds();
        let mut wanted: BTreeSet<WatchKey> = watch_set::wanted(&shared.cache.scopes(), &narrow);
        wanted.extend(shared.uses.wanted());
        let ended: Vec<WatchKey> = running.keys().filter(|key| !wanted.contains(key)).cloned().collect();
        for key in ended {
            running.remove(&key);
            shared.ends(&key);
        }
        for key in wanted {
            running.entry(key).or_insert_with_key(|key| {
                shared.begins(key);
                let (shared, key) = (shared.clone(), key.clone());
                // Of the keeper's span: of the cluster, and of no environment.
                let follow = async move { stream::follow(&shared, &key).await };
                AbortOnDropHandle::new(tokio::spawn(follow.in_current_span()))
            });
        }
        // At a start environments come by the hundred, each in a place of its own: at most a tenth of the time goes into looking
        // where they all live, whatever their number.
        tokio::time::sleep(began.elapsed() * 9).await;
    }
}

async fn check_files(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(FILES_EVERY).await;
        shared.objects.requests.connection().check_files().await;
        shared.confirmed().await;
    }
}
