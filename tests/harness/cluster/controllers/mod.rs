//! What makes things happen by themselves: small controllers, one step at a time, driven by what changed.
//!
//! The store notes every object that changed and the owners of it; `Manager::turn` takes these keys, and those whose
//! time has come, and has each looked at by the controller of its kind. A controller compares what is asked with what
//! is so, writes the difference through the same code as a client's request, and says when it wants to look again.
//! There is no queue to lose anything from: a key is looked at because it is dirty, not because of what happened.

mod deployment;

mod rollout;

mod replicas;

mod stateful;

mod daemon;

mod job;

mod services;

mod garbage;

mod cluster;

mod pods;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Pace;
use super::clock::Clock;
use super::kubelet::Kubelet;
use super::store::{Key, State};

/// The name under which controllers write.
pub const MANAGER: &str = "kube-controller-manager";

/// All controllers and the node.
#[derive(Debug, Default)]
pub struct Manager {
    /// The one node.
    pub kubelet: Kubelet,
    agenda: BTreeSet<(Instant, Key)>,
    due: BTreeMap<Key, Instant>,
}

/// Keys looked at in one turn, so that the lock is free in between.
const TURN_MAX: usize = 200;

impl Manager {
    /// Looks at what changed and at what is due. Returns when to come again: at once while something is left to do,
    /// at that time, or when something changes.
    pub fn turn(&mut self, state: &mut State, clock: &Clock, pace: &Pace) -> Next {
        let mut keys = state.take_dirty();
        while let Some((_, key)) = self.agenda.first().filter(|(at, _)| *at <= clock.instant).cloned() {
            self.forget(&key);
            keys.insert(key);
        }
        let mut keys = keys.into_iter();
        for key in keys.by_ref().take(TURN_MAX) {
            let again = self.reconcile(state, &key, clock, pace);
            self.plan(key, again);
        }
        keys.for_each(|key| state.touch(key));
        match (state.is_dirty(), self.agenda.first()) {
            (true, _) => Next::Now,
            (false, Some((at, _))) => Next::At(*at),
            (false, None) => Next::Change,
        }
    }

    fn plan(&mut self, key: Key, at: Option<Instant>) {
        self.forget(&key);
        if let Some(at) = at {
            self.agenda.insert((at, key.clone()));
            self.due.insert(key, at);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(at) = self.due.remove(key) {
            self.agenda.remove(&(at, key.clone()));
        }
    }

    fn reconcile(&mut self, state: &mut State, key: &Key, clock: &Clock, pace: &Pace) -> Option<Instant> {
        garbage::reconcile(state, key, clock);
        if state.get(key).is_none() {
            garbage::gone(state, key);
        }
        match key.resource.as_str() {
            "pods" => {
                services::pod_changed(state, key);
                self.kubelet.reconcile(state, key, clock, pace)
            }
            "deployments.apps" => deployment::reconcile(state, key, clock),
            "replicasets.apps" => replicas::reconcile(state, key, clock),
            "statefulsets.apps" => stateful::reconcile(state, key, clock),
            "daemonsets.apps" => daemon::reconcile(state, key, clock),
            "jobs.batch" => job::reconcile(state, key, clock),
            "services" => services::reconcile(state, key, clock),
            _ => cluster::reconcile(state, key, clock),
        }
    }
}

/// When the controllers want to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// At this time, or when something changes.
    At(Instant),
    /// When something changes.
    Change,
}
