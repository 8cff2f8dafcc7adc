//! Services, configuration, claims and the rest.

use serde_json::{Value, json};

use super::{immutable, pod};
use crate::cluster::failure::Problem;
use crate::cluster::store::{items, number, text};

pub(super) fn service(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    let spec = &object["spec"];
    let kind = text(spec, "/type");
    let allowed = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !allowed.contains(&kind) {
        found.push(Problem::unsupported("spec.type", &spec["type"], &allowed));
    }
    let ports: Vec<&Value> = items(spec, "/ports").collect();
    if ports.is_empty() && kind != "ExternalName" && text(spec, "/clusterIP") != "None" {
        found.push(Problem::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        pod::port_number(&port["port"], &format!("spec.ports[{index}].port"), found);
        if port["targetPort"].is_number() {
            pod::port_number(&port["targetPort"], &format!("spec.ports[{index}].targetPort"), found);
        }
        if ports.len() > 1 && text(port, "/name").is_empty() {
            found.push(Problem::required(format!("spec.ports[{index}].name"), ""));
        }
    }
    let Some(live) = live else { return };
    let (old, new) = (text(live, "/spec/clusterIP"), text(spec, "/clusterIP"));
    if !old.is_empty() && old != new && kind != "ExternalName" {
        found.push(Problem::invalid("spec.clusterIPs[0]", &json!([new]), "may not change once set"));
    }
}

/// ConfigMap and Secret.
pub(super) fn data(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    for part in ["data", "binaryData"] {
        for key in object.get(part).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
            if key.is_empty() || !key.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                found.push(Problem::invalid(format!("{part}[{key}]"), &json!(key), detail));
            }
        }
    }
    immutable("type", object, live, found);
    let Some(live) = live.filter(|live| live["immutable"] == true) else { return };
    if object["immutable"] != true {
        found.push(Problem::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for part in ["data", "binaryData"] {
        if object.get(part) != live.get(part) {
            found.push(Problem::forbidden(part, "field is immutable when `immutable` is set"));
        }
    }
}

pub(super) fn claim(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    if items(object, "/spec/accessModes").next().is_none() {
        found.push(Problem::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if object.pointer("/spec/resources/requests/storage").is_none() {
        found.push(Problem::required("spec.resources[storage]", ""));
    }
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        for name in ["resources", "volumeName"] {
            spec[name] = Value::Null;
        }
        spec
    };
    if live.is_some_and(|live| fixed(live) != fixed(object)) {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        found.push(Problem::forbidden("spec", detail));
    }
}

pub(super) fn ingress(object: &Value, found: &mut Vec<Problem>) {
    let spec = &object["spec"];
    if spec.get("defaultBackend").is_none() && items(spec, "/rules").next().is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        let shown = if spec == &json!({}) { &Value::Null } else { spec };
        found.push(Problem::invalid("spec", shown, detail));
    }
    for (rule, given) in items(spec, "/rules").enumerate() {
        for (index, path) in items(given, "/http/paths").enumerate() {
            let field = format!("spec.rules[{rule}].http.paths[{index}]");
            if text(path, "/pathType").is_empty() {
                found.push(Problem::required(format!("{field}.pathType"), "pathType must be specified"));
            }
            if path.pointer("/backend/service/name").is_none() && path.pointer("/backend/resource").is_none() {
                found.push(Problem::required(
                    format!("{field}.backend"),
                    "cannot specify both resource and service backends",
                ));
            }
        }
    }
}

pub(super) fn autoscaler(object: &Value, found: &mut Vec<Problem>) {
    let most = number(object, "/spec/maxReplicas").unwrap_or(0);
    let least = number(object, "/spec/minReplicas").unwrap_or(1);
    if most < 1 {
        found.push(Problem::invalid("spec.maxReplicas", &json!(most), "must be greater than 0"));
    }
    if most < least {
        let detail = "must be greater than or equal to `minReplicas`";
        found.push(Problem::invalid("spec.maxReplicas", &json!(most), detail));
    }
    for name in ["kind", "name"] {
        if text(object, &format!("/spec/scaleTargetRef/{name}")).is_empty() {
            found.push(Problem::required(format!("spec.scaleTargetRef.{name}"), ""));
        }
    }
}

pub(super) fn binding(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    if live.is_some_and(|live| live.get("roleRef") != object.get("roleRef")) {
        let role = &object["roleRef"];
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        found.push(Problem::invalid("roleRef", &shown, "cannot change roleRef"));
    }
}

pub(super) fn definition(object: &Value, found: &mut Vec<Problem>) {
    let (name, plural, group) =
        (text(object, "/metadata/name"), text(object, "/spec/names/plural"), text(object, "/spec/group"));
    if name != format!("{plural}.{group}") {
        found.push(Problem::invalid("metadata.name", &json!(name), "must be spec.names.plural+\".\"+spec.group"));
    }
    let allowed = ["Cluster", "Namespaced"];
    if !allowed.contains(&text(object, "/spec/scope")) {
        found.push(Problem::unsupported("spec.scope", &object["spec"]["scope"], &allowed));
    }
    let stored = items(object, "/spec/versions").filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        found.push(Problem::invalid("spec.versions", &object["spec"]["versions"], detail));
    }
    for (index, version) in items(object, "/spec/versions").enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            found.push(Problem::required(field, "schemas are required"));
        }
    }
}
