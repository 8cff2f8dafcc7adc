//! Whose a pod is: pods, ReplicaSets and Jobs are found by their owners, up to an object that an environment applied.
//!
//! Watches of different kinds run beside one another, so a pod may be told of before its ReplicaSet. Who has an owner
//! that is not known waits for it. In a namespace that is shared with others, the pods of others wait for ever: they
//! take some hundred bytes each, and there are no more of them than the namespace has.

use std::collections::HashMap;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{PodStatus, ResourceStatus};
use quarterdeck_shared::status::SyncStatus;
use serde_json::Value;
use tokio::time::Instant;

use crate::cache::managed::told_rule;
use crate::cache::seen::{ToldBy, Uid, fingerprint, is_set_back};
use crate::changes::ClusterChange;
use crate::watch_set::WatchKey;
use quarterdeck_core::health::pod_status::{owner, pod_status};
use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::health::{Surroundings, assess_in};
use quarterdeck_core::sync::managed_fields;

/// What is known of who owns what.
pub(super) struct Owners {
    cluster: Box<str>,
    /// Who may own something.
    nodes: HashMap<Uid, Node>,
    /// Pods of ours, by namespace and name: a StatefulSet gives a name to one pod after another.
    pods: HashMap<(Box<str>, Box<str>), Pod>,
    /// Who waits for an owner.
    waiting: HashMap<Uid, Vec<Dependent>>,
}

struct Node {
    environment: EnvironmentId,
    resource: ResourceRef,
    /// Whether an environment applied it: then its own watch tells of it.
    root: bool,
    told: Option<u64>,
}

struct Pod {
    uid: Uid,
    version: u64,
    environment: EnvironmentId,
    containers: Box<[Started]>,
    told: u64,
    seen: Instant,
}

/// A pod whose logs can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodLogs {
    /// Its namespace.
    pub(crate) namespace: Box<str>,
    /// Its name.
    pub(crate) name: Box<str>,
    /// One of its lives: another pod of the same name is another.
    pub(crate) uid: Uid,
    /// Its containers that have been started, init containers first.
    pub(crate) containers: Box<[Started]>,
}

/// A container that has been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    /// Its name.
    pub(crate) name: Box<str>,
    /// How often it was started again.
    pub(crate) restarts: u32,
}

/// What is taken from an object that may belong to somebody, before anything is locked.
pub(super) struct Dependent {
    pub(super) resource: ResourceRef,
    pub(super) uid: Uid,
    version: u64,
    parent: Option<Uid>,
    labelled: Option<EnvironmentId>,
    is: Is,
}

enum Is {
    Pod(Box<PodStatus>),
    Between {
        status: Box<ResourceStatus>,
        /// Whether people want to see it: the ReplicaSets of past revisions are empty.
        shown: bool,
    },
}

impl Dependent {
    pub(super) fn of(object: &Value, rules: &Rules) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, _) = text("/apiVersion").split_once('/').unwrap_or_default();
        let resource =
            ResourceRef::new(group, text("/kind"), Some(text("/metadata/namespace")), text("/metadata/name"));
        let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let mut controllers = owners.filter(|owner| owner["controller"] == true);
        let parent = controllers.next().and_then(|owner| owner["uid"].as_str()).map(Uid::of);
        let labelled = managed_fields::owner_of(object).and_then(|owner| owner.id());
        // Whose it is is filled in when its owner is known.
        let nobody = || -> EnvironmentId { "no/body".parse().expect("both are DNS labels") };
        let is = if resource.kind == "Pod" {
            Is::Pod(Box::new(pod_status(object, &nobody(), "")))
        } else {
            let verdict = assess_in(object, Surroundings { rules, ..Surroundings::default() });
            let replicas = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
            Is::Between {
                status: Box::new(ResourceStatus {
                    environment: nobody(),
                    resource: resource.clone(),
                    sync: SyncStatus::Synced,
                    health: verdict.health,
                    rule: told_rule(&verdict).to_owned(),
                    message: verdict.reason,
                    summary: verdict.summary,
                    owner: owner(object),
                    created: text("/metadata/creationTimestamp").parse().ok(),
                }),
                shown: resource.kind != "ReplicaSet" || replicas("/spec/replicas") + replicas("/status/replicas") > 0,
            }
        };
        // Resource versions are numbers that grow; what is none counts as the oldest and is always taken in.
        let version = text("/metadata/resourceVersion").parse().unwrap_or(0);
        Self { resource, uid: Uid::of(text("/metadata/uid")), version, parent, labelled, is }
    }
}

