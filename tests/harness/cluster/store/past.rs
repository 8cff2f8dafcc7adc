//! Set back, and made anew: what a restored backup of etcd and a re-created cluster do to whoever watches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Key, State, Table};
use crate::cluster::kinds::Kind;

/// What was so at one moment, as a backup of etcd holds it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    kinds: Vec<Arc<Kind>>,
    /// By resource, with those that hold nothing.
    objects: BTreeMap<String, Vec<Arc<Value>>>,
    revision: u64,
}

impl State {
    /// Keeps what is so now.
    pub fn snapshot(&self) -> Snapshot {
        let objects = |table: &Table| table.objects.values().cloned().collect();
        Snapshot {
            kinds: self.kinds.clone(),
            objects: self.tables.iter().map(|(resource, table)| (resource.clone(), objects(table))).collect(),
            revision: self.revision,
        }
    }

    /// Makes it so again: the objects and the revision are those of then, and the revision counts on from there. The past is
    /// not remembered, as by an API server that was started anew. What is handed out once (uids, names, addresses) is never
    /// handed out again, for a real server draws it by lot.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let mut set_back = State {
            revision: snapshot.revision,
            kinds: snapshot.kinds.clone(),
            serial: self.serial,
            ..State::new(self.identity)
        };
        set_back.changed = self.changed.clone();
        set_back.tables = snapshot.objects.keys().map(|name| (name.clone(), Table::new(snapshot.revision))).collect();
        for (resource, objects) in &snapshot.objects {
            for object in objects {
                set_back.place(&Key::of(resource, object), object);
            }
        }
        *self = set_back;
        self.changed.send_replace(self.revision);
    }

    /// Puts an object where it is, as it is: no revision is made and nobody is told but the controllers.
    fn place(&mut self, key: &Key, object: &Arc<Value>) {
        if let Some(table) = self.tables.get_mut(&key.resource) {
            table.objects.insert((key.namespace.clone(), key.name.clone()), object.clone());
        }
        self.index(key, None, Some(object));
    }
}
