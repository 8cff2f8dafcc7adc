//! The objects that rows are about.

use serde_json::{Value, json};

/// Where the ConfigMap `c` is, which most rows are about.
pub(super) const C: &str = "/api/v1/namespaces/{ns}/configmaps/c";
/// Where ConfigMaps are made.
pub(super) const CONFIGS: &str = "/api/v1/namespaces/{ns}/configmaps";
/// Where the Deployment `w` is.
pub(super) const W: &str = "/apis/apps/v1/namespaces/{ns}/deployments/w";
/// Where definitions are made.
pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Where boats are made, which a definition of the row brings.
pub(super) const BOATS: &str = "/apis/{ns}.example/v1/namespaces/{ns}/boats";
/// Where the boat `b` is.
pub(super) const B: &str = "/apis/{ns}.example/v1/namespaces/{ns}/boats/b";

/// The path of an object.
pub(super) fn path_of(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let root = if version.contains('/') { "apis" } else { "api" };
    let place = match text("/metadata/namespace") {
        "" => String::new(),
        namespace => format!("/namespaces/{namespace}"),
    };
    format!("/{root}/{version}{place}/{}s/{name}", kind.to_lowercase())
}

/// An object of the row's namespace, with a name alone.
pub(super) fn bare(version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "{ns}"}})
}

/// The same with more: these members over its own, as deep as they go.
pub(super) fn with(mut object: Value, more: Value) -> Value {
    crate::cluster::patch::merge(&mut object, &more);
    object
}

/// The ConfigMap `c`.
pub(super) fn config(data: Value) -> Value {
    with(bare("v1", "ConfigMap", "c"), json!({ "data": data }))
}

/// The ConfigMap `c` without data, and with this in its metadata.
pub(super) fn config_with(metadata: Value) -> Value {
    with(bare("v1", "ConfigMap", "c"), json!({ "metadata": metadata }))
}

/// The Deployment `w` of no pods.
pub(super) fn web(containers: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": "w"}}, "spec": {"containers": containers}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "w"}}, "template": template});
    with(bare("apps/v1", "Deployment", "w"), json!({ "spec": spec }))
}

/// The Service `s`.
pub(super) fn service(ports: Value) -> Value {
    with(bare("v1", "Service", "s"), json!({"spec": {"selector": {"app": "w"}, "ports": ports}}))
}

/// A definition of boats, whose `spec` has this schema.
pub(super) fn definition(spec: Value) -> Value {
    let root = json!({"type": "object", "properties": {"spec": spec, "status": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
    }}});
    let version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": root}, "subresources": {"status": {}},
    });
    let names = json!({"kind": "Boat", "listKind": "BoatList", "plural": "boats", "singular": "boat"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.{ns}.example", "labels": {"table": "{mark}"}},
        "spec": {"group": "{ns}.example", "scope": "Namespaced", "names": names, "versions": [version]},
    })
}

/// The boat `b`.
pub(super) fn boat(spec: Value) -> Value {
    with(bare("{ns}.example/v1", "Boat", "b"), json!({ "spec": spec }))
}
