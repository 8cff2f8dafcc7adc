//! Looks at what left git, before anything of it is pruned or forgotten.
//!
//! An object counts as gone only where a served API says so of that very object, or where its kind was removed: its
//! definition is looked up and is not there, and no other API server answers for its group. Whatever else keeps it from
//! being seen leaves it in the inventory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};

use futures::FutureExt as _;
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};
use serde_json::Value;

use crate::objects::segment;
use crate::observe::{Observer, at_once};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use crate::survey::{self, METADATA, accepting};
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::contents::{Container, Contents};
use quarterdeck_core::sync::plan::kept_by;
use quarterdeck_core::sync::plan::leaving::{self, Left};

/// Definitions that are read to find the one of a kind; a group has a handful.
const DEFINITIONS: usize = 50;

/// All groups with their versions, and whether what is said of these is fresh (Kubernetes 1.30; 1.26 as a beta).
const GROUPS: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What one look at an object brought.
enum Seen {
    Live(Value),
    Is(Left),
    KindMissing,
}

impl Observer<'_> {
    /// What is seen of objects that left git.
    ///
    /// # Errors
    /// Where the cluster could not be asked.
    pub(super) async fn left(
        &self,
        desired: &[Manifest],
        candidates: Vec<InventoryItem>,
    ) -> Result<Vec<(InventoryItem, Left)>, ApiProblem> {
        let observed = at_once(candidates.iter().map(|item| self.observe(item).boxed())).await;
        let observed = observed.into_iter().collect::<Result<Vec<_>, _>>()?;
        let vanished = self.vanished(candidates.iter().zip(&observed)).await?;
        let mut seen = Vec::with_capacity(candidates.len());
        let mut containers = Vec::new();
        for (place, (item, one)) in candidates.into_iter().zip(observed).enumerate() {
            let left = match one {
                Seen::Is(left) => left,
                Seen::KindMissing => vanished[&(item.resource.group.clone(), item.resource.kind.clone())].clone(),
                Seen::Live(live) => {
                    let left = self.judge(desired, &item.resource, &live).await?;
                    let container = Container::of(&item.resource, &live);
                    containers.extend(container.map(|container| (place, container, live)));
                    left
                }
            };
            seen.push((item, left));
        }
        self.list_contents(desired, containers, &mut seen).await?;
        Ok(seen)
    }

    async fn observe(&self, item: &InventoryItem) -> Result<Seen, ApiProblem> {
        Ok(match self.objects.get(&item.resource, None).await {
            Ok(None) => Seen::Is(Left::Gone),
            Ok(Some(live)) => Seen::Live(live),
            Err(problem) if problem.class == Class::KindMissing => Seen::KindMissing,
            Err(problem) if problem.class.is_transient() => return Err(problem),
            Err(problem) => Seen::Is(Left::Unseen(problem.message)),
        })
    }

    async fn judge(&self, desired: &[Manifest], resource: &ResourceRef, live: &Value) -> Result<Left, ApiProblem> {
        let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        match managed_fields::owner_of(live) {
            Some(owner) if owner.is(self.environment) => {}
            other => return Ok(Left::NotOurs(other.map(|owner| owner.to_string()))),
        }
        if let Some(twin) = self.twin(desired, resource, uid).await? {
            return Ok(Left::Renamed(twin));
        }
        if let Some(waits) = waits_for(live) {
            return Ok(Left::Going(waits));
        }
        Ok(Left::Ours { uid: uid.to_owned(), keep: kept_by(live), contents: Box::default() })
    }

    /// The wanted object of another API group that is this very object.
    async fn twin(
        &self,
        desired: &[Manifest],
        resource: &ResourceRef,
        uid: &str,
    ) -> Result<Option<ResourceRef>, ApiProblem> {
        let is_like = |other: &ResourceRef| {
            (&other.kind, &other.namespace, &other.name) == (&resource.kind, &resource.namespace, &resource.name)
        };
        for manifest in desired.iter().filter(|manifest| is_like(&manifest.resource)) {
            let live = match self.objects.get(&manifest.resource, Some(&manifest.version)).await {
                Err(problem) if problem.class == Class::KindMissing => None,
                other => other?,
            };
            if live.is_some_and(|live| live["metadata"]["uid"] == uid) {
                return Ok(Some(manifest.resource.clone()));
            }
        }
        Ok(None)
    }

    /// Counts what lives in those that would be deleted, but for what goes with them.
    async fn list_contents(
        &self,
        desired: &[Manifest],
        containers: Vec<(usize, Container, Value)>,
        seen: &mut [(InventoryItem, Left)],
    ) -> Result<(), ApiProblem> {
        if containers.is_empty() {
            return Ok(());
        }
        let leaving = self.options.leaving();
        let goes: HashSet<ResourceRef> = seen
            .iter()
            .filter(|(item, left)| leaving::goes(&leaving, &item.resource, left))
            .map(|(item, _)| item.resource.clone())
            .collect();
        let is_forgotten = |left: &Left| matches!(left, Left::Gone | Left::NotOurs(_) | Left::Renamed(_));
        let stays: Vec<InventoryItem> = seen
            .iter()
            .filter(|(item, left)| !goes.contains(&item.resource) && !is_forgotten(left))
            .map(|(item, _)| item.clone())
            .collect();
        for (place, container, live) in containers {
            let (item, left) = &mut seen[place];
            let Left::Ours { contents, .. } = left else { continue };
            if !goes.contains(&item.resource) || leaving.anyway.contains(&item.resource) {
                continue;
            }
            let wanted = Contents::wanted(&container, desired, &stays, leaving.neighbours);
            **contents = if wanted.is_inhabited() {
                wanted
            } else {
                survey::contents(self.objects, self.environment, &container, &live, &goes).await?
            };
        }
        Ok(())
    }

    /// What is to be thought of objects whose kind is not served, kind by kind.
    async fn vanished(
        &self,
        observed: impl Iterator<Item = (&InventoryItem, &Seen)>,
    ) -> Result<BTreeMap<(String, String), Left>, ApiProblem> {
        let mut kinds = BTreeMap::new();
        for (item, _) in observed.filter(|(_, seen)| matches!(seen, Seen::KindMissing)) {
            let ResourceRef { group, kind, .. } = &item.resource;
            if let Entry::Vacant(unknown) = kinds.entry((group.clone(), kind.clone())) {
                let left = match self.why_not_served(group, kind).await {
                    Ok(None) => Left::Gone,
                    Ok(Some(why)) => Left::Unseen(why),
                    Err(problem) if problem.class.is_transient() => return Err(problem),
                    Err(problem) => Left::Unseen(format!("its kind is not served, and {problem}")),
                };
                unknown.insert(left);
            }
        }
        Ok(kinds)
    }

    /// Why a kind is not served although its objects may be there; none where the kind was removed.
    async fn why_not_served(&self, group: &str, kind: &str) -> Result<Option<String>, ApiProblem> {
        if self.objects.kinds_now().await?.get(group, kind).is_some() {
            return Ok(Some(format!("kind {kind} was not served a moment ago")));
        }
        let doing = format!("look for the definition of kind {kind}");
        let suffix = format!(".{group}");
        let definitions = self.names("apis/apiextensions.k8s.io/v1/customresourcedefinitions", &doing).await?;
        for name in definitions.iter().filter(|name| name.ends_with(&suffix)).take(DEFINITIONS) {
            let definition = ResourceRef::new("apiextensions.k8s.io", "CustomResourceDefinition", None, name);
            let definition = self.objects.get(&definition, None).await?;
            if definition.is_some_and(|live| live["spec"]["names"]["kind"] == kind) {
                return Ok(Some(format!("kind {kind} of {group} is not served, and its definition {name} exists")));
            }
        }
        if self.is_stale(group).await? || self.is_aggregated(group).await? {
            return Ok(Some(format!("group {group} is served by another API server, which does not answer")));
        }
        Ok(None)
    }

    /// Whether discovery lists the group and knows that it does not know its kinds.
    async fn is_stale(&self, group: &str) -> Result<bool, ApiProblem> {
        let doing = format!("look for the kinds of group {group}");
        let groups = self.objects.requests.json(&doing, accepting("/apis", GROUPS)).await?;
        let mut found = groups["items"].as_array().into_iter().flatten();
        let group = found.find(|item| item["metadata"]["name"] == group);
        let mut versions = group.and_then(|item| item["versions"].as_array()).into_iter().flatten();
        Ok(versions.any(|version| version["freshness"] == "Stale"))
    }

    /// Whether an API server of its own answers for the group. Who may not look at these goes by discovery alone.
    async fn is_aggregated(&self, group: &str) -> Result<bool, ApiProblem> {
        let doing = format!("look for the API server of group {group}");
        let path = "apis/apiregistration.k8s.io/v1/apiservices";
        let suffix = format!(".{group}");
        let services = match self.names(path, &doing).await {
            Err(problem) if matches!(problem.class, Class::KindMissing | Class::Forbidden) => return Ok(false),
            other => other?,
        };
        for name in services.iter().filter(|name| !group.is_empty() && name.ends_with(&suffix)) {
            let service = self.objects.requests.json(&doing, get(&format!("/{path}/{}", segment(name)))).await?;
            if !service["spec"]["service"].is_null() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of all objects below a path.
    async fn names(&self, path: &str, doing: &str) -> Result<Vec<String>, ApiProblem> {
        let page = self.objects.requests.json(doing, accepting(&format!("/{path}"), METADATA)).await?;
        let items = page["items"].as_array().into_iter().flatten();
        Ok(items.filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)).collect())
    }
}

/// What the end of an object waits for; none where nobody deletes it.
pub(super) fn waits_for(live: &Value) -> Option<String> {
    live["metadata"]["deletionTimestamp"].as_str()?;
    let names = |list: &Value| {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let finalizers = names(&live["metadata"]["finalizers"]);
    Some(match finalizers.as_slice() {
        [] if live["kind"] == "Namespace" => "what is in it to be deleted".to_owned(),
        [] => "its end".to_owned(),
        [one] => format!("finalizer {one}"),
        many => format!("finalizers {}", many.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_deletion_waits_for_is_named() {
        for (metadata, waits) in [
            (json!({"finalizers": ["a/b"]}), None),
            (json!({"deletionTimestamp": "t"}), Some("its end")),
            (json!({"deletionTimestamp": "t", "finalizers": ["a/b"]}), Some("finalizer a/b")),
            (json!({"deletionTimestamp": "t", "finalizers": ["a/b", "c/d"]}), Some("finalizers a/b, c/d")),
        ] {
            assert_eq!(waits_for(&json!({"metadata": metadata})).as_deref(), waits);
        }
    }
}
