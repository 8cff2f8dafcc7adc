//! The vocabulary of the tables in each kind's file, and what holds for all kinds.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Judges the one object that a YAML text holds, and compares the verdict, written `Health: reason [summary]`.
#[track_caller]
pub(super) fn check(yaml: &str, expected: &str) {
    let verdict = assess(&object(yaml));
    assert_eq!(line(&verdict), expected, "of\n{yaml}");
}

pub(super) fn object(yaml: &str) -> Value {
    let mut documents = crate::yaml::parse(yaml.as_bytes()).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
    assert_eq!(documents.len(), 1, "{yaml}");
    documents.remove(0).value
}

pub(super) fn line(verdict: &Verdict) -> String {
    let mut line = verdict.health.to_string();
    if !verdict.reason.is_empty() {
        line += &format!(": {}", verdict.reason);
    }
    if !verdict.summary.is_empty() {
        line += &format!(" [{}]", verdict.summary);
    }
    line
}

#[test]
fn what_has_no_state_is_healthy_when_it_is_there() {
    for (version, kind) in [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    ] {
        let verdict = assess(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}}));
        assert_eq!(verdict.health, Health::Healthy, "{kind}");
    }
}

#[test]
fn what_is_no_object_is_not_judged() {
    for value in [
        json!(null),
        json!("text"),
        json!({"kind": "Pod"}),
        json!({"apiVersion": "v1"}),
        json!({"apiVersion": 1, "kind": []}),
    ] {
        assert_eq!(assess(&value).health, Health::Unknown, "{value}");
    }
}

#[test]
fn what_is_being_deleted_is_on_its_way_out() {
    check(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z'}}",
        "Progressing: it is being deleted",
    );
    check(
        "{apiVersion: example.com/v1, kind: Shop, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [example.com/clean, foregroundDeletion]},
          status: {conditions: [{type: Ready, status: 'True'}]}}",
        "Progressing: it is being deleted, and waits for example.com/clean, foregroundDeletion",
    );
}

#[test]
fn reasons_are_one_short_line() {
    let message = format!("first line\nsecond\u{1b}[31m\t{}", "x".repeat(1000));
    let object = json!({"apiVersion": "e.com/v1", "kind": "A", "status": {"conditions": [{"type": "Stalled", "status": "True", "message": message}]}});
    let reason = assess(&object).reason;
    assert!(reason.starts_with("first line second [31m xxx") && reason.ends_with("x…"), "{reason}");
    assert_eq!(reason.chars().count(), 500);
}

const KINDS: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Pod"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Service"),
    ("networking.k8s.io/v1", "Ingress"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "PersistentVolume"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("v1", "Namespace"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("example.com/v1", "Shop"),
];

/// What runs something is not well before anybody has said so.
#[test]
fn what_nobody_has_seen_yet_is_not_healthy() {
    for (version, kind) in KINDS {
        let verdict = assess(
            &json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a", "generation": 1}, "spec": {"type": "LoadBalancer"}}),
        );
        let nothing_to_wait_for = ["CronJob", "Ingress", "Shop"].contains(kind);
        let expected = if nothing_to_wait_for { Health::Healthy } else { Health::Progressing };
        assert_eq!(verdict.health, expected, "{kind}: {}", verdict.reason);
    }
}

/// Values of any shape, below the names that are looked at.
fn odd() -> impl Strategy<Value = Value> {
    let names = [
        "status",
        "spec",
        "metadata",
        "conditions",
        "type",
        "replicas",
        "phase",
        "state",
        "waiting",
        "reason",
        "containerStatuses",
        "name",
        "ready",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z]{0,6}".prop_map(Value::from),
        Just(json!("True")),
        Just(json!("Ready")),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_object_makes_it_panic(kind in prop::sample::select(KINDS.to_vec()), spec in odd(), status in odd(), metadata in odd()) {
        let object = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": metadata, "spec": spec, "status": status});
        let verdict = assess(&object);
        prop_assert_eq!(&verdict, &assess(&object));
        prop_assert!(!verdict.reason.contains('\n'));
        let _ = pod_status::pod_status(&object, &"shop/prod".parse().unwrap(), "prod");
    }
}
