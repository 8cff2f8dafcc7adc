//! What the API fills in where a manifest says nothing, so that a live object differs from its manifest as a real one
//! does. Pure: what has to be allocated (addresses, ports, uids) is in `assign.rs`.

mod pod;

mod workload;

mod other;

use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// Fills in the defaults of this kind.
pub fn complete(kind: &Kind, object: &mut Value) {
    if kind.custom {
        return; // its schema did it
    }
    match kind.kind.as_str() {
        "Pod" => pod::pod(object),
        "Deployment" => workload::deployment(object),
        "ReplicaSet" => workload::replica_set(object),
        "StatefulSet" => workload::stateful_set(object),
        "DaemonSet" => workload::daemon_set(object),
        "Job" => workload::job(object),
        "CronJob" => workload::cron_job(object),
        "Service" => other::service(object),
        "Secret" => other::secret(object),
        "PersistentVolumeClaim" => other::claim(&mut object["spec"]),
        "NetworkPolicy" => other::network_policy(object),
        "HorizontalPodAutoscaler" => other::autoscaler(object),
        "RoleBinding" | "ClusterRoleBinding" => other::binding(object),
        "StorageClass" => other::storage_class(object),
        "Namespace" => other::namespace(object),
        "CustomResourceDefinition" => other::definition(object),
        _ => {}
    }
}

pub use pod::pod_spec;

/// Sets a member of an object that is not there yet.
fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    let map = map_of(object);
    if !map.contains_key(name) {
        map.insert(name.to_owned(), value.into());
    }
}

/// The object as a map; anything else becomes an empty one, as the typed decoder would refuse it before.
fn map_of(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    object.as_object_mut().expect("it was just made a map")
}

/// The items of a list, if it is there.
fn each<'a>(object: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}
