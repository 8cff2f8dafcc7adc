//! What is in the cluster besides what is watched: lists of names and labels, for the few questions that no watch answers.
//! What else lives in a namespace that is to be deleted? What carries our label and is in no inventory?
//!
//! Metadata only, page by page, and each bounded.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use kube::discovery::ApiResource;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::{InventoryItem, ResourceRef};
use serde_json::Value;

use crate::inventory::INVENTORY_LABEL;
use crate::objects::{Objects, collection_path, of_environment, segment};
use crate::observe::at_once;
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::render::scope::Scope;
use quarterdeck_core::sync::plan::contents::{Blind, Container, Contents};
use quarterdeck_core::sync::{APPLICATION_LABEL, PULL_SECRET_LABEL, managed_fields};

/// Pages of 250 that are looked through of one kind: 5,000 objects. What holds more holds something.
const PAGES: usize = 20;

/// Lists without the objects' content.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What Kubernetes makes by itself, keeps for a moment, or derives from other objects: nobody misses it.
const FLEETING: &[(&str, &str)] = &[
    ("", "Event"),
    ("events.k8s.io", "Event"),
    ("", "Endpoints"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("coordination.k8s.io", "Lease"),
    ("metrics.k8s.io", "PodMetrics"),
];

/// What every namespace has: of Kubernetes, OpenShift, Istio.
const FURNITURE: &[(&str, &str)] = &[
    ("ServiceAccount", "default"),
    ("ServiceAccount", "builder"),
    ("ServiceAccount", "deployer"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("RoleBinding", "system:deployers"),
    ("RoleBinding", "system:image-builders"),
    ("RoleBinding", "system:image-pullers"),
];

/// The name of a kind's objects, as a list of them has it.
struct Listed {
    resource: ApiResource,
    namespace: Option<String>,
    selector: String,
}

/// Counts what is in a container, but for what goes with it. `goes` are the objects that the same plan deletes.
///
/// # Errors
/// Where the cluster could not be asked.
pub(super) async fn contents(
    objects: &Objects,
    environment: &EnvironmentId,
    container: &Container,
    live: &Value,
    goes: &HashSet<ResourceRef>,
) -> Result<Contents, ApiProblem> {
    let mut contents = Contents::default();
    let lists = match container {
        Container::Namespace(name) => {
            let kinds = objects.kinds_now().await?;
            let kinds = kinds.listed().filter(|kind| kind.scope == Scope::Namespaced);
            let resources = kinds.filter_map(|kind| kind.versions.first()).filter(|resource| !is_fleeting(resource));
            let list = |resource: &ApiResource| Listed {
                resource: resource.clone(),
                namespace: Some(name.clone()),
                selector: String::new(),
            };
            resources.map(list).collect()
        }
        Container::Definition { kind, .. } => match defined(live) {
            Some(resource) => vec![Listed { resource, namespace: None, selector: String::new() }],
            None => {
                let why = format!("no version of {kind} is served");
                return Ok(Contents { unseen: Some(Blind { why, passes: false }), ..contents });
            }
        },
    };
    let answers = at_once(lists.iter().map(|list| self::list(objects, list).boxed())).await;
    let mut seen = HashSet::new();
    for (list, answer) in lists.iter().zip(answers) {
        match answer {
            Ok(found) => {
                for object in found {
                    let metadata = &object["metadata"];
                    let resource = reference(&list.resource, &object);
                    let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
                    if goes.contains(&resource) || is_furniture(&list.resource.kind, metadata) || !seen.insert(uid) {
                        continue;
                    }
                    let labels = &metadata["labels"];
                    // What is ours and no object of an environment.
                    let own = |label: &str| Some(labels[label].as_str()?.replacen('.', "/", 1));
                    let owner = managed_fields::owner_by(labels).map(|owner| owner.to_string());
                    let owner = owner.or_else(|| own(INVENTORY_LABEL)).or_else(|| own(PULL_SECRET_LABEL));
                    contents.count(environment, owner.as_deref(), resource.short());
                }
            }
            // A kind that is not served at this moment may have objects all the same.
            Err(problem) => {
                let passes = problem.class.is_transient() || problem.class == Class::KindMissing;
                contents.unseen.get_or_insert_with(|| Blind { why: problem.to_string(), passes });
            }
        }
    }
    Ok(contents)
}

/// Every object that carries the label of an environment, for an inventory that was lost. Kinds that may not be listed are
/// left out: what is of them is as lost as before.
pub(super) async fn labelled(
    objects: &Objects,
    environment: &EnvironmentId,
    within: Option<&str>,
) -> Result<Vec<InventoryItem>, ApiProblem> {
    let kinds = objects.kinds().await?;
    let kinds = kinds.listed().filter(|kind| within.is_none() || kind.scope == Scope::Namespaced);
    let list = |resource: &ApiResource| Listed {
        resource: resource.clone(),
        namespace: within.map(str::to_owned),
        selector: format!("&labelSelector={}", of_environment(environment)),
    };
    let resources = kinds.filter_map(|kind| kind.versions.first()).filter(|resource| !is_fleeting(resource));
    let lists: Vec<Listed> = resources.map(list).collect();
    let answers = at_once(lists.iter().map(|list| self::list(objects, list).boxed())).await;
    let mut items = Vec::new();
    for (list, answer) in lists.iter().zip(answers) {
        // What a controller made of our objects carries our label where it copies it; it goes with its owner.
        let found = answer.unwrap_or_default().into_iter().filter(|object| !is_owned(&object["metadata"]));
        items.extend(found.map(|object| InventoryItem {
            resource: reference(&list.resource, &object),
            version: list.resource.version.clone(),
        }));
    }
    Ok(items)
}

/// Every object in a namespace that says whose it is and that we applied, by whose. A copy that somebody made of one was
/// not applied by us. Of each kind at most 5,000 are looked at, and kinds that may not be listed are left out.
pub(super) async fn applied(objects: &Objects) -> Result<BTreeMap<EnvironmentId, Vec<InventoryItem>>, ApiProblem> {
    let kinds = objects.kinds().await?;
    let kinds = kinds.listed().filter(|kind| kind.scope == Scope::Namespaced);
    let resources = kinds.filter_map(|kind| kind.versions.first()).filter(|resource| !is_fleeting(resource));
    let list = |resource: &ApiResource| Listed {
        resource: resource.clone(),
        namespace: None,
        selector: format!("&labelSelector={APPLICATION_LABEL}"),
    };
    let lists: Vec<Listed> = resources.map(list).collect();
    let answers = at_once(lists.iter().map(|list| self::list(objects, list).boxed())).await;
    let mut all: BTreeMap<EnvironmentId, Vec<InventoryItem>> = BTreeMap::new();
    for (list, answer) in lists.iter().zip(answers) {
        let ours = answer.unwrap_or_default().into_iter();
        for object in ours.filter(|object| managed_fields::is_applied(object) && !is_owned(&object["metadata"])) {
            let Some(environment) = managed_fields::owner_of(&object).and_then(|owner| owner.id()) else { continue };
            let (resource, version) = (reference(&list.resource, &object), list.resource.version.clone());
            all.entry(environment).or_default().push(InventoryItem { resource, version });
        }
    }
    Ok(all)
}

/// The names and labels of all pull secrets, in a namespace or in all.
///
/// # Errors
/// Where they cannot be listed.
pub(super) async fn pull_secrets(objects: &Objects, within: Option<&str>) -> Result<Vec<Value>, ApiProblem> {
    let resource = objects.resource(&ResourceRef::new("", "Secret", None, ""), Some("v1")).await?.resource;
    let selector = format!("&labelSelector={}", segment(PULL_SECRET_LABEL));
    self::list(objects, &Listed { resource, namespace: within.map(str::to_owned), selector }).await
}

async fn list(objects: &Objects, list: &Listed) -> Result<Vec<Value>, ApiProblem> {
    let place = list.namespace.as_ref().map(|name| format!(" in namespace {name}")).unwrap_or_default();
    let doing = format!("list {}{place}", list.resource.plural);
    let collection = collection_path(&list.resource, list.namespace.as_deref());
    let path = format!("{collection}?limit=250{}", list.selector);
    let (mut found, mut next) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let mut page = objects.requests.json(&doing, accepting(&format!("{path}{next}"), METADATA)).await?;
        found.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => next = format!("&continue={}", segment(token)),
            None => break,
        }
    }
    Ok(found)
}

