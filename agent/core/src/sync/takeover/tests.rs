use proptest::prelude::*;

use super::*;
use crate::sync::normalize::LAST_APPLIED;

/// As kubectl 1.32 leaves a Deployment behind it, cut down, with a variable of another manager's and a controller's annotation.
fn live() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "shop", "namespace": "demo", "resourceVersion": "7",
            "annotations": {LAST_APPLIED: "{…}", "deployment.kubernetes.io/revision": "1"},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1",
                 "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:metadata": {"f:annotations": {".": {}, (format!("f:{LAST_APPLIED}")): {}}},
                    "f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}}, "f:selector": {}, "f:template": {"f:spec": {
                        "f:containers": {"k:{\"name\":\"shop\"}": {".": {}, "f:name": {}, "f:image": {}, "f:env": {
                            ".": {},
                            "k:{\"name\":\"MODE\"}": {".": {}, "f:name": {}, "f:value": {}},
                            "k:{\"name\":\"OLD\"}": {".": {}, "f:name": {}, "f:value": {}},
                        }}},
                        "f:volumes": {".": {}, "k:{\"name\":\"conf\"}": {".": {}, "f:name": {}, "f:emptyDir": {}}},
                    }}},
                }},
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}},
                }},
                {"manager": "injector", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:template": {
                    "f:spec": {"f:containers": {"k:{\"name\":\"shop\"}": {"f:env": {
                        "k:{\"name\":\"THEIRS\"}": {".": {}, "f:name": {}, "f:value": {}},
                    }}}},
                }}}},
            ],
        },
        "spec": {
            "replicas": 1, "strategy": {"type": "RollingUpdate"}, "selector": {"matchLabels": {"app": "shop"}},
            "template": {"spec": {
                "containers": [{"name": "shop", "image": "shop:1", "env": [
                    {"name": "OLD", "value": "1"}, {"name": "MODE", "value": "fast"}, {"name": "THEIRS", "value": "x"},
                ]}],
                "volumes": [{"name": "conf", "emptyDir": {}}],
            }},
        },
    })
}

fn desired() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": {"spec": {
            "containers": [{"name": "shop", "image": "shop:2", "env": [
                {"name": "NEW", "value": "1"}, {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "m"}}},
            ]}],
            "volumes": [{"name": "conf", "configMap": {"name": "shop"}}],
        }}},
    })
}

#[test]
fn what_git_leaves_out_goes_and_what_is_anothers_stays() {
    let after = predicted(&live(), &desired());
    assert_eq!(after["metadata"]["annotations"], json!({"deployment.kubernetes.io/revision": "1"}));
    assert_eq!(
        after["spec"],
        json!({"selector": {"matchLabels": {"app": "shop"}}, "template": {"spec": {
            "containers": [{"name": "shop", "image": "shop:2", "env": [
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "m"}}},
                {"name": "THEIRS", "value": "x"},
                {"name": "NEW", "value": "1"},
            ]}],
            "volumes": [{"name": "conf", "configMap": {"name": "shop"}}],
        }}})
    );
}

#[test]
fn the_fields_of_kubectl_are_ours_and_nobody_elses_are() {
    let mut object = live();
    assert_eq!(managers(&object), ["kubectl-client-side-apply"]);
    let entries = upgraded(&object).unwrap();
    assert_eq!((&entries[0]["manager"], &entries[0]["operation"]), (&json!(MANAGER), &json!("Apply")));
    assert_eq!(entries[0]["fieldsV1"], live()["metadata"]["managedFields"][0]["fieldsV1"]);
    assert_eq!(entries.as_array().unwrap()[1..], live()["metadata"]["managedFields"].as_array().unwrap()[1..]);
    object["metadata"]["managedFields"] = entries;
    assert_eq!((managers(&object).len(), upgraded(&object)), (0, None), "once is enough");
}

#[test]
fn what_was_ours_before_stays_ours_and_other_versions_of_the_api_are_given_up() {
    let entry = |manager: &str, operation: &str, version: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsV1": fields});
    let object = json!({"metadata": {"managedFields": [
        entry(MANAGER, "Apply", "v2", json!({"f:spec": {"f:min": {}, "f:target": {"f:kind": {}}}})),
        entry("kubectl-create", "Update", "v2", json!({"f:spec": {"f:max": {}, "f:target": {}}})),
        entry("kubectl-client-side-apply", "Update", "v1", json!({"f:spec": {"f:percent": {}}})),
        entry("kubectl-edit", "Update", "v2", json!({"f:spec": {"f:behaviour": {}}})),
    ]}});
    assert_eq!(managers(&object), ["kubectl-client-side-apply", "kubectl-create"]);
    assert_eq!(
        upgraded(&object).unwrap(),
        json!([
            entry(
                MANAGER,
                "Apply",
                "v2",
                json!({"f:spec": {"f:min": {}, "f:max": {}, "f:target": {".": {}, "f:kind": {}}}})
            ),
            entry("kubectl-edit", "Update", "v2", json!({"f:spec": {"f:behaviour": {}}})),
        ])
    );
}

#[test]
fn what_was_empty_when_kubectl_wrote_it_may_hold_parts_of_others() {
    let object = json!({
        "metadata": {"managedFields": [
            {"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {"f:security": {}, "f:selector": {}}}},
            {"manager": "policy", "operation": "Update", "fieldsV1": {"f:spec": {"f:security": {"f:user": {}}}}},
        ]},
        "spec": {"security": {"user": 1}, "selector": {"a": "1"}},
    });
    let desired = json!({"metadata": {}, "spec": {"security": {"group": 2}, "selector": {"b": "2"}}});
    let after = json!({"security": {"user": 1, "group": 2}, "selector": {"b": "2"}});
    assert_eq!(predicted(&object, &desired)["spec"], after);
    let nothing = json!({"metadata": {}, "spec": {}});
    assert_eq!(predicted(&object, &nothing)["spec"], json!({"security": {"user": 1}}));
}

#[test]
fn who_wrote_a_status_or_applies_is_not_taken_from() {
    for entry in [
        json!({"manager": "kubectl-create", "operation": "Update", "subresource": "status", "fieldsV1": {}}),
        json!({"manager": "kubectl-client-side-apply", "operation": "Apply", "fieldsV1": {}}),
        json!({"manager": "kubectl", "operation": "Update", "fieldsV1": {}}),
        json!({"manager": "helm", "operation": "Update", "fieldsV1": {}}),
    ] {
        assert_eq!(upgraded(&json!({"metadata": {"managedFields": [entry]}})), None);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![any::<bool>().prop_map(Value::from), (0..4).prop_map(Value::from)];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn patched(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut map = match target {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (name, change) in changes {
        match map.remove(name) {
            _ if change.is_null() => {}
            old => drop(map.insert(name.clone(), patched(old.unwrap_or(Value::Null), change))),
        }
    }
    map.into()
}

/// The set that who made the object owns: all of it.
fn all_of(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(name, below)| (format!("f:{name}"), all_of(below))).collect(),
        _ => json!({}),
    }
}

proptest! {
    #[test]
    fn the_patch_makes_one_of_the_other(a in value(), b in value()) {
        prop_assert_eq!(patched(a.clone(), &merge_patch(&a, &b)), b);
    }

    #[test]
    fn of_an_object_that_was_kubectls_alone_git_says_all(a in value(), b in value()) {
        let object = |spec: &Value| json!({"metadata": {}, "spec": spec});
        let mut live = object(&a);
        live["metadata"]["managedFields"] = json!([
            {"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": all_of(&a)}},
        ]);
        prop_assert_eq!(&predicted(&live, &object(&b))["spec"], &b);
    }
}
