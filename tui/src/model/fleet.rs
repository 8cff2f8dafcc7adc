//! The agent's objects as the console keeps them: one slot each, found by key, by kind and by application.
//!
//! The indexes follow each change for the cost of that change, since a cluster with 10,000 pods changes all day. A slot's
//! number is a short name for "this object, as long as it lives"; what outlives an object (a selection) keeps its key.

use std::collections::{BTreeMap, HashMap};

use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use quarterdeck_shared::snapshot::{
    AgentStatus, ApplicationStatus, ConnectionKind, ConnectionStatus, Cover, EnvironmentStatus, Key, Object, PodStatus,
    RepositoryStatus, ResourceStatus, RunId, RunStatus, Unseen,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::unseen;

/// The slot of an object.
pub type Slot = u32;

/// Every object, and the ways to find it.
#[derive(Debug, Default)]
pub struct Fleet {
    slots: Vec<Option<(Key, Object)>>,
    free: Vec<Slot>,
    by_key: HashMap<Key, Slot>,
    members: BTreeMap<EnvironmentId, Members>,
    applications: BTreeMap<ApplicationName, Delivery>,
    agent: Option<Slot>,
    /// In the order of their keys, as these and connections are shown.
    repositories: Vec<Slot>,
    connections: Vec<Slot>,
}

/// What belongs to one environment. The order is of no meaning.
#[derive(Debug, Default)]
struct Members {
    environment: Option<Slot>,
    resources: Vec<Slot>,
    pods: Vec<Slot>,
}

impl Members {
    fn is_empty(&self) -> bool {
        self.environment.is_none() && self.resources.is_empty() && self.pods.is_empty()
    }
}

/// An application, and its runs in an order of no meaning.
#[derive(Debug, Default)]
struct Delivery {
    application: Option<Slot>,
    runs: Vec<Slot>,
}

impl Delivery {
    fn is_empty(&self) -> bool {
        self.application.is_none() && self.runs.is_empty()
    }
}

impl Fleet {
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
            // An object under one key stays of one kind and one application, but the wire could say otherwise.
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

    /// All environments, in order.
    pub fn ids(&self) -> impl Iterator<Item = &EnvironmentId> {
        self.members.iter().filter(|(_, members)| members.environment.is_some()).map(|(id, _)| id)
    }

    /// An environment.
    pub fn environment(&self, id: &EnvironmentId) -> Option<&EnvironmentStatus> {
        match self.object(self.members.get(id)?.environment?)? {
            Object::Environment(environment) => Some(environment),
            _ => None,
        }
    }

    /// An application.
    pub fn application(&self, name: &ApplicationName) -> Option<&ApplicationStatus> {
        match self.object(self.applications.get(name)?.application?)? {
            Object::Application(application) => Some(application),
            _ => None,
        }
    }

    /// The environments of an application, in the order of the configuration.
    pub fn environments(&self, name: &ApplicationName) -> impl Iterator<Item = &EnvironmentStatus> {
        let application = self.application(name).into_iter();
        application.flat_map(ApplicationStatus::ids).filter_map(|id| self.environment(&id))
    }

    /// The environments that are known of an application, by name, whether it is known itself or not.
    pub fn known(&self, name: &ApplicationName) -> impl Iterator<Item = &EnvironmentStatus> {
        let first = "0".parse().expect("the first name that there can be");
        let from = EnvironmentId { application: name.clone(), environment: first };
        let name = name.clone();
        let own = self.members.range(from..).take_while(move |(id, _)| id.application == name);
        own.filter_map(|(id, _)| self.environment(id))
    }

    /// What an environment is called: by its application alone where that has no other.
    pub fn called(&self, id: &EnvironmentId) -> String {
        let is_only = self.application(&id.application).is_none_or(|application| application.environments.len() < 2);
        if is_only { id.application.to_string() } else { id.to_string() }
    }

    /// The environment that an address means; else why none or no single one is meant.
    pub fn meant(&self, of: &Address) -> Result<EnvironmentId, String> {
        if let Some(id) = of.id() {
            return Ok(id);
        }
        let name = &of.application;
        let ids: Vec<EnvironmentId> = self.application(name).into_iter().flat_map(ApplicationStatus::ids).collect();
        match ids.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(format!("{name} runs nowhere: it has no environment")),
            several => {
                let all = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(format!("{name} has {} environments: select one of {all}", several.len()))
            }
        }
    }

    /// The objects in the cluster of an environment, pods excepted.
    pub fn resources(&self, name: &EnvironmentId) -> impl Iterator<Item = (Slot, &ResourceStatus)> {
        self.members.get(name).into_iter().flat_map(|members| &members.resources).filter_map(|slot| {
            match self.object(*slot)? {
                Object::Resource(resource) => Some((*slot, &**resource)),
                _ => None,
            }
        })
    }

    /// The pods of an environment.
    pub fn pods(&self, name: &EnvironmentId) -> impl Iterator<Item = (Slot, &PodStatus)> {
        self.members.get(name).into_iter().flat_map(|members| &members.pods).filter_map(|slot| {
            match self.object(*slot)? {
                Object::Pod(pod) => Some((*slot, &**pod)),
                _ => None,
            }
        })
    }

    /// The newest run of an application.
    pub fn newest_run(&self, name: &ApplicationName) -> Option<&RunStatus> {
        let runs = &self.applications.get(name)?.runs;
        runs.iter().filter_map(|slot| self.run_in(*slot)).max_by_key(|run| run.id)
    }

    /// A run by its number.
    pub fn run(&self, id: RunId) -> Option<&RunStatus> {
        self.run_in(self.slot(&Key::run(id))?)
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

    /// Whether what is told of this cluster is what was so before it went away.
    pub fn is_away(&self, cluster: &str) -> bool {
        self.connections().any(|one| !one.reachable && one.to == ConnectionKind::Cluster && one.name == cluster)
    }

    /// The watches that are missing to any environment.
    pub fn unwatched(&self) -> impl Iterator<Item = &Unseen> {
        let environments = self.members.values().filter_map(|members| self.object(members.environment?));
        let unseen = environments.flat_map(|object| match object {
            Object::Environment(environment) => &*environment.unseen,
            _ => &[],
        });
        unseen.filter(|unseen| unseen.of == Cover::Watch)
    }

    /// Whether what is told of an object is what was so when it was last seen: its cluster is away, or nothing watches its
    /// kind. One rule for all that is dimmed.
    pub fn is_old(&self, object: &Object) -> bool {
        match object {
            Object::Environment(a) => {
                self.lost_cluster(a).is_some() || a.unseen.iter().any(|unseen| unseen.of == Cover::Cluster)
            }
            Object::Pod(p) => {
                let environment = self.environment(&p.environment);
                self.is_away(&p.cluster) || environment.is_some_and(|a| unseen::over_pod(a, p).is_some())
            }
            Object::Resource(r) => self
                .environment(&r.environment)
                .is_some_and(|a| self.lost_cluster(a).is_some() || unseen::over_resource(a, &r.resource).is_some()),
            Object::Agent(_)
            | Object::Application(_)
            | Object::Repository(_)
            | Object::Connection(_)
            | Object::Run(_) => false,
        }
    }

    /// The cluster of an environment, where it is away.
    pub fn lost_cluster<'a>(&self, environment: &'a EnvironmentStatus) -> Option<&'a str> {
        Some(&*environment.spec.cluster).filter(|cluster| self.is_away(cluster))
    }

    fn index(&mut self, slot: Slot) {
        let Some((_, object)) = self.slots[slot as usize].as_ref() else { return };
        match object {
            Object::Agent(_) => self.agent = Some(slot),
            Object::Repository(_) => {
                let place = self.repositories.partition_point(|other| self.key(*other) < self.key(slot));
                self.repositories.insert(place, slot);
            }
            Object::Connection(_) => {
                let place = self.connections.partition_point(|other| self.key(*other) < self.key(slot));
                self.connections.insert(place, slot);
            }
            Object::Application(a) => self.applications.entry(a.name.clone()).or_default().application = Some(slot),
            Object::Run(r) => self.applications.entry(r.application.clone()).or_default().runs.push(slot),
            Object::Environment(e) => {
                self.members.entry(e.environment.clone()).or_default().environment = Some(slot);
            }
            Object::Resource(r) => self.members.entry(r.environment.clone()).or_default().resources.push(slot),
            Object::Pod(p) => self.members.entry(p.environment.clone()).or_default().pods.push(slot),
        }
    }

    fn forget_delivery(&mut self, name: &ApplicationName, forget: impl FnOnce(&mut Delivery)) {
        let Some(delivery) = self.applications.get_mut(name) else { return };
        forget(delivery);
        if delivery.is_empty() {
            self.applications.remove(name);
        }
    }

    fn forget(&mut self, slot: Slot) {
        let take = |slots: &mut Vec<Slot>| {
            if let Some(place) = slots.iter().position(|other| *other == slot) {
                slots.swap_remove(place);
            }
        };
        let Some((_, object)) = self.slots[slot as usize].as_ref() else { return };
        let id = match object {
            Object::Agent(_) => return self.agent = None,
            Object::Repository(_) => return self.repositories.retain(|other| *other != slot),
            Object::Connection(_) => return self.connections.retain(|other| *other != slot),
            Object::Application(a) => {
                return self.forget_delivery(&a.name.clone(), |delivery| delivery.application = None);
            }
            Object::Run(r) => return self.forget_delivery(&r.application.clone(), |delivery| take(&mut delivery.runs)),
            Object::Environment(e) => &e.environment,
            Object::Resource(r) => &r.environment,
            Object::Pod(p) => &p.environment,
        };
        let Some(members) = self.members.get_mut(id) else { return };
        match object {
            Object::Resource(_) => take(&mut members.resources),
            Object::Pod(_) => take(&mut members.pods),
            _ => members.environment = None,
        }
        if members.is_empty() {
            let id = id.clone();
            self.members.remove(&id);
        }
    }
}

/// As the wire writes it: each object under its key.
impl Serialize for Fleet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, object) in self.slots.iter().flatten() {
            map.serialize_entry(key, object)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fleet {
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
                since,
            })
        };
        let mut fleet = Fleet::load(["c", "a", "d", "b"].map(|name| (connection(name).key(), connection(name))));
        fleet.del(&connection("a").key());
        fleet.put(connection("c").key(), connection("c"));
        let names: Vec<_> = fleet.connections().map(|connection| connection.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
    }
}
