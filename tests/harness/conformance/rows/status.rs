//! What is meant and what is seen are written by two ways.

use serde_json::json;

use crate::conformance::Row;
use crate::conformance::objects::{DEFINITIONS, W, bare, definition, path_of, web, with};
use crate::conformance::step::{apply, apply_at, create, get, merge};

pub(super) fn rows() -> Vec<Row> {
    // A claim of no storage class waits for ever, and no controller writes to it meanwhile.
    let claim = || {
        let spec = json!({
            "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        });
        with(bare("v1", "PersistentVolumeClaim", "p"), json!({ "spec": spec }))
    };
    let place = "/api/v1/namespaces/{ns}/persistentvolumeclaims/p";
    let seen = format!("{place}/status");
    let disruption = || with(bare("policy/v1", "PodDisruptionBudget", "d"), json!({"spec": {"minAvailable": 1}}));
    vec![
        Row::new(
            "the main way writes no status, and the way of the status no spec, but labels",
            [
                apply("one", with(claim(), json!({"status": {"phase": "Bound"}})))
                    .gives(201)
                    .has("/status/phase", "Pending")
                    .managed("one", "Apply", "", Some(json!({"f:spec": {
                        "f:accessModes": {}, "f:resources": {"f:requests": {"f:storage": {}}}, "f:storageClassName": {},
                    }}))),
                merge(place, "hand", &json!({"status": {"phase": "Lost"}})).has("/status/phase", "Pending"),
                merge(&seen, "seer", &json!({
                    "status": {"phase": "Lost"}, "metadata": {"labels": {"l": "x"}}, "spec": {"volumeName": "v"},
                }))
                    .lacks("/spec/volumeName")
                    .has("/status/phase", "Lost")
                    .has("/metadata/labels", json!({"l": "x"}))
                    .managed("seer", "Update", "status", Some(json!({
                        "f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:status": {"f:phase": {}},
                    }))),
                get(&seen).has("/status/phase", "Lost"),
            ],
        ),
        Row::new(
            "a status that is applied is owned by that way, and conflicts by it",
            [
                apply("one", claim()).gives(201),
                apply_at(&seen, "seer", &with(bare("v1", "PersistentVolumeClaim", "p"), json!({"status": {"phase": "Lost"}})))
                    .by_force()
                    .has("/status/phase", "Lost")
                    .managed("seer", "Apply", "status", Some(json!({"f:status": {"f:phase": {}}}))),
                apply_at(&seen, "two", &with(bare("v1", "PersistentVolumeClaim", "p"), json!({"status": {"phase": "Bound"}})))
                    .refused(
                        409,
                        "Conflict",
                        "Apply failed with 1 conflict: conflict with \"seer\" with subresource \"status\": .status.phase",
                    ),
            ],
        ),
        Row::new(
            "the way of a Deployment's status writes no labels, but annotations, and that of a definition too",
            [
                apply("one", web(json!([{"name": "c", "image": "i"}]))).gives(201),
                merge(&format!("{W}/status"), "seer", &json!({"metadata": {"labels": {"l": "x"}, "annotations": {"a": "y"}}}))
                    .lacks("/metadata/labels")
                    .has("/metadata/annotations/a", "y"),
                create(DEFINITIONS, &definition(json!({"type": "object"}))),
                merge(
                    &format!("{DEFINITIONS}/boats.{{ns}}.example/status"),
                    "seer",
                    &json!({"metadata": {"annotations": {"a": "y"}}}),
                )
                .has("/metadata/annotations/a", "y"),
            ],
        ),
        Row::new(
            "a status is no new generation",
            [
                apply("one", disruption()).gives(201).has("/metadata/generation", 1),
                merge(&format!("{}/status", path_of(&disruption())), "seer", &json!({"status": {"desiredHealthy": 7}}))
                    .has("/metadata/generation", 1),
            ],
        ),
        Row::new(
            "what is not there has no status, and what has none is told so",
            [
                merge(&seen, "seer", &json!({})).gives(404),
                apply("one", bare("v1", "ConfigMap", "c")).gives(201),
                merge("/api/v1/namespaces/{ns}/configmaps/c/status", "seer", &json!({})).refused(
                    404,
                    "NotFound",
                    "the server could not find the requested resource",
                ),
            ],
        ),
    ]
}
