//! What is served, as clients discover it. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kind;

/// The groups and versions of other servers that do not answer now, though they are registered.
pub type Stale = BTreeSet<(String, String)>;

/// What we say that we are. The behaviour is meant to be that of this version.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "35", "gitVersion": "v1.35.4", "gitCommit": "", "gitTreeState": "",
        "buildDate": "2026-04-15T00:00:00Z", "goVersion": "go1.25", "compiler": "gc", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "35", "minCompatibilityMajor": "1", "minCompatibilityMinor": "34",
    })
}

/// `/api`
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`
pub fn groups(kinds: &[Arc<Kind>], stale: &Stale) -> Value {
    let groups: Vec<Value> =
        versions(kinds, stale).into_iter().filter(|(name, _)| !name.is_empty()).map(group_value).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/G`
pub fn group(kinds: &[Arc<Kind>], stale: &Stale, name: &str) -> Option<Value> {
    let mut value = group_value(versions(kinds, stale).remove_entry(name)?);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Some(value)
}

fn group_value((name, versions): (String, Vec<String>)) -> Value {
    let version = |version: &String| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let preferred = versions.first().map(version);
    json!({"name": name, "versions": versions.iter().map(version).collect::<Vec<_>>(), "preferredVersion": preferred})
}

/// Every group with its versions, the preferred one first.
fn versions(kinds: &[Arc<Kind>], stale: &Stale) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Reviews of access are answered, though no object of theirs is kept.
    groups.insert("authorization.k8s.io".into(), vec!["v1".into()]);
    groups.insert("authentication.k8s.io".into(), vec!["v1".into()]);
    let served = kinds.iter().map(|kind| (&kind.group, &kind.version));
    for (group, version) in served.chain(stale.iter().map(|(group, version)| (group, version))) {
        let versions = groups.entry(group.clone()).or_default();
        if !versions.contains(version) {
            versions.push(version.clone());
        }
    }
    groups.values_mut().for_each(|versions| versions.sort_by_key(|version| Reverse(rank(version))));
    groups
}

/// How a version stands among those of its group: `v2` over `v1` over `v1beta2` over `v1beta1` over `v1alpha1` over any other name.
fn rank(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let (major, stage) = rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len()));
    let major = major.parse().ok()?;
    match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
        (Some(minor), _) => Some((1, major, minor.parse().ok()?)),
        (_, Some(minor)) => Some((0, major, minor.parse().ok()?)),
        _ => stage.is_empty().then_some((2, major, 0)),
    }
}

/// The kind that only answers, in each of the two groups of reviews.
fn review(group: &str) -> Option<(&'static str, &'static str)> {
    match group {
        "authorization.k8s.io" => Some(("selfsubjectaccessreviews", "SelfSubjectAccessReview")),
        "authentication.k8s.io" => Some(("selfsubjectreviews", "SelfSubjectReview")),
        _ => None,
    }
}

fn verbs(kind: &Kind) -> [&'static str; 8] {
    if kind.custom {
        ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    } else {
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }
}

/// `/api/v1`, `/apis/G/V`
pub fn resources(kinds: &[Arc<Kind>], group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short.is_empty() {
            entry["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        list.push(entry);
        for (name, response, verbs) in subresources(kind) {
            let mut entry = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
                "kind": response, "verbs": verbs,
            });
            if name == "scale" {
                entry["group"] = json!("autoscaling");
                entry["version"] = json!("v1");
            }
            list.push(entry);
        }
    }
    if let (Some((name, kind)), "v1") = (review(group), version) {
        list.push(json!({"name": name, "singularName": kind.to_lowercase(), "namespaced": false, "kind": kind, "verbs": ["create"]}));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list});
    (list["resources"] != json!([])).then_some(list)
}

fn subresources(kind: &Kind) -> Vec<(&'static str, String, Vec<&'static str>)> {
    let changed = vec!["get", "patch", "update"];
    let mut all = Vec::new();
    if kind.is("Pod") {
        all.push(("log", kind.kind.clone(), vec!["get"]));
    }
    if kind.scale {
        all.push(("scale", "Scale".to_owned(), changed.clone()));
    }
    if kind.status {
        all.push(("status", kind.kind.clone(), changed));
    }
    all
}

