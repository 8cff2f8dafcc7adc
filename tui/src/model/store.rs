//! The agent's objects as the console keeps them: one slot each, found by key, by kind, by application and by environment.
//!
//! The indexes follow each change for the cost of that change, since a cluster with 10,000 pods changes all day. A slot's
//! number is a short name for "this object, as long as it lives"; what outlives an object (a selection) keeps its key.

mod members;
mod seen;

use std::collections::{BTreeMap, HashMap};

use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::snapshot::{
    AgentStatus, ApplicationSourceStatus, ApplicationStatus, ConnectionStatus, EnvironmentStatus, Key, Object,
    PodStatus, RepositoryStatus, ResourceStatus, RunId, RunStatus,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::members::Index;
use crate::model::subject::Subject;

/// The slot of an object.
pub type Slot = u32;

/// Every object, and the ways to find it.
#[derive(Debug, Default)]
pub struct Store {
    slots: Vec<Option<(Key, Object)>>,
    free: Vec<Slot>,
    by_key: HashMap<Key, Slot>,
    members: Index,
    agent: Option<Slot>,
    /// In the order of their keys, as these and connections are shown.
    repositories: Vec<Slot>,
    connections: Vec<Slot>,
    sources: Vec<Slot>,
}

impl Store {
    /// A fleet of these objects.
    pub fn load(objects: impl IntoIterator<Item = (Key, Object)>) -> Self {
        let mut fleet = Self::default();
        for (key, object) in objects {
            fleet.put(key, object);
        }
        fleet
    }

    /// Puts an object under its key, over what was there.
    pub fn put(&mut self, key: Key, object: Object) -> Slot {
        if let Some(&slot) = self.by_key.get(&key) {
            // An object under one key stays of one kind and one environment, but the wire could say otherwise.
            self.forget(slot);
            self.slots[slot as usize] = Some((key, object));
            self.index(slot);
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).expect("an agent has fewer than four billion objects")
        });
        self.by_key.insert(key.clone(), slot);
        self.slots[slot as usize] = Some((key, object));
        self.index(slot);
        slot
    }

    /// Takes an object away.
    pub fn del(&mut self, key: &Key) -> Option<Slot> {
        let slot = self.by_key.remove(key)?;
        self.forget(slot);
        self.slots[slot as usize] = None;
        self.free.push(slot);
        Some(slot)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The object in a slot.
    pub fn object(&self, slot: Slot) -> Option<&Object> {
        self.slots.get(slot as usize)?.as_ref().map(|(_, object)| object)
    }

    /// The key of a slot.
    pub fn key(&self, slot: Slot) -> Option<&Key> {
        self.slots.get(slot as usize)?.as_ref().map(|(key, _)| key)
    }

    /// The slot of a key.
    pub fn slot(&self, key: &Key) -> Option<Slot> {
        self.by_key.get(key).copied()
    }

    /// All slots that are in use.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, &Object)> {
        self.slots.iter().zip(0..).filter_map(|(entry, slot)| Some((slot, &entry.as_ref()?.1)))
    }

    /// All applications, by name.
    pub fn applications(&self) -> impl Iterator<Item = (Slot, &ApplicationStatus)> {
        self.members.all().filter_map(|(_, members)| {
            let slot = members.application?;
            Some((slot, self.application_in(slot)?))
        })
    }

    /// Where an application is.
    pub fn application_slot(&self, name: &ApplicationName) -> Option<Slot> {
        self.members.application(name)?.application
    }

    /// An application.
    pub fn application(&self, name: &ApplicationName) -> Option<&ApplicationStatus> {
        self.application_in(self.application_slot(name)?)
    }

    /// An environment.
    pub fn environment(&self, id: &EnvironmentId) -> Option<&EnvironmentStatus> {
        self.environment_in(self.members.environment(id)?.environment?)
    }

    /// The environments of an application, in the order of the configuration.
    pub fn environments<'a>(
        &'a self,
        application: &'a ApplicationStatus,
    ) -> impl Iterator<Item = (Slot, &'a EnvironmentStatus)> {
        let members = self.members.application(&application.name);
        application.environments.iter().filter_map(move |name| {
            let slot = members?.environments.get(name)?.environment?;
            Some((slot, self.environment_in(slot)?))
        })
    }

    /// What is meant by the name of an application: its environment, where it has but one.
    pub fn subject(&self, name: &ApplicationName) -> Subject {
        match self.application(name).map(|application| &*application.environments) {
            Some([one]) => Subject::Environment(EnvironmentId::new(name, one)),
            _ => Subject::Application(name.clone()),
        }
    }

    /// What an environment is called: by its application alone, where that has but one.
    pub fn label(&self, id: &EnvironmentId) -> String {
        match self.application(&id.application).map(|application| application.environments.len()) {
            Some(1) => id.application.to_string(),
            _ => id.to_string(),
        }
    }

    /// What an application or an environment is called on screen.
    pub fn called(&self, of: &Subject) -> String {
        match of {
            Subject::Application(name) => name.to_string(),
            Subject::Environment(id) => self.label(id),
        }
    }

    /// Whether it is one environment, or an application that has not several.
    pub fn is_one(&self, of: &Subject) -> bool {
        match of {
            Subject::Application(name) => self.application(name).is_none_or(|one| one.environments.len() < 2),
            Subject::Environment(_) => true,
        }
    }

    /// The objects in the cluster of an environment, pods excepted.
    pub fn resources(&self, id: &EnvironmentId) -> impl Iterator<Item = (Slot, &ResourceStatus)> {
        let deployed = self.members.environment(id);
        deployed.into_iter().flat_map(|deployed| &deployed.resources).filter_map(|slot| match self.object(*slot)? {
            Object::Resource(resource) => Some((*slot, &**resource)),
            _ => None,
        })
    }

    /// The pods of an environment.
    pub fn pods(&self, id: &EnvironmentId) -> impl Iterator<Item = (Slot, &PodStatus)> {
        let deployed = self.members.environment(id);
        deployed.into_iter().flat_map(|deployed| &deployed.pods).filter_map(|slot| match self.object(*slot)? {
            Object::Pod(pod) => Some((*slot, &**pod)),
            _ => None,
        })
    }

    /// The newest run of an application.
    pub fn newest_run(&self, name: &ApplicationName) -> Option<&RunStatus> {
        let runs = &self.members.application(name)?.runs;
        runs.iter().filter_map(|slot| self.run_in(*slot)).max_by_key(|run| run.id)
    }

    /// A run by its number.
    pub fn run(&self, id: RunId) -> Option<&RunStatus> {
        self.run_in(self.slot(&Key::run(id))?)
    }

    fn application_in(&self, slot: Slot) -> Option<&ApplicationStatus> {
        match self.object(slot)? {
            Object::Application(application) => Some(application),
            _ => None,
        }
    }

    fn environment_in(&self, slot: Slot) -> Option<&EnvironmentStatus> {
        match self.object(slot)? {
            Object::Environment(environment) => Some(environment),
            _ => None,
        }
    }

    fn run_in(&self, slot: Slot) -> Option<&RunStatus> {
        match self.object(slot)? {
            Object::Run(run) => Some(run),
            _ => None,
        }
    }

    /// The agent itself.
    pub fn agent(&self) -> Option<&AgentStatus> {
        match self.object(self.agent?)? {
            Object::Agent(agent) => Some(agent),
            _ => None,
        }
    }

    /// Every repository that is polled, in the order of their addresses.
    pub fn repositories(&self) -> impl Iterator<Item = &RepositoryStatus> {
        self.repositories.iter().filter_map(|slot| match self.object(*slot)? {
            Object::Repository(repository) => Some(repository),
            _ => None,
        })
    }

    /// Every cluster, engine and registry, by kind and name.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionStatus> {
        self.connections.iter().filter_map(|slot| match self.object(*slot)? {
            Object::Connection(connection) => Some(connection),
            _ => None,
        })
    }

    /// Every source of applications, by name.
    pub fn sources(&self) -> impl Iterator<Item = &ApplicationSourceStatus> {
        self.sources.iter().filter_map(|slot| match self.object(*slot)? {
            Object::ApplicationSource(source) => Some(source),
            _ => None,
        })
    }

    fn index(&mut self, slot: Slot) {
        let Some((key, object)) = self.slots[slot as usize].as_ref() else { return };
        let place = |slots: &[Slot]| slots.partition_point(|other| self.key(*other) < Some(key));
        match object {
            Object::Agent(_) => self.agent = Some(slot),
            Object::Repository(_) => {
                let place = place(&self.repositories);
                self.repositories.insert(place, slot);
            }
            Object::Connection(_) => {
                let place = place(&self.connections);
                self.connections.insert(place, slot);
            }
            Object::ApplicationSource(_) => {
                let place = place(&self.sources);
                self.sources.insert(place, slot);
            }
            object => self.members.add(object, slot),
        }
    }

    fn forget(&mut self, slot: Slot) {
        let Some((_, object)) = self.slots[slot as usize].as_ref() else { return };
        match object {
            Object::Agent(_) => self.agent = None,
            Object::Repository(_) => self.repositories.retain(|other| *other != slot),
            Object::Connection(_) => self.connections.retain(|other| *other != slot),
            Object::ApplicationSource(_) => self.sources.retain(|other| *other != slot),
            object => self.members.remove(object, slot),
        }
    }
}

/// As the wire writes it: each object under its key.
impl Serialize for Store {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, object) in self.slots.iter().flatten() {
            map.serialize_entry(key, object)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Store {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::load(BTreeMap::<Key, Object>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::snapshot::ConnectionKind;

    use super::*;

    /// The header names them one after the other, and must not shuffle them when one comes or goes.
    #[test]
    fn connections_keep_their_order_whatever_comes_and_goes() {
        let connection = |name: &str| {
            let (reachable, since) = (false, jiff::Timestamp::UNIX_EPOCH);
            let (name, version) = (name.to_owned(), String::new());
            Object::Connection(ConnectionStatus {
                to: ConnectionKind::Cluster,
                name,
                reachable,
                version,
                error: None,
                hint: String::new(),
                since,
            })
        };
        let mut fleet = Store::load(["c", "a", "d", "b"].map(|name| (connection(name).key(), connection(name))));
        fleet.del(&connection("a").key());
        fleet.put(connection("c").key(), connection("c"));
        let names: Vec<_> = fleet.connections().map(|connection| connection.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
    }
}
