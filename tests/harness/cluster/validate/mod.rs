//! What the API refuses, in its own words: names, what is required, what may not change. Pure.
//!
//! This is the part of the server's validation that a person who writes manifests meets, not all of it: no quotas, no
//! requests above limits, no probes, affinities or security contexts.

mod metadata;

mod pod;

mod workload;

mod other;

use serde_json::Value;

use super::failure::Problem;
use super::kinds::Kind;

/// All that is wrong with a new object (`live` is none) or with a change of `live`.
pub fn problems(kind: &Kind, object: &Value, live: Option<&Value>) -> Vec<Problem> {
    let mut found = metadata::check(kind, object);
    metadata::finalizers(object, live, &mut found);
    if kind.custom {
        return found;
    }
    match kind.kind.as_str() {
        "Pod" => pod::check(object, live, &mut found),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => workload::check(kind, object, live, &mut found),
        "Job" => workload::job(object, live, &mut found),
        "CronJob" => workload::cron_job(object, &mut found),
        "Service" => other::service(object, live, &mut found),
        "ConfigMap" | "Secret" => other::data(object, live, &mut found),
        "PersistentVolumeClaim" => other::claim(object, live, &mut found),
        "Ingress" => other::ingress(object, &mut found),
        "HorizontalPodAutoscaler" => other::autoscaler(object, &mut found),
        "RoleBinding" | "ClusterRoleBinding" => other::binding(object, live, &mut found),
        "CustomResourceDefinition" => other::definition(object, &mut found),
        _ => {}
    }
    found
}

fn immutable(field: &str, object: &Value, live: Option<&Value>, found: &mut Vec<Problem>) {
    let pointer = format!("/{}", field.replace('.', "/"));
    let (new, old) = (object.pointer(&pointer), live.and_then(|live| live.pointer(&pointer)));
    if live.is_some() && new != old {
        found.push(Problem::invalid(field, new.unwrap_or(&Value::Null), "field is immutable"));
    }
}

fn not_negative(object: &Value, field: &str, found: &mut Vec<Problem>) {
    let value = object.pointer(&format!("/{}", field.replace('.', "/")));
    if let Some(value) = value.filter(|value| value.as_i64().is_some_and(|number| number < 0)) {
        found.push(Problem::invalid(field, value, "must be greater than or equal to 0"));
    }
}
