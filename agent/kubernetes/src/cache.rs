//! What is known of live objects without asking: what the watches last said, a few words an object. Whole objects are
//! looked at as they come by and forgotten; so 10,000 pods are a few MB.
//!
//! Invariant: this only ever says what a watch that is connected said. What no connected watch covers is not known. What
//! a list says replaces what is known, older or newer.

mod coverage;
mod managed;
mod owners;
mod seen;
mod tombstones;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::resource::{Inventory, ResourceRef};
use quarterdeck_shared::snapshot::Unseen;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cache::coverage::Coverage;
use crate::cache::managed::Applied;
use crate::cache::owners::Owners;
use crate::changes::{ClusterChange, Outbox};
use crate::classes::Classes;
use crate::link::Hears;
use crate::problem::ApiProblem;
use crate::watch_set::{Scopes, WatchKey, What};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::plan::{Ended, Memory};

pub(super) use crate::cache::managed::Expect;
pub(super) use crate::cache::owners::{PodLogs, Started};
pub(super) use crate::cache::seen::{Judge, Put, Seen, ToldBy, Uid};

/// What is known, and the queue in which its changes wait.
pub(super) struct ObjectCache {
    state: Mutex<State>,
    pub(super) outbox: Outbox,
    /// Counts up when a pod came, changed or went.
    pods: watch::Sender<u64>,
    /// Counts up when an environment is wholly known.
    synced: watch::Sender<u64>,
    judge: Judge,
}

struct State {
    applied: Applied,
    owners: Owners,
    covers: Coverage,
}

impl Hears for ObjectCache {
    fn lost(&self, problem: &ApiProblem, is_news: bool, ever: bool) {
        self.change(|state, changes| {
            state.covers.unreachable(&problem.message, Instant::now(), ever.then(Timestamp::now));
            changes.push(ClusterChange::Cover);
            changes.extend(is_news.then(|| ClusterChange::Away { why: Failure::of(problem) }));
        });
    }

    fn found(&self) {
        self.change(|state, changes| {
            state.covers.reachable(Instant::now());
            changes.extend([ClusterChange::Cover, ClusterChange::Back]);
        });
    }
}

impl ObjectCache {
    pub(super) fn new(cluster: &str, judge: Judge) -> Self {
        let covers = Coverage::new(cluster, Instant::now());
        let state = State { applied: Applied::default(), owners: Owners::new(cluster), covers };
        Self {
            state: Mutex::new(state),
            outbox: Outbox::default(),
            pods: watch::Sender::new(0),
            synced: watch::Sender::new(0),
            judge,
        }
    }

    /// The storage classes that claims are judged by.
    pub(super) fn classes(&self) -> &Classes {
        &self.judge.classes
    }

    /// The digest of what is ours in the object, where a watch knows.
    pub(super) fn digest(&self, resource: &ResourceRef) -> Option<ContentDigest> {
        self.state().applied.present(resource).map(|present| present.digest)
    }

    /// The same, if the object is at this resource version and carries this environment's label.
    pub(super) fn at(&self, resource: &ResourceRef, version: &str, whose: &EnvironmentId) -> Option<ContentDigest> {
        let state = self.state();
        let present = state.applied.present(resource)?;
        (&*present.version == version && present.environment == *whose).then_some(present.digest)
    }

    /// What an environment has in the cluster, and how it was when it was last seen to be as its manifests. True where
    /// other watches are needed now.
    pub(super) fn track(&self, environment: &EnvironmentId, inventory: &Inventory, memory: &Memory) -> bool {
        self.change(|state, changes| {
            state.covers.begun(environment);
            changes.push(ClusterChange::Cover);
            state.applied.track(environment, inventory, memory, changes)
        })
    }

    /// It cannot be asked what the environment has here.
    pub(super) fn not_begun(&self, environment: &EnvironmentId, why: &str) {
        self.change(|state, changes| {
            state.covers.not_begun(environment, why, Instant::now());
            changes.push(ClusterChange::Cover);
        });
    }

    /// The environment is no concern any more.
    pub(super) fn forget(&self, environment: &EnvironmentId) {
        self.change(|state, changes| {
            state.applied.forget(environment, changes);
            state.owners.forget(environment, changes);
            state.covers.begun(environment);
        });
    }

