//! Who owns what after which write.

use serde_json::{Value, json};

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, W, config, config_with, web};
use crate::conformance::step::{apply, create, get, merge, patch, replace};

const JSON_PATCH: &str = "application/json-patch+json";

/// As client-go's `csaupgrade` makes what client-side apply owns an applier's own.
fn taken_over(fields: Value) -> Value {
    let entry = json!({
        "manager": "one", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        "time": "2026-01-02T03:04:05Z",
    });
    json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": [entry]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "{version}"},
    ])
}

pub(super) fn rows() -> Vec<Row> {
    let both = || json!({"f:data": {"f:a": {}, "f:b": {}}});
    vec![
        Row::new(
            "an applier owns what it names, an updater what it changes, and force takes it back",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201).owns("one", both()),
                merge(C, "hand", &json!({"data": {"b": "3"}, "metadata": {"labels": {"l": "x"}}}))
                    .owns("one", json!({"f:data": {"f:a": {}}}))
                    .wrote("hand", json!({"f:data": {"f:b": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}})),
                apply("one", config(json!({"a": "1", "b": "2"})))
                    .by_force()
                    .has("/data", json!({"a": "1", "b": "2"}))
                    .has("/metadata/labels", json!({"l": "x"}))
                    .owns("one", both())
                    .wrote("hand", json!({"f:metadata": {"f:labels": {".": {}, "f:l": {}}}})),
            ],
        ),
        Row::new(
            "what two appliers share stays until both let go",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201),
                apply("two", config(json!({"b": "2"}))).owns("one", both()).owns("two", json!({"f:data": {"f:b": {}}})),
                apply("one", config_with(json!({}))).has("/data", json!({"b": "2"})).owns_nothing("one"),
                apply("two", config_with(json!({}))).lacks("/data").owns_nothing("two"),
            ],
        ),
        Row::new(
            "who applies over another's value by force has it alone, and its former owner keeps the rest",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201),
                apply("two", config(json!({"b": "9"})))
                    .by_force()
                    .has("/data", json!({"a": "1", "b": "9"}))
                    .owns("one", json!({"f:data": {"f:a": {}}}))
                    .owns("two", json!({"f:data": {"f:b": {}}})),
                apply("one", config(json!({"a": "1"}))).has("/data", json!({"a": "1", "b": "9"})),
            ],
        ),
        Row::new(
            "a conflict names the manager and the field",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                apply("two", config(json!({"a": "2"})))
                    .refused(409, "Conflict", "Apply failed with 1 conflict: conflict with \"one\": .data.a")
                    .has(
                        "/details/causes",
                        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"}]),
                    ),
                get(C).has("/data", json!({"a": "1"})).owns_nothing("two"),
            ],
        ),
        Row::new(
            "conflicts of many are told by manager",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201),
                merge(C, "hand", &json!({"data": {"b": "3"}})),
                apply("two", config(json!({"a": "9", "b": "9"})))
                    .refused(
                        409,
                        "Conflict",
                        "Apply failed with 2 conflicts: conflicts with \"hand\" using v1:\n- .data.b\n\
                         conflicts with \"one\":\n- .data.a",
                    ),
            ],
        ),
        Row::new(
            "who scales is named with the way that was taken",
            [
                apply("one", web(json!([{"name": "c", "image": "i"}]))).gives(201),
                merge(&format!("{W}/scale"), "scaler", &json!({"spec": {"replicas": 0}})),
                merge(W, "hand", &json!({"spec": {"paused": true}})),
                merge(&format!("{W}/scale"), "scaler", &json!({"spec": {"replicas": 2}}))
                    .has("/spec", json!({"replicas": 2})),
                apply("one", web(json!([{"name": "c", "image": "i"}]))).refused(
                    409,
                    "Conflict",
                    "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using apps/v1: \
                     .spec.replicas",
                ),
                merge(&format!("{W}/scale"), "scaler", &json!({"spec": {"replicas": 0}})),
            ],
        ),
        Row::new(
            "an object of no known manager belongs to before-first-apply",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                merge(C, "hand", &json!({"metadata": {"managedFields": [{}]}})).lacks("/metadata/managedFields"),
                apply("two", config(json!({"b": "2"})))
                    .wrote("before-first-apply", json!({"f:data": {".": {}, "f:a": {}}}))
                    .owns("two", json!({"f:data": {"f:b": {}}}))
                    .has("/data", json!({"a": "1", "b": "2"})),
            ],
        ),
        Row::new(
            "who made an object by POST owns it whole, and its fields stay when it is applied",
            [
                create(CONFIGS, &config(json!({"a": "1", "b": "2"})))
                    .with("fieldManager=maker")
                    .wrote("maker", json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})),
                apply("one", config(json!({"a": "1"})))
                    .wrote("maker", json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}))
                    .owns("one", json!({"f:data": {"f:a": {}}})),
                apply("one", config_with(json!({}))).has("/data", json!({"a": "1", "b": "2"})),
            ],
        ),
        Row::new(
            "who replaces an object owns what differs, and what is left out goes from everybody",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201),
                replace(C, &config(json!({"a": "1", "c": "3"})))
                    .with("fieldManager=hand")
                    .has("/data", json!({"a": "1", "c": "3"}))
                    .owns("one", json!({"f:data": {"f:a": {}}}))
                    .wrote("hand", json!({"f:data": {"f:c": {}}})),
                apply("one", config(json!({"a": "1", "b": "2"}))).has("/data", json!({"a": "1", "b": "2", "c": "3"})),
            ],
        ),
        Row::new(
            "fields of client-side apply that are made an applier's go when it names them no more",
            [
                create(CONFIGS, &config(json!({"a": "1", "b": "2"})))
                    .with("fieldManager=kubectl-client-side-apply")
                    .keeps("version", "/metadata/resourceVersion"),
                apply("one", config(json!({"a": "1"}))).with("dryRun=All").has("/data", json!({"a": "1", "b": "2"})),
                patch(C, JSON_PATCH, &taken_over(json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})))
                    .with("fieldManager=one")
                    .has("/data", json!({"a": "1", "b": "2"}))
                    .managed("kubectl-client-side-apply", "Update", "", None)
                    .owns("one", json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})),
                apply("one", config(json!({"a": "1"})))
                    .by_force()
                    .has("/data", json!({"a": "1"}))
                    .owns("one", json!({"f:data": {"f:a": {}}})),
            ],
        ),
        Row::new(
            "owners are not changed of an object that was written meanwhile",
            [
                create(CONFIGS, &config(json!({"a": "1"})))
                    .with("fieldManager=kubectl-client-side-apply")
                    .keeps("version", "/metadata/resourceVersion"),
                merge(C, "hand", &json!({"data": {"b": "2"}})),
                patch(C, JSON_PATCH, &taken_over(json!({"f:data": {".": {}, "f:a": {}}}))).with("fieldManager=one").refused(
                    409,
                    "Conflict",
                    "Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your changes \
                     to the latest version and try again",
                ),
                get(C).owns_nothing("one"),
            ],
        ),
        Row::new(
            "a merge patch that is tried out shows the defaults of what it takes away, and writes nothing",
            [
                create("/apis/apps/v1/namespaces/{ns}/deployments", &web(json!([{"name": "c", "image": "i"}])))
                    .with("fieldManager=kubectl-create"),
                merge(W, "one", &json!({"spec": {"replicas": null, "paused": true}}))
                    .with("fieldValidation=Strict&dryRun=All")
                    .has("/spec/replicas", 1)
                    .has("/spec/paused", true),
                get(W).has("/spec/replicas", 0).lacks("/spec/paused"),
            ],
        ),
        Row::new(
            "the same again is no write and a time that stays",
            [
                apply("one", config(json!({"a": "1"})))
                    .gives(201)
                    .keeps("version", "/metadata/resourceVersion")
                    .keeps("time", "/metadata/managedFields/0/time"),
                apply("one", config(json!({"a": "1"})))
                    .has("/metadata/resourceVersion", "{version}")
                    .has("/metadata/managedFields/0/time", "{time}"),
                merge(C, "hand", &json!({"data": {"a": "1"}})).has("/metadata/resourceVersion", "{version}"),
            ],
        ),
        Row::new(
            "labels and annotations that are named no more go, and those of others stay",
            [
                apply("one", config_with(json!({"labels": {"a": "1", "b": "2"}, "annotations": {"n": "1"}}))).gives(201),
                merge(C, "hand", &json!({"metadata": {"annotations": {"theirs": "too"}}})),
                apply("one", config_with(json!({"labels": {"b": "2"}})))
                    .has("/metadata/labels", json!({"b": "2"}))
                    .has("/metadata/annotations", json!({"theirs": "too"})),
                apply("one", config_with(json!({}))).lacks("/metadata/labels").owns_nothing("one"),
            ],
        ),
    ]
}
