//! What the cluster holds: objects, one revision for all of them, and a bounded past for watches.
//!
//! One lock around all of it, held for as long as one request decides and writes; nothing waits while holding it.
//! The past is kept per resource, so that restless pods do not push the past of quiet ConfigMaps out.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::ids;
use super::kinds::{self, Kind};

mod past;

pub use past::Snapshot;

/// Changes remembered per resource. A watcher that reads at all is far less than this behind; one that is not gets
/// 410 and lists again, as it would after a compaction of etcd.
const HISTORY_MAX: usize = 1_024;

/// Where an object is: its resource (`deployments.apps`), namespace (empty for the cluster's own), and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `deployments.apps`
    pub resource: String,
    /// Empty where the kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A key from its parts.
    pub fn new(resource: &str, namespace: &str, name: &str) -> Key {
        Key { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object of this resource.
    pub fn of(resource: &str, object: &Value) -> Key {
        Key::new(resource, text(object, "/metadata/namespace"), text(object, "/metadata/name"))
    }
}

/// The text at a JSON pointer, or nothing.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(|value| value.as_i64().or_else(|| value.as_f64().map(|float| float as i64)))
}

/// The items at a JSON pointer.
pub fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision that it made.
    pub revision: u64,
    /// What was there before.
    pub old: Option<Arc<Value>>,
    /// What is there now; for a deletion what was there last, with the revision of the deletion.
    pub new: Arc<Value>,
    /// Whether it is gone.
    pub deleted: bool,
}

/// The objects of one resource and their recent past.
#[derive(Debug)]
pub struct Table {
    /// By namespace, then name: the order of a list.
    pub objects: BTreeMap<(String, String), Arc<Value>>,
    history: VecDeque<Change>,
    /// The last revision that is no longer in `history`.
    forgotten: u64,
    changed: watch::Sender<u64>,
}

impl Table {
    fn new(revision: u64) -> Table {
        Table {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            forgotten: revision,
            changed: watch::Sender::new(revision),
        }
    }

    /// The changes after `revision`, at most `limit` of them; `None` when some of them are forgotten.
    pub fn since(&self, revision: u64, limit: usize) -> Option<Vec<Change>> {
        if revision < self.forgotten {
            return None;
        }
        let from = self.history.partition_point(|change| change.revision <= revision);
        Some(self.history.iter().skip(from).take(limit).cloned().collect())
    }

    /// Wakes when something changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The objects of a namespace, or all when it is empty.
    pub fn within<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        let from = (namespace.to_owned(), String::new());
        let all = namespace.is_empty();
        self.objects.range(from..).take_while(move |((at, _), _)| all || at == namespace).map(|(_, object)| object)
    }

    fn remember(&mut self, change: Change) {
        let revision = change.revision;
        self.history.push_back(change);
        while self.history.len() > HISTORY_MAX {
            if let Some(oldest) = self.history.pop_front() {
                self.forgotten = oldest.revision;
            }
        }
        self.changed.send_replace(revision);
    }

    fn forget_all(&mut self, revision: u64) {
        self.history.clear();
        self.forgotten = revision;
    }
}

/// Everything.
#[derive(Debug)]
pub struct State {
    kinds: Vec<Arc<Kind>>,
    tables: HashMap<String, Table>,
    revision: u64,
    /// Who is owned by the object with this uid.
    owned: HashMap<String, BTreeSet<Key>>,
    /// What changed since the controllers last looked.
    dirty: BTreeSet<Key>,
    serial: u64,
    /// Which cluster this is among those of this process: it is in every uid.
    identity: u64,
    changed: watch::Sender<u64>,
    /// The events that the cluster recorded, oldest first.
    pub recorded: VecDeque<Key>,
}

impl State {
    /// An empty cluster. No two of one identity should live, for they would hand out the same uids.
    pub fn new(identity: u64) -> State {
        let kinds: Vec<Arc<Kind>> = kinds::builtin().into_iter().map(Arc::new).collect();
        let tables = kinds.iter().map(|kind| (kind.qualified(), Table::new(0))).collect();
        let changed = watch::Sender::new(0);
        State {
            kinds,
            tables,
            revision: 0,
            owned: HashMap::new(),
            dirty: BTreeSet::new(),
            serial: 0,
            identity,
            changed,
            recorded: VecDeque::new(),
        }
    }

