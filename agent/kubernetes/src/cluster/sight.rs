//! What is seen of a cluster: what is watched in it for whom, what cannot be, and what changed.

use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::Inventory;
use quarterdeck_shared::snapshot::Unseen;
use tokio::time::Instant;

use crate::changes::ClusterChange;
use crate::cluster::Cluster;
use crate::discovery::Kinds;
use crate::problem::ApiProblem;
use crate::watch::Used;
use quarterdeck_core::sync::plan::Memory;

impl Cluster {
    /// The environment uses these kinds, or asks for all, which were served so when it was rendered. It is told as
    /// [`ClusterChange::Kinds`] where they are served otherwise.
    ///
    /// Must be called within a tokio runtime: the watches are tasks of their own.
    pub fn uses(&self, environment: &EnvironmentId, uses: Used, kinds: &Kinds) {
        if self.0.watches.uses().set(environment, uses, kinds) {
            self.0.watches.moved();
        }
    }

    /// Whether the kinds that the environment uses are served otherwise than when it was rendered, as far as is known.
    pub fn kinds_differ(&self, environment: &EnvironmentId) -> bool {
        let known = self.0.objects.known_kinds();
        known.is_some_and(|kinds| self.0.watches.uses().differ(environment, &kinds))
    }

    /// Watches what an environment has here: its inventory, and how its objects were when they were last seen to be as
    /// their manifests. To be told at the begin; executing a plan tells it again by itself.
    ///
    /// Must be called within a tokio runtime: the watches are tasks of their own.
    pub fn watch(&self, environment: &EnvironmentId, inventory: &Inventory, memory: &Memory) {
        if self.0.cache.track(environment, inventory, memory) {
            self.0.watches.moved();
        }
    }

    /// It could not be asked what to watch for the environment: what is claimed of it stands on nothing until it can.
    pub fn not_watched(&self, environment: &EnvironmentId, problem: &ApiProblem) {
        self.0.cache.not_begun(environment, &problem.message);
    }

    /// Ends that: the environment is no concern any more.
    pub fn forget(&self, environment: &EnvironmentId) {
        self.0.cache.forget(environment);
        self.0.inventories.outdate(environment);
        self.0.watches.uses().set(environment, Used::default(), &Kinds::default());
        self.0.watches.moved();
    }

    /// Waits until every object of the environment is known by its watches: then an unchanged one costs no request.
    pub async fn synced(&self, environment: &EnvironmentId) {
        self.0.cache.synced(environment).await;
    }

    /// What cannot be seen of the environment: the cluster, or watches that a claim about it stands on. `before` is what
    /// this answered last; it stays until all that the environment stands on is back.
    pub fn unseen(&self, environment: &EnvironmentId, before: &[Unseen]) -> Vec<Unseen> {
        self.0.cache.unseen(environment, before)
    }

    /// When [`Self::unseen`] may be another without anything happening, if it may.
    pub fn next_check(&self) -> Option<Instant> {
        self.0.cache.next_check()
    }

    /// Whether the cluster answers and yet a watch of the environment is not connected, beyond an ordinary reconnect: then
    /// nothing tells of what happens to its objects, and they have to be compared. Not so while the cluster does not
    /// answer: its watches go on from where they were, and miss nothing.
    pub fn unwatched(&self, environment: &EnvironmentId) -> bool {
        self.0.cache.is_unwatched(environment)
    }

    /// All watches that are not connected although the cluster answers.
    pub fn watches_missing(&self) -> Vec<Unseen> {
        self.0.cache.unwatched()
    }

    /// Permissions may be others, or a person says so: what may not be watched is tried again now.
    pub fn try_again(&self) {
        self.0.watches.try_again();
    }

    /// Counts the times that the cluster turned out to be another, or one that was set back. Whatever was remembered of it
    /// under another number is worth nothing.
    pub fn epoch(&self) -> u64 {
        self.0.watches.epoch()
    }

    /// What changed since it was last asked, as soon as something did; of each object only the newest. For one reader.
    pub async fn changes(&self) -> Vec<ClusterChange> {
        loop {
            // How an object is may change by time alone.
            let due = until(self.0.cache.due());
            tokio::select! {
                changes = self.0.cache.outbox.take() => return changes,
                () = due => self.0.cache.expire(Timestamp::now()),
            }
        }
    }

    /// Waits until the reader of [`Self::changes`] is done with all that happened before.
    pub async fn changes_read(&self) {
        self.0.cache.outbox.read().await;
    }
}

/// Waits until this time; for ever where there is none. A clock that is set back makes it wait again.
async fn until(due: Option<Timestamp>) {
    match due {
        Some(due) => {
            let wait = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
            tokio::time::sleep(wait).await;
        }
        None => std::future::pending().await,
    }
}