fn is_waiting(state: &str) -> bool {
    state.starts_with("waiting")
}

impl Owners {
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.into(), nodes: HashMap::new(), pods: HashMap::new(), waiting: HashMap::new() }
    }

    /// An object that an environment applied.
    pub(super) fn root(
        &mut self,
        uid: Uid,
        environment: &EnvironmentId,
        resource: &ResourceRef,
        changes: &mut Vec<ClusterChange>,
    ) {
        let known = self.nodes.get(&uid).is_some_and(|node| node.root && node.environment == *environment);
        if !known {
            let (environment, resource) = (environment.clone(), resource.clone());
            self.nodes.insert(uid, Node { environment, resource, root: true, told: None });
            self.adopt(uid, changes);
        }
    }

    pub(super) fn put(&mut self, dependent: Dependent, told: ToldBy, changes: &mut Vec<ClusterChange>) {
        let parent = dependent.parent.and_then(|parent| self.nodes.get(&parent));
        let environment = match (&dependent.labelled, parent) {
            (Some(environment), _) => environment.clone(),
            (None, Some(parent)) => parent.environment.clone(),
            (None, None) => {
                if let Some(parent) = dependent.parent {
                    let waiting = self.waiting.entry(parent).or_default();
                    waiting.retain(|other| other.resource != dependent.resource);
                    waiting.push(dependent);
                }
                return;
            }
        };
        let Dependent { resource, uid, version, is, .. } = dependent;
        match is {
            Is::Pod(mut pod) => {
                pod.environment = environment;
                pod.cluster = self.cluster.clone();
                self.put_pod(uid, version, pod, told, changes);
            }
            Is::Between { mut status, shown } => {
                status.environment = environment.clone();
                self.put_between(uid, environment, resource, (status, shown), changes);
            }
        }
    }

    fn put_pod(&mut self, uid: Uid, version: u64, pod: Box<PodStatus>, told: ToldBy, changes: &mut Vec<ClusterChange>) {
        let place = (pod.namespace.clone(), pod.name.clone());
        let is_older = self.pods.get(&place).is_some_and(|before| before.uid == uid && version < before.version);
        // Nobody but the watch tells of pods: a list is right whatever was known before it.
        if is_older && told == ToldBy::Followed {
            return;
        }
        let told = fingerprint(&pod);
        let started = pod.containers.iter().filter(|container| container.restarts > 0 || !is_waiting(&container.state));
        let started = started.map(|container| Started { name: container.name.clone(), restarts: container.restarts });
        let environment = pod.environment.clone();
        let now = Pod { uid, version, environment, containers: started.collect(), told, seen: Instant::now() };
        let before = self.pods.insert(place, now);
        if before.is_none_or(|before| before.uid != uid || before.told != told) {
            changes.push(ClusterChange::PodChanged(pod));
        }
    }

    /// Whether a list names a pod in a state before the one that is known.
    pub(super) fn is_set_back(&self, dependent: &Dependent, told: ToldBy) -> bool {
        let ResourceRef { namespace, name, .. } = &dependent.resource;
        let place = (Box::from(namespace.as_deref().unwrap_or_default()), Box::from(name.as_str()));
        let known = self.pods.get(&place).filter(|pod| pod.uid == dependent.uid);
        known.is_some_and(|pod| is_set_back(told, pod.seen, dependent.version < pod.version))
    }

    /// The pods of an environment, by namespace and name.
    pub(super) fn pods_of(&self, environment: &EnvironmentId) -> Vec<PodLogs> {
        let of = |((namespace, name), pod): (&(Box<str>, Box<str>), &Pod)| PodLogs {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: pod.uid,
            containers: pod.containers.clone(),
        };
        let mut pods: Vec<PodLogs> =
            self.pods.iter().filter(|(_, pod)| pod.environment == *environment).map(of).collect();
        pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        pods
    }

    /// Whether this very pod is one of ours.
    pub(super) fn has_pod(&self, namespace: &str, name: &str, uid: Uid) -> bool {
        self.pods.get(&(namespace.into(), name.into())).is_some_and(|pod| pod.uid == uid)
    }

    fn put_between(
        &mut self,
        uid: Uid,
        environment: EnvironmentId,
        resource: ResourceRef,
        (status, shown): (Box<ResourceStatus>, bool),
        changes: &mut Vec<ClusterChange>,
    ) {
        let told = shown.then(|| fingerprint(&status));
        let is_new = !self.nodes.contains_key(&uid);
        let node = self.nodes.entry(uid).or_insert_with(|| Node { environment, resource, root: false, told: None });
        if !node.root && node.told != told {
            node.told = told;
            changes.push(match shown {
                true => ClusterChange::ResourceChanged(status),
                false => ClusterChange::ResourceGone {
                    environment: node.environment.clone(),
                    resource: node.resource.clone(),
                },
            });
        }
        if is_new {
            self.adopt(uid, changes);
        }
    }

    fn adopt(&mut self, parent: Uid, changes: &mut Vec<ClusterChange>) {
        for dependent in self.waiting.remove(&parent).unwrap_or_default() {
            self.put(dependent, ToldBy::Followed, changes);
        }
    }

    pub(super) fn remove(&mut self, resource: &ResourceRef, uid: Uid, changes: &mut Vec<ClusterChange>) {
        if resource.kind == "Pod" && resource.group.is_empty() {
            let namespace = resource.namespace.as_deref().unwrap_or_default();
            let place = (Box::from(namespace), Box::from(resource.name.as_str()));
            if self.pods.get(&place).is_some_and(|pod| pod.uid == uid)
                && let Some(pod) = self.pods.remove(&place)
            {
                let (namespace, name) = place;
                changes.push(ClusterChange::PodGone { environment: pod.environment, namespace, name });
            }
        }
        if let Some(node) = self.nodes.remove(&uid)
            && node.told.is_some()
        {
            let Node { environment, resource, .. } = node;
            changes.push(ClusterChange::ResourceGone { environment, resource });
        }
        for waiting in self.waiting.values_mut() {
            waiting.retain(|dependent| dependent.uid != uid);
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
    }

    /// Takes away what a whole list did not name.
    pub(super) fn retain(
        &mut self,
        key: &WatchKey,
        seen: &HashMap<ResourceRef, Uid>,
        changes: &mut Vec<ClusterChange>,
    ) {
        // Another one of the same name is another: a ReplicaSet that was made anew has the name of the one before.
        let is_lost = |resource: &ResourceRef, uid: Uid| {
            resource.group == key.group
                && resource.kind == key.kind
                && key.covers(resource.namespace.as_deref())
                && seen.get(resource) != Some(&uid)
        };
        let nodes = self.nodes.iter().filter(|(uid, node)| !node.root && is_lost(&node.resource, **uid));
        let mut lost: Vec<(ResourceRef, Uid)> = nodes.map(|(uid, node)| (node.resource.clone(), *uid)).collect();
        let pods = self
            .pods
            .iter()
            .map(|((namespace, name), pod)| (ResourceRef::new("", "Pod", Some(namespace), name), pod.uid));
        lost.extend(pods.filter(|(resource, uid)| is_lost(resource, *uid)));
        for waiting in self.waiting.values_mut() {
            waiting.retain(|dependent| !is_lost(&dependent.resource, dependent.uid));
        }
        for (resource, uid) in lost {
            // The row of one that has a successor of the same name is the successor's.
            let unsaid = &mut Vec::new();
            self.remove(&resource, uid, if seen.contains_key(&resource) { unsaid } else { changes });
        }
    }

    /// All of it is of another cluster, or of a time that this one forgot.
    pub(super) fn replaced(&mut self, changes: &mut Vec<ClusterChange>) {
        self.waiting.clear();
        for ((namespace, name), pod) in self.pods.drain() {
            changes.push(ClusterChange::PodGone { environment: pod.environment, namespace, name });
        }
        for Node { environment, resource, told, .. } in self.nodes.drain().map(|(_, node)| node) {
            if told.is_some() {
                changes.push(ClusterChange::ResourceGone { environment, resource });
            }
        }
    }

    pub(super) fn forget(&mut self, environment: &EnvironmentId, changes: &mut Vec<ClusterChange>) {
        let nodes = self.nodes.iter().filter(|(_, node)| node.environment == *environment);
        let nodes: Vec<(ResourceRef, Uid)> = nodes.map(|(uid, node)| (node.resource.clone(), *uid)).collect();
        let pods = self.pods.iter().filter(|(_, pod)| pod.environment == *environment);
        let pods: Vec<(ResourceRef, Uid)> = pods
            .map(|((namespace, name), pod)| (ResourceRef::new("", "Pod", Some(namespace), name), pod.uid))
            .collect();
        for (resource, uid) in nodes.into_iter().chain(pods) {
            self.remove(&resource, uid, changes);
        }
    }
}
