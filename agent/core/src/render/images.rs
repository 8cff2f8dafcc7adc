//! The images that manifests name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sync::manifest::Manifest;

/// Every image of every container in the manifests, sorted, each once.
pub fn images<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Vec<String> {
    let mut found = BTreeSet::new();
    // Definitions describe fields that are called so, and are large.
    for manifest in manifests.into_iter().filter(|manifest| manifest.defines.is_none()) {
        collect(&manifest.object.value(), &mut found);
    }
    found.into_iter().collect()
}

/// A pod's spec is where containers are, wherever that is: in a Pod, a Deployment, a CronJob or in a custom resource
/// that makes pods. So all of an object is searched, and no list of kinds is kept.
fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for list in ["initContainers", "containers", "ephemeralContainers"] {
                let containers = fields.get(list).and_then(Value::as_array).into_iter().flatten();
                let images = containers.filter_map(|container| container.get("image").and_then(Value::as_str));
                found.extend(images.filter(|image| !image.is_empty()).map(str::to_owned));
            }
            // Image volumes mount an image as files.
            let volumes = fields.get("volumes").and_then(Value::as_array).into_iter().flatten();
            let references = volumes.filter_map(|volume| volume.pointer("/image/reference").and_then(Value::as_str));
            found.extend(references.map(str::to_owned));
            fields.values().for_each(|inner| collect(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn images_of(object: &Value) -> Vec<String> {
        let mut found = BTreeSet::new();
        collect(object, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn images_are_found_wherever_pods_are_described() {
        let pod = json!({
            "initContainers": [{"name": "wait", "image": "busybox:1"}],
            "containers": [{"name": "b", "image": "b:2"}, {"name": "a", "image": "a@sha256:00"}, {"name": "none"}],
            "volumes": [{"name": "model", "image": {"reference": "models/m:1"}}],
        });
        let all = ["a@sha256:00", "b:2", "busybox:1", "models/m:1"];
        for object in [
            json!({"kind": "Pod", "spec": pod}),
            json!({"kind": "Deployment", "spec": {"template": {"spec": pod}}}),
            json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
            json!({"kind": "Rollout", "spec": {"stages": [{"template": {"spec": pod}}]}}),
        ] {
            assert_eq!(images_of(&object), all, "{object}");
        }
    }

    #[test]
    fn what_only_looks_like_containers_names_no_image() {
        let schema = json!({"containers": {"type": "array", "items": {"properties": {"image": {"type": "string"}}}}});
        for object in [json!({"kind": "ConfigMap", "data": {"containers": "image: x"}}), schema] {
            assert!(images_of(&object).is_empty(), "{object}");
        }
    }
}
