//! What of ownership is written of one object, as two patches, and the object after them.

use quarterdeck_shared::application::EnvironmentId;
use serde_json::{Map, Value, json};

use super::signs::{self, Held, Tracking};
use crate::sync::managed_fields::MANAGER;
use crate::sync::manifest::Manifest;
use crate::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, takeover};

/// What of ownership is written of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The field managers whose fields become ours.
    pub managers: Vec<String>,
    /// Whether it gets our labels.
    pub labels: bool,
    /// The tracking that goes.
    pub removes: Vec<Tracking>,
    /// All managers whose fields would become ours: more may have written by the time it is done.
    theirs: Vec<&'static str>,
}

impl Ownership {
    /// What is to be written of this live object. Tracking that git itself names stays.
    pub(super) fn of(live: &Value, manifest: &Manifest, environment: &EnvironmentId, held: &[Held]) -> Self {
        let theirs = signs::managers(held);
        let wrote = |manager: &&&str| entries(live).any(|entry| signs::is_by(entry, manager));
        let managers: Vec<String> = theirs.iter().filter(wrote).map(|manager| (*manager).to_owned()).collect();
        let is_in_git = |one: &&Tracking| manifest.object.head()["metadata"][one.field].get(&one.key).is_some();
        let tracking = held.iter().flat_map(|held| &held.tracking);
        let removes = tracking.filter(|one| !is_in_git(one)).cloned().collect();
        let labels = labels(environment).any(|(key, value)| live["metadata"]["labels"][key] != *value);
        Self { managers, labels, removes, theirs }
    }

    /// The merge patch (RFC 7386) that labels the object and removes tracking, for the object at this version alone; none
    /// where nothing is to be changed.
    pub fn metadata(&self, live: &Value, environment: &EnvironmentId) -> Option<Value> {
        let mut changed: Map<String, Value> = Map::new();
        let mut set = |field: &str, key: &str, value: Value| {
            if live["metadata"][field].get(key).unwrap_or(&Value::Null) != &value {
                changed.entry(field).or_insert_with(|| json!({}))[key] = value;
            }
        };
        labels(environment).for_each(|(key, value)| set("labels", key, value.into()));
        self.removes.iter().for_each(|one| set(one.field, &one.key, Value::Null));
        if changed.is_empty() {
            return None;
        }
        changed.insert("resourceVersion".to_owned(), live["metadata"]["resourceVersion"].clone());
        Some(json!({ "metadata": changed }))
    }

    /// The `managedFields` with what the holders own as ours, and with what we changed by [`Self::metadata`]; none where
    /// nothing of it is to be changed.
    pub fn fields(&self, live: &Value) -> Option<Value> {
        let theirs = |entry: &Value| {
            let is_own_patch = signs::is_by(entry, MANAGER) && entry["operation"] == "Update";
            is_own_patch || self.theirs.iter().any(|manager| signs::is_by(entry, manager))
        };
        takeover::upgraded_from(live, theirs)
    }

    /// The object as it is once both are written.
    pub fn after(&self, live: &Value, environment: &EnvironmentId) -> Value {
        let mut after = live.clone();
        for (key, value) in labels(environment) {
            after["metadata"]["labels"][key] = value.into();
        }
        for one in &self.removes {
            after["metadata"][one.field].as_object_mut().map(|all| all.remove(&one.key));
        }
        if let Some(fields) = self.fields(live) {
            after["metadata"]["managedFields"] = fields;
        }
        after
    }
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live["metadata"]["managedFields"].as_array().into_iter().flatten()
}

fn labels(environment: &EnvironmentId) -> impl Iterator<Item = (&'static str, &str)> {
    [(APPLICATION_LABEL, environment.application.as_str()), (ENVIRONMENT_LABEL, environment.environment.as_str())]
        .into_iter()
}
