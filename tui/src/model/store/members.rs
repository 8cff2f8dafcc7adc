//! What belongs to an application, and to each of its environments, by slots.

use std::collections::BTreeMap;

use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::snapshot::Object;

use super::Slot;

/// What belongs to one application. The order of slots is of no meaning.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// The application itself.
    pub(super) application: Option<Slot>,
    /// Its runs.
    pub(super) runs: Vec<Slot>,
    /// What belongs to each of its environments.
    pub(super) environments: BTreeMap<EnvironmentName, Deployed>,
}

/// What belongs to one environment.
#[derive(Debug, Default)]
pub(super) struct Deployed {
    /// The environment itself.
    pub(super) environment: Option<Slot>,
    /// The objects in its cluster, pods excepted.
    pub(super) resources: Vec<Slot>,
    /// Its pods.
    pub(super) pods: Vec<Slot>,
}

/// What belongs to each application.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<ApplicationName, Members>);

impl Index {
    /// Every application of which there is anything, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&ApplicationName, &Members)> {
        self.0.iter()
    }

    /// What belongs to an application.
    pub(super) fn application(&self, name: &ApplicationName) -> Option<&Members> {
        self.0.get(name)
    }

    /// What belongs to an environment.
    pub(super) fn environment(&self, id: &EnvironmentId) -> Option<&Deployed> {
        self.0.get(&id.application)?.environments.get(&id.environment)
    }

    /// Takes an object in. What belongs to no application is none of its business.
    pub(super) fn add(&mut self, object: &Object, slot: Slot) {
        match object {
            Object::Application(a) => self.0.entry(a.name.clone()).or_default().application = Some(slot),
            Object::Run(r) => self.0.entry(r.application.clone()).or_default().runs.push(slot),
            Object::Environment(e) => self.deployed(&e.environment).environment = Some(slot),
            Object::Resource(r) => self.deployed(&r.environment).resources.push(slot),
            Object::Pod(p) => self.deployed(&p.environment).pods.push(slot),
            Object::Agent(_)
            | Object::Repository(_)
            | Object::Connection(_)
            | Object::ApplicationSource(_)
            | Object::FollowedImage(_) => {}
        }
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, object: &Object, slot: Slot) {
        let take = |slots: &mut Vec<Slot>| {
            if let Some(place) = slots.iter().position(|other| *other == slot) {
                slots.swap_remove(place);
            }
        };
        let (application, environment) = match object {
            Object::Application(a) => (&a.name, None),
            Object::Run(r) => (&r.application, None),
            Object::Environment(e) => (&e.environment.application, Some(&e.environment.environment)),
            Object::Resource(r) => (&r.environment.application, Some(&r.environment.environment)),
            Object::Pod(p) => (&p.environment.application, Some(&p.environment.environment)),
            Object::Agent(_)
            | Object::Repository(_)
            | Object::Connection(_)
            | Object::ApplicationSource(_)
            | Object::FollowedImage(_) => return,
        };
        let Some(members) = self.0.get_mut(application) else { return };
        match (object, environment.and_then(|name| members.environments.get_mut(name))) {
            (Object::Run(_), _) => take(&mut members.runs),
            (Object::Resource(_), Some(deployed)) => take(&mut deployed.resources),
            (Object::Pod(_), Some(deployed)) => take(&mut deployed.pods),
            (Object::Environment(_), Some(deployed)) => deployed.environment = None,
            _ => members.application = None,
        }
        members.environments.retain(|_, deployed| !deployed.is_empty());
        if members.is_empty() {
            self.0.remove(application);
        }
    }

    fn deployed(&mut self, id: &EnvironmentId) -> &mut Deployed {
        self.0.entry(id.application.clone()).or_default().environments.entry(id.environment.clone()).or_default()
    }
}

impl Members {
    fn is_empty(&self) -> bool {
        self.application.is_none() && self.runs.is_empty() && self.environments.is_empty()
    }
}

impl Deployed {
    fn is_empty(&self) -> bool {
        self.environment.is_none() && self.resources.is_empty() && self.pods.is_empty()
    }
}
