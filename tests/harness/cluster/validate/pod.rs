//! Pods and pod templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cluster::failure::Problem;
use crate::cluster::store::{items, text};

pub(super) fn check(object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    spec(&object["spec"], "spec", found);
    let Some(live) = live else { return };
    if frozen(&object["spec"]) != frozen(&live["spec"]) {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        found.push(Problem::forbidden("spec", detail));
    }
}

/// What of a pod's spec cannot change.
fn frozen(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for name in ["containers", "initContainers"] {
        for container in spec.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            container["image"] = Value::Null;
        }
    }
    for name in ["activeDeadlineSeconds", "tolerations", "nodeName"] {
        spec[name] = Value::Null;
    }
    spec
}

/// A pod's spec, at `path` for the messages.
pub(super) fn spec(spec: &Value, path: &str, found: &mut Vec<Problem>) {
    if items(spec, "/containers").next().is_none() {
        found.push(Problem::required(format!("{path}.containers"), ""));
    }
    let mut volumes = BTreeSet::new();
    for (index, volume) in items(spec, "/volumes").enumerate() {
        // In the order of the server's checks the second source is the one too many.
        let sources = volume.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "name");
        let sources: Vec<&String> = sources.collect();
        for second in sources.iter().take(sources.len().saturating_sub(1)) {
            let field = format!("{path}.volumes[{index}].{second}");
            found.push(Problem::forbidden(field, "may not specify more than 1 volume type"));
        }
        if sources.len() == 1 {
            volumes.insert(text(volume, "/name"));
        }
    }
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, &format!("/{list}")).enumerate() {
            let path = format!("{path}.{list}[{index}]");
            check_container(container, &path, &volumes, found);
            let name = text(container, "/name");
            if !name.is_empty() && !names.insert(name) {
                found.push(Problem::duplicate(format!("{path}.name"), &json!(name)));
            }
        }
    }
    if !["Always", "OnFailure", "Never"].contains(&text(spec, "/restartPolicy")) {
        let allowed = ["Always", "OnFailure", "Never"];
        found.push(Problem::unsupported(format!("{path}.restartPolicy"), &spec["restartPolicy"], &allowed));
    }
}

fn check_container(container: &Value, path: &str, volumes: &BTreeSet<&str>, found: &mut Vec<Problem>) {
    for name in ["name", "image"] {
        if text(container, &format!("/{name}")).is_empty() {
            found.push(Problem::required(format!("{path}.{name}"), ""));
        }
    }
    let image = text(container, "/image");
    if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        found.push(Problem::invalid(format!("{path}.image"), &json!(image), detail));
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    if !policies.contains(&text(container, "/imagePullPolicy")) {
        found.push(Problem::unsupported(format!("{path}.imagePullPolicy"), &container["imagePullPolicy"], &policies));
    }
    for (index, port) in items(container, "/ports").enumerate() {
        let field = format!("{path}.ports[{index}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => found.push(Problem::required(field, "")),
            Some(_) => port_number(&port["containerPort"], &field, found),
        }
    }
    for (index, variable) in items(container, "/env").enumerate() {
        if text(variable, "/name").is_empty() {
            found.push(Problem::required(format!("{path}.env[{index}].name"), ""));
        }
    }
    for (index, mount) in items(container, "/volumeMounts").enumerate() {
        let name = text(mount, "/name");
        if !volumes.contains(name) {
            let field = format!("{path}.volumeMounts[{index}].name");
            found.push(Problem { field, reason: "FieldValueNotFound", text: format!("Not found: {name:?}") });
        }
    }
}

/// A port is between 1 and 65535.
pub(super) fn port_number(port: &Value, field: &str, found: &mut Vec<Problem>) {
    match port.as_i64() {
        None => found.push(Problem::required(field, "")),
        Some(1..=65_535) => {}
        Some(_) => found.push(Problem::invalid(field, port, "must be between 1 and 65535, inclusive")),
    }
}