    /// All served kinds.
    pub fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    /// The kind served at a group, version and plural.
    pub fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let wanted = |kind: &&Arc<Kind>| kind.group == group && kind.version == version && kind.plural == plural;
        self.kinds.iter().find(wanted).cloned()
    }

    /// The kind of a resource: `deployments.apps`.
    pub fn kind_of(&self, resource: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|kind| kind.qualified() == resource).cloned()
    }

    /// The kind with an apiVersion and kind, as a manifest names it.
    pub fn kind_named(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|known| known.kind == kind && known.api_version() == api_version).cloned()
    }

    /// Serves a resource in the versions of its definition, in place of those it was served in before; in none, where the
    /// definition serves none: its objects are there all the same. Watches of it end.
    pub fn serve(&mut self, resource: &str, kinds: Vec<Kind>) {
        self.kinds.retain(|kind| kind.qualified() != resource);
        self.kinds.extend(kinds.into_iter().map(Arc::new));
        let revision = self.revision;
        let table = self.tables.entry(resource.to_owned()).or_insert_with(|| Table::new(revision));
        table.changed.send_modify(|_| {});
    }

    /// No longer serves a resource; its objects go without a word, as their definition did.
    pub fn withdraw(&mut self, resource: &str) {
        self.kinds.retain(|kind| kind.qualified() != resource);
        self.tables.remove(resource);
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Wakes when anything changed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The table of a resource.
    pub fn table(&self, resource: &str) -> Option<&Table> {
        self.tables.get(resource)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.tables.get(&key.resource)?.objects.get(&(key.namespace.clone(), key.name.clone()))
    }

    /// The objects that name `uid` as an owner.
    pub fn owned_by(&self, uid: &str) -> Vec<Key> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The objects of one resource that name `uid` as an owner.
    pub fn owned_objects(&self, uid: &str, resource: &str) -> Vec<Arc<Value>> {
        let keys = self.owned.get(uid).into_iter().flatten().filter(|key| key.resource == resource);
        keys.filter_map(|key| self.get(key).cloned()).collect()
    }

    /// Writes an object as the next revision, and returns it as written.
    pub fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        let revision = self.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let object = Arc::new(object);
        let Some(table) = self.tables.get_mut(&key.resource) else { return object };
        let old = table.objects.insert((key.namespace.clone(), key.name.clone()), object.clone());
        table.remember(Change { revision, old: old.clone(), new: object.clone(), deleted: false });
        self.index(key, old.as_deref(), Some(&object));
        object
    }

    /// Removes an object as the next revision, and returns what was there.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let table = self.tables.get_mut(&key.resource)?;
        let old = table.objects.remove(&(key.namespace.clone(), key.name.clone()))?;
        self.revision += 1;
        let revision = self.revision;
        let mut last = (*old).clone();
        last["metadata"]["resourceVersion"] = json!(revision.to_string());
        let new = Arc::new(last);
        table.remember(Change { revision, old: Some(old.clone()), new: new.clone(), deleted: true });
        self.index(key, Some(&old), None);
        let uid = text(&old, "/metadata/uid");
        self.dirty.extend(self.owned.get(uid).into_iter().flatten().cloned());
        Some(new)
    }

    fn index(&mut self, key: &Key, old: Option<&Value>, new: Option<&Value>) {
        let owners = |object: Option<&Value>| -> BTreeSet<String> {
            let references = object.into_iter().flat_map(|object| items(object, "/metadata/ownerReferences"));
            references.map(|reference| text(reference, "/uid").to_owned()).collect()
        };
        let (before, after) = (owners(old), owners(new));
        self.changed.send_replace(self.revision);
        for uid in before.difference(&after) {
            if let Some(keys) = self.owned.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.owned.remove(uid);
                }
            }
        }
        for uid in after.difference(&before) {
            self.owned.entry(uid.clone()).or_default().insert(key.clone());
        }
        for reference in new.or(old).into_iter().flat_map(|object| items(object, "/metadata/ownerReferences")) {
            if let Some(owner) = self.owner(key, reference) {
                self.dirty.insert(owner);
            }
        }
        self.dirty.insert(key.clone());
    }

    /// Where the owner that `reference` names would be.
    pub fn owner(&self, owned: &Key, reference: &Value) -> Option<Key> {
        let kind = self.kind_named(text(reference, "/apiVersion"), text(reference, "/kind"))?;
        let namespace = if kind.namespaced { owned.namespace.as_str() } else { "" };
        Some(Key::new(&kind.qualified(), namespace, text(reference, "/name")))
    }

    /// Has the controllers look at this again.
    pub fn touch(&mut self, key: Key) {
        self.dirty.insert(key);
    }

    /// What the controllers have to look at.
    pub fn take_dirty(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.dirty)
    }

    /// Whether the controllers have something to look at.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Forgets the past, as a compaction does: who watches from before it gets 410.
    pub fn compact(&mut self) {
        let revision = self.revision;
        self.tables.values_mut().for_each(|table| table.forget_all(revision));
    }

    /// A number that was not given before, for names, addresses and uids.
    pub fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A uid that no object of any cluster had before.
    pub fn uid(&mut self) -> String {
        ids::uid(self.identity, self.serial())
    }
}