/// `/api` and `/apis` in one answer each, as clients ask for it first.
pub fn aggregated(kinds: &[Arc<Kind>], stale: &Stale, core: bool) -> Value {
    let wanted = versions(kinds, stale).into_iter().filter(|(name, _)| name.is_empty() == core);
    let items: Vec<Value> = wanted.map(|(name, versions)| aggregated_group(kinds, stale, &name, &versions)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(kinds: &[Arc<Kind>], stale: &Stale, name: &str, versions: &[String]) -> Value {
    let of_version = |version: &String| {
        if stale.contains(&(name.to_owned(), version.clone())) {
            return json!({"version": version, "freshness": "Stale"});
        }
        let mut served: Vec<&Arc<Kind>> =
            kinds.iter().filter(|kind| kind.group == name && kind.version == *version).collect();
        served.sort_by_key(|kind| &kind.plural);
        let mut resources: Vec<Value> = served.into_iter().map(|kind| aggregated_kind(kind)).collect();
        if let Some((resource, kind)) = review(name) {
            resources.push(json!({
                "resource": resource, "scope": "Cluster", "singularResource": kind.to_lowercase(), "verbs": ["create"],
                "responseKind": {"group": "", "version": "", "kind": kind},
            }));
        }
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
    json!({"metadata": metadata, "versions": versions.iter().map(of_version).collect::<Vec<_>>()})
}

fn aggregated_kind(kind: &Kind) -> Value {
    let scope = if kind.namespaced { "Namespaced" } else { "Cluster" };
    // The server leaves group and version out of what it says of its own kinds, and says them of custom ones.
    let (group, version) = if kind.custom { (kind.group.as_str(), kind.version.as_str()) } else { ("", "") };
    let response = json!({"group": group, "version": version, "kind": kind.kind});
    let below = subresources(kind).into_iter().map(|(name, response_kind, verbs)| {
        let (group, version) = if name == "scale" { ("autoscaling", "v1") } else { (group, version) };
        let response = json!({"group": group, "version": version, "kind": response_kind});
        json!({"subresource": name, "responseKind": response, "verbs": verbs})
    });
    let mut entry = json!({
        "resource": kind.plural, "responseKind": response, "scope": scope, "singularResource": kind.singular,
        "verbs": verbs(kind), "subresources": below.collect::<Vec<_>>(),
    });
    if !kind.short.is_empty() {
        entry["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    entry
}

/// `/openapi/v3` and the documents below it: no schemas, only what `kubectl` reads to learn that the server checks
/// fields itself.
pub fn openapi(kinds: &[Arc<Kind>], path: &str) -> Option<Value> {
    let at = |kind: &Kind| {
        if kind.group.is_empty() {
            format!("api/{}", kind.version)
        } else {
            format!("apis/{}/{}", kind.group, kind.version)
        }
    };
    if path.is_empty() {
        let paths: BTreeMap<String, Value> = kinds
            .iter()
            .map(|kind| (at(kind), json!({"serverRelativeURL": format!("/openapi/v3/{}?hash=0", at(kind))})))
            .collect();
        return Some(json!({ "paths": paths }));
    }
    let mut paths = serde_json::Map::new();
    for kind in kinds.iter().filter(|kind| at(kind) == path) {
        let middle = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let operation = json!({
            "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
            "parameters": [{"name": "dryRun", "in": "query", "schema": {"type": "string"}},
                           {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "OK"}},
        });
        paths
            .insert(format!("/{path}/{middle}{}/{{name}}", kind.plural), json!({"patch": operation, "put": operation}));
        paths.insert(format!("/{path}/{middle}{}", kind.plural), json!({"post": operation}));
    }
    let info = json!({"title": "Kubernetes", "version": "v1.35.4"});
    (!paths.is_empty())
        .then(|| json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}))
}