/// A request that asks for an answer in this form. An API server that cannot gives another.
pub(super) fn accepting(path: &str, form: &'static str) -> Request<Bytes> {
    let mut request = get(path);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(form));
    request
}

fn reference(of: &ApiResource, object: &Value) -> ResourceRef {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    ResourceRef::new(&of.group, &of.kind, Some(text("namespace")), text("name"))
}

fn is_fleeting(resource: &ApiResource) -> bool {
    FLEETING.contains(&(resource.group.as_str(), resource.kind.as_str()))
}

/// What another object brought forth goes with that one.
fn is_owned(metadata: &Value) -> bool {
    metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty())
}

fn is_furniture(kind: &str, metadata: &Value) -> bool {
    let name = metadata["name"].as_str().unwrap_or_default();
    let is_token = !metadata["annotations"]["kubernetes.io/service-account.name"].is_null();
    is_owned(metadata) || is_token || FURNITURE.contains(&(kind, name))
}

/// The kind that a definition defines, in a version that is served.
fn defined(live: &Value) -> Option<ApiResource> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &live["spec"];
    let served = spec["versions"].as_array()?.iter().find(|version| version["served"] == true)?;
    let (group, version) = (text(&spec["group"]), text(&served["name"]));
    let (kind, plural) = (text(&spec["names"]["kind"]), text(&spec["names"]["plural"]));
    Some(ApiResource { api_version: format!("{group}/{version}"), group, version, kind, plural })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_misses_does_not_count() {
        for (kind, metadata, nobody_misses_it) in [
            ("ConfigMap", json!({"name": "kube-root-ca.crt"}), true),
            ("ServiceAccount", json!({"name": "default"}), true),
            ("Secret", json!({"name": "default"}), false),
            ("Secret", json!({"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}), true),
            ("Pod", json!({"name": "p", "ownerReferences": [{"kind": "ReplicaSet"}]}), true),
            ("Pod", json!({"name": "p", "ownerReferences": []}), false),
            ("PersistentVolumeClaim", json!({"name": "data"}), false),
        ] {
            assert_eq!(is_furniture(kind, &metadata), nobody_misses_it, "{kind} {metadata}");
        }
    }

    #[test]
    fn a_definition_is_looked_into_in_a_version_that_is_served() {
        let live = |served: bool| {
            json!({"spec": {"group": "example.com", "names": {"kind": "Shop", "plural": "shops"},
                "versions": [{"name": "v1", "served": false}, {"name": "v2", "served": served}]}})
        };
        assert_eq!(
            defined(&live(true)).map(|kind| collection_path(&kind, None)).as_deref(),
            Some("/apis/example.com/v2/shops")
        );
        assert_eq!(defined(&live(false)), None);
    }
}
