//! The snapshot as others read it: every object under its key, and which key changed when.
//!
//! Readers hold the lock for a copy of pointers and no logic. A watcher keeps one number: what changed since is read
//! from the ring of changes, each key once, so that a slow console costs nothing and misses nothing.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::protocol::WATCH_CHANGES_KEPT;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, Key, Object, RunId, RunStatus, Unseen};
use tokio::sync::watch;

/// The snapshot, shared. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    inner: Arc<RwLock<Inner>>,
    revision: watch::Sender<u64>,
    epoch: Arc<str>,
}

#[derive(Debug, Default)]
struct Inner {
    revision: u64,
    objects: BTreeMap<Key, Arc<Object>>,
    /// The runs among the objects, by application: each delivery asks for its own at every pass.
    runs: BTreeMap<ApplicationName, BTreeMap<RunId, Arc<Object>>>,
    changes: VecDeque<(u64, Key)>,
}

/// What changed after a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// The state's revision now.
    pub revision: u64,
    /// Each key that changed, once, with what lies under it now.
    pub keys: Vec<(Key, Option<Arc<Object>>)>,
}

/// The revision is older than the changes that are kept: list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld;

impl Snapshots {
    /// An empty snapshot of a new life of the agent.
    pub fn new(epoch: String) -> Self {
        Self { inner: Arc::default(), revision: watch::Sender::new(0), epoch: epoch.into() }
    }

    /// Names this life of the agent.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Wakes whenever the revision grows.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// All of it.
    pub fn all(&self) -> (u64, Vec<(Key, Arc<Object>)>) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        (inner.revision, inner.objects.iter().map(|(key, object)| (key.clone(), object.clone())).collect())
    }

    /// What changed after `since`.
    pub fn since(&self, since: u64) -> Result<Changes, TooOld> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let kept_from = inner.changes.front().map_or(inner.revision, |(revision, _)| revision - 1);
        if since < kept_from || since > inner.revision {
            return Err(TooOld);
        }
        let mut seen = HashSet::new();
        let newest_first = inner.changes.iter().rev().take_while(|(revision, _)| *revision > since);
        let mut keys: Vec<_> = newest_first
            .filter(|(_, key)| seen.insert(key))
            .map(|(_, key)| (key.clone(), inner.objects.get(key).cloned()))
            .collect();
        keys.reverse();
        Ok(Changes { revision: inner.revision, keys })
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).objects.get(key).cloned()
    }

    /// An application as it is now.
    pub fn application(&self, name: &ApplicationName) -> Option<ApplicationStatus> {
        match &*self.get(&Key::application(name))? {
            Object::Application(status) => Some((**status).clone()),
            _ => None,
        }
    }

    /// An environment as it is now.
    pub fn environment(&self, id: &EnvironmentId) -> Option<EnvironmentStatus> {
        match &*self.get(&Key::environment(id))? {
            Object::Environment(status) => Some((**status).clone()),
            _ => None,
        }
    }

    /// What consoles are shown that cannot be seen of an environment.
    pub fn unseen(&self, id: &EnvironmentId) -> Option<Vec<Unseen>> {
        match &*self.get(&Key::environment(id))? {
            Object::Environment(status) => Some(status.unseen.clone()),
            _ => None,
        }
    }

    /// The runs of an application that are open or among its newest, oldest first.
    pub fn runs(&self, name: &ApplicationName) -> Vec<RunStatus> {
        self.with_runs(name, |runs| runs.iter().map(|run| (*run).clone()).collect())
    }

    /// The same, only looked at: of a queue with a thousand runs a decision copies none. The lock is not held meanwhile.
    pub fn with_runs<T>(&self, name: &ApplicationName, look: impl FnOnce(&[&RunStatus]) -> T) -> T {
        let objects: Vec<Arc<Object>> = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.runs.get(name).into_iter().flatten().map(|(_, run)| run.clone()).collect()
        };
        let runs: Vec<&RunStatus> = objects
            .iter()
            .filter_map(|object| match &**object {
                Object::Run(run) => Some(&**run),
                _ => None,
            })
            .collect();
        look(&runs)
    }

    /// Every environment as it is now.
    pub fn environments(&self) -> Vec<EnvironmentStatus> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let environments = inner.objects.values().filter_map(|object| match &**object {
            Object::Environment(status) => Some((**status).clone()),
            _ => None,
        });
        environments.collect()
    }

    /// Puts and removes. Only the journal calls it; what is already so makes no change.
    pub(super) fn publish(&self, changes: Vec<(Key, Option<Object>)>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let before = inner.revision;
        for (key, object) in changes {
            let changed = match object {
                Some(object) if inner.objects.get(&key).is_some_and(|old| **old == object) => false,
                Some(object) => {
                    inner.put(key.clone(), object);
                    true
                }
                None => inner.remove(&key),
            };
            if changed {
                inner.revision += 1;
                let revision = inner.revision;
                inner.changes.push_back((revision, key));
                if inner.changes.len() > WATCH_CHANGES_KEPT {
                    inner.changes.pop_front();
                }
            }
        }
        let now = inner.revision;
        drop(inner);
        if now != before {
            self.revision.send_replace(now);
        }
    }
}

impl Inner {
    fn put(&mut self, key: Key, object: Object) {
        let object = Arc::new(object);
        if let Object::Run(run) = &*object {
            self.runs.entry(run.application.clone()).or_default().insert(run.id, object.clone());
        }
        self.objects.insert(key, object);
    }

    fn remove(&mut self, key: &Key) -> bool {
        let removed = self.objects.remove(key);
        if let Some(Object::Run(run)) = removed.as_deref()
            && let Some(runs) = self.runs.get_mut(&run.application)
        {
            runs.remove(&run.id);
            if runs.is_empty() {
                self.runs.remove(&run.application);
            }
        }
        removed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus};

    use super::*;

    fn engine(name: &str, version: &str) -> (Key, Option<Object>) {
        let object = Object::Connection(ConnectionStatus {
            to: ConnectionKind::Engine,
            name: name.to_owned(),
            reachable: true,
            version: version.to_owned(),
            error: None,
            hint: String::new(),
            since: Timestamp::UNIX_EPOCH,
        });
        (object.key(), Some(object))
    }

    #[test]
    fn a_watcher_gets_the_latest_value_of_each_key_once() {
        let published = Snapshots::new("a".to_owned());
        published.publish(vec![engine("one", "1"), engine("two", "1")]);
        let (revision, all) = published.all();
        assert_eq!((revision, all.len()), (2, 2));
        published.publish(vec![engine("one", "2")]);
        published.publish(vec![engine("one", "3"), engine("two", "1")]);
        published.publish(vec![(engine("two", "").0, None)]);
        let changes = published.since(revision).unwrap();
        let keys: Vec<_> = changes.keys.iter().map(|(key, object)| (key.to_string(), object.is_some())).collect();
        assert_eq!(keys, [("connection/engine/one".to_owned(), true), ("connection/engine/two".to_owned(), false)]);
        assert_eq!(changes.revision, 5, "what is already so is no change");
    }

    #[test]
    fn a_revision_that_is_too_old_or_from_another_life_is_told() {
        let published = Snapshots::new("a".to_owned());
        for number in 0..WATCH_CHANGES_KEPT + 10 {
            published.publish(vec![engine("one", &number.to_string())]);
        }
        assert_eq!(published.since(3), Err(TooOld));
        assert_eq!(published.since(u64::MAX), Err(TooOld));
        assert!(published.since(20).is_ok());
    }
}
