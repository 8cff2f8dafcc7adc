//! Services, claims, bindings and the rest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{each, map_of, set};

pub(super) fn service(object: &mut Value) {
    let spec = &mut object["spec"];
    set(spec, "type", "ClusterIP");
    set(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    } else if let Some(map) = spec.as_object_mut() {
        map.remove("sessionAffinityConfig");
    }
    if spec["type"] == "ExternalName" {
        return;
    }
    set(spec, "internalTrafficPolicy", "Cluster");
    if spec["type"] != "ClusterIP" {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if spec["type"] == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in each(spec, "ports") {
        set(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(json!(0));
        set(port, "targetPort", number);
    }
}

/// `stringData` is written and never read: it becomes `data`.
pub(super) fn secret(object: &mut Value) {
    set(object, "type", "Opaque");
    let Some(Value::Object(plain)) = map_of(object).remove("stringData") else { return };
    set(object, "data", json!({}));
    for (key, value) in plain {
        object["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

pub(super) fn claim(spec: &mut Value) {
    set(spec, "volumeMode", "Filesystem");
}

pub(super) fn storage_class(object: &mut Value) {
    set(object, "reclaimPolicy", "Delete");
    set(object, "volumeBindingMode", "Immediate");
}

pub(super) fn network_policy(object: &mut Value) {
    let spec = &mut object["spec"];
    let egress = spec.get("egress").is_some();
    set(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for direction in ["ingress", "egress"] {
        for rule in each(spec, direction) {
            for port in each(rule, "ports") {
                set(port, "protocol", "TCP");
            }
        }
    }
}

pub(super) fn autoscaler(object: &mut Value) {
    let spec = &mut object["spec"];
    set(spec, "minReplicas", 1);
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    set(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
}

pub(super) fn binding(object: &mut Value) {
    if object["roleRef"]["apiGroup"] == "" {
        object["roleRef"]["apiGroup"] = json!("rbac.authorization.k8s.io");
    }
    for subject in each(object, "subjects") {
        if subject["kind"] != "ServiceAccount" {
            set(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

pub(super) fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    set(&mut object["metadata"], "labels", json!({}));
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

pub(super) fn definition(object: &mut Value) {
    let spec = &mut object["spec"];
    set(spec, "conversion", json!({"strategy": "None"}));
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    set(&mut spec["names"], "singular", kind.to_lowercase());
    set(&mut spec["names"], "listKind", format!("{kind}List"));
}