    /// How objects should be, by what a plan or an apply found that began to look at `since`.
    pub(super) fn expect(
        &self,
        environment: &EnvironmentId,
        expected: impl IntoIterator<Item = (ResourceRef, Expect)>,
        since: Instant,
    ) {
        self.change(|state, changes| {
            for (resource, expect) in expected {
                state.applied.expect(environment, &resource, expect, since, changes);
            }
        });
    }

    /// When the next object is otherwise by time alone.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.state().applied.due()
    }

    /// Takes in that it is this late.
    pub(super) fn expire(&self, now: Timestamp) {
        self.change(|state, changes| state.applied.expire(now, changes));
    }

    /// The Jobs of an environment that ended, be they there or gone.
    pub(super) fn ended(&self, environment: &EnvironmentId) -> Vec<(ResourceRef, Ended)> {
        self.state().applied.ended(environment)
    }

    /// The places of all environments, from which the watches follow.
    pub(super) fn scopes(&self) -> Scopes {
        self.state().applied.scopes()
    }

    /// Takes in an object that we have just written, so that its echo on the watch is no news.
    pub(super) fn wrote(&self, object: &Value) {
        let seen = Seen::of(object, &self.judge);
        self.change(|state, changes| state.put_applied(seen, None, changes));
    }

    /// Takes in an object that a watch tells of; gives which it is.
    pub(super) fn put(&self, key: &WatchKey, object: &Value, told: ToldBy) -> Put {
        match key.what {
            What::Applied => {
                let seen = Seen::of(object, &self.judge);
                let (resource, uid) = (seen.resource.clone(), seen.uid);
                self.change(|state, changes| {
                    let set_back = state.applied.is_set_back(&seen, told);
                    state.put_applied(seen, Some(told), changes);
                    Put { resource, uid, set_back }
                })
            }
            // Definitions of kinds are no live objects of anybody: they are never handed in.
            What::Between | What::Pods | What::Kinds => {
                let dependent = owners::Dependent::of(object, &self.judge.rules);
                let (resource, uid) = (dependent.resource.clone(), dependent.uid);
                self.change(|state, changes| {
                    let set_back = state.owners.is_set_back(&dependent, told);
                    state.owners.put(dependent, told, changes);
                    Put { resource, uid, set_back }
                })
            }
        }
    }

    /// Takes in that an object is gone.
    pub(super) fn remove(&self, key: &WatchKey, object: &Value) {
        self.change(|state, changes| match key.what {
            What::Applied => {
                let Seen { resource, uid, api, .. } = Seen::of(object, &self.judge);
                if state.applied.remove(&resource, uid, &api, changes) {
                    state.owners.remove(&resource, uid, changes);
                }
            }
            What::Between | What::Pods | What::Kinds => {
                let owners::Dependent { resource, uid, .. } = owners::Dependent::of(object, &self.judge.rules);
                state.owners.remove(&resource, uid, changes);
            }
        });
    }

    /// A watch has told of all that is there, and nothing else is.
    pub(super) fn listed(&self, key: &WatchKey, seen: &HashMap<ResourceRef, Uid>) {
        self.change(|state, changes| match key.what {
            What::Applied => {
                for (resource, uid) in state.applied.retain(key, seen, changes) {
                    state.owners.remove(&resource, uid, changes);
                }
            }
            What::Between | What::Pods | What::Kinds => state.owners.retain(key, seen, changes),
        });
    }

    /// A watch is about to be connected.
    pub(super) fn begins(&self, key: &WatchKey) {
        self.change(|state, changes| {
            state.covers.begins(key, Instant::now());
            changes.push(ClusterChange::Cover);
        });
    }

    /// A watch is connected.
    pub(super) fn connected(&self, key: &WatchKey) {
        self.change(|state, changes| {
            changes.push(ClusterChange::Cover);
            state.covers.connected(key);
            if key.what == What::Applied {
                state.applied.cover(key, true, changes);
            }
        });
    }

    /// A watch is not connected any more, or still not, and why.
    pub(super) fn lost(&self, key: &WatchKey, why: &str) {
        self.change(|state, changes| {
            state.covers.lost(key, why, Instant::now(), Timestamp::now());
            state.uncover(key);
            changes.push(ClusterChange::Cover);
        });
    }

    /// Nobody wants the watch any more.
    pub(super) fn ends(&self, key: &WatchKey) {
        self.change(|state, changes| {
            state.covers.ends(key, Timestamp::now());
            state.uncover(key);
            changes.push(ClusterChange::Cover);
        });
    }

    /// What cannot be seen of an environment now, where this was told last.
    pub(super) fn unseen(&self, environment: &EnvironmentId, before: &[Unseen]) -> Vec<Unseen> {
        let state = self.state();
        state.covers.unseen(environment, state.applied.scopes_of(environment), before, Instant::now())
    }

    /// The watches that are not connected although the cluster answers.
    pub(super) fn unwatched(&self) -> Vec<Unseen> {
        self.state().covers.unwatched(Instant::now())
    }

    /// Whether a claim about the environment stands on one of these.
    pub(super) fn is_unwatched(&self, environment: &EnvironmentId) -> bool {
        let state = self.state();
        state.covers.is_unwatched(state.applied.scopes_of(environment), Instant::now())
    }

    /// When [`Self::unseen`] may be another without anything happening.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.state().covers.next(Instant::now())
    }

    /// The cluster is another or an older one: what was seen of it is not so. What environments want there stays.
    pub(super) fn replaced(&self, how: &str) {
        self.change(|state, changes| {
            changes.push(ClusterChange::Replaced { how: how.to_owned() });
            state.applied.replaced();
            state.owners.replaced(changes);
        });
    }

    /// Waits until every object of the environment is known.
    pub(super) async fn synced(&self, environment: &EnvironmentId) {
        let mut told = self.synced.subscribe();
        while !self.state().applied.is_synced(environment) && told.changed().await.is_ok() {}
    }

    /// The pods of an environment as they are now.
    pub(super) fn pods_of(&self, environment: &EnvironmentId) -> Vec<PodLogs> {
        self.state().owners.pods_of(environment)
    }

    /// Wakes whenever a pod came, changed or went.
    pub(super) fn pods(&self) -> watch::Receiver<u64> {
        self.pods.subscribe()
    }

    /// Whether the pod is known to be an environment's.
    pub(super) fn has_pod(&self, pod: &Value) -> bool {
        let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &pod["metadata"];
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        self.state().owners.has_pod(&namespace, &name, Uid::of(&text(&metadata["uid"])))
    }

    /// Changes what is known, and tells of it before anybody else changes it: of two that change the same object at the same
    /// time the later one is told last, and stays.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut Vec<ClusterChange>) -> T) -> T {
        let mut changes = Vec::new();
        let mut state = self.state();
        let result = change(&mut state, &mut changes);
        self.publish(changes);
        result
    }

    fn publish(&self, changes: Vec<ClusterChange>) {
        let is_pod = |change| matches!(change, &ClusterChange::PodChanged(_) | &ClusterChange::PodGone { .. });
        if changes.iter().any(is_pod) {
            self.pods.send_modify(|count| *count += 1);
        }
        if changes.iter().any(|change| matches!(change, ClusterChange::Synced { .. })) {
            self.synced.send_modify(|count| *count += 1);
        }
        self.outbox.push(changes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An object as a watch told of it, or as we have just written it.
    fn put_applied(&mut self, seen: Seen, told: Option<ToldBy>, changes: &mut Vec<ClusterChange>) {
        let uid = seen.uid;
        if let Some(environment) = &seen.environment {
            self.owners.root(uid, environment, &seen.resource, changes);
        }
        // One of the same name was deleted without a word, and what it owned goes after it.
        let before = match told {
            Some(told) => self.applied.put(seen, told, changes),
            None => self.applied.wrote(seen, changes),
        };
        if let Some((resource, before)) = before.filter(|(_, before)| *before != uid) {
            self.owners.remove(&resource, before, changes);
        }
    }

    fn uncover(&mut self, key: &WatchKey) {
        if key.what == What::Applied {
            self.applied.cover(key, false, &mut Vec::new());
        }
    }
}

#[cfg(test)]
mod tests;
