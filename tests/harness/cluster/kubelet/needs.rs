//! What a pod needs from the cluster before it can run: a place, volumes, configuration, a login. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cluster::store::{Key, State, items, text};

/// Why the pod cannot be placed on our node, in the scheduler's words.
pub(super) fn unschedulable(state: &State, pod: &Value) -> Option<String> {
    let node = state.get(&Key::new("nodes", "", super::NODE));
    let labels = node.and_then(|node| node.pointer("/metadata/labels")).cloned().unwrap_or_default();
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
    if wanted.into_iter().any(|(key, value)| labels.get(key) != Some(value)) {
        return Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.".to_owned());
    }
    let namespace = text(pod, "/metadata/namespace");
    for name in items(pod, "/spec/volumes").map(|volume| text(volume, "/persistentVolumeClaim/claimName")) {
        match (name.is_empty(), state.get(&Key::new("persistentvolumeclaims", namespace, name))) {
            (true, _) => {}
            (false, None) => return Some(format!("persistentvolumeclaim {name:?} not found")),
            (false, Some(claim)) if text(claim, "/status/phase") != "Bound" => {
                let why = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
                return Some(why.to_owned());
            }
            (false, Some(_)) => {}
        }
    }
    None
}

/// The first volume that cannot be mounted, and why.
pub(super) fn unmounted(state: &State, pod: &Value) -> Option<(String, String)> {
    let namespace = text(pod, "/metadata/namespace");
    for volume in items(pod, "/spec/volumes") {
        let sources = [
            ("configmap", "configmaps", volume.pointer("/configMap"), "/name"),
            ("secret", "secrets", volume.pointer("/secret"), "/secretName"),
        ];
        for (word, resource, source, pointer) in sources {
            let Some(source) = source else { continue };
            let name = text(source, pointer);
            let optional = source["optional"] == true;
            if !optional && state.get(&Key::new(resource, namespace, name)).is_none() {
                return Some((text(volume, "/name").to_owned(), format!("{word} {name:?} not found")));
            }
        }
    }
    None
}

/// Why the container's environment cannot be made.
pub(super) fn unconfigured(state: &State, pod: &Value, container: &Value) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    let find = |resource: &str, name: &str| state.get(&Key::new(resource, namespace, name));
    let sources = [("configmap", "ConfigMap", "configmaps", "configMap"), ("secret", "Secret", "secrets", "secret")];
    for (word, kind, resource, field) in sources {
        for from in items(container, "/envFrom").filter_map(|from| from.get(format!("{field}Ref"))) {
            let name = text(from, "/name");
            if from["optional"] != true && find(resource, name).is_none() {
                return Some(format!("{word} {name:?} not found"));
            }
        }
        let references = items(container, "/env").filter_map(|variable| {
            let from = variable.get("valueFrom")?;
            from.get(format!("{field}KeyRef"))
        });
        for reference in references.filter(|reference| reference["optional"] != true) {
            let (name, key) = (text(reference, "/name"), text(reference, "/key"));
            match find(resource, name) {
                None => return Some(format!("{word} {name:?} not found")),
                Some(object) if object["data"].get(key).is_none() => {
                    return Some(format!("couldn't find key {key} in {kind} {namespace}/{name}"));
                }
                Some(_) => {}
            }
        }
    }
    None
}

/// The login that the pod's pull secrets, or those of its service account, hold for the image's registry.
pub(super) fn login(state: &State, pod: &Value, image: &str) -> Option<(String, String)> {
    let namespace = text(pod, "/metadata/namespace");
    let account = state.get(&Key::new("serviceaccounts", namespace, text(pod, "/spec/serviceAccountName")));
    let own = items(pod, "/spec/imagePullSecrets").map(|secret| text(secret, "/name").to_owned());
    let inherited = account.into_iter().flat_map(|account| items(account, "/imagePullSecrets"));
    let names: Vec<String> = own.chain(inherited.map(|secret| text(secret, "/name").to_owned())).collect();
    let host = image.split('/').next().unwrap_or_default();
    names.iter().find_map(|name| {
        let secret = state.get(&Key::new("secrets", namespace, name))?;
        let config = STANDARD.decode(text(secret, "/data/.dockerconfigjson")).ok()?;
        let config: Value = serde_json::from_slice(&config).ok()?;
        let entry = config.get("auths")?.get(host)?;
        if let (Some(user), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
            return Some((user.to_owned(), password.to_owned()));
        }
        let auth = String::from_utf8(STANDARD.decode(text(entry, "/auth")).ok()?).ok()?;
        auth.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    })
}
