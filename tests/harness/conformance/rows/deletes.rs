//! Deletes: under conditions, held by finalizers, with what hangs on them.

use serde_json::{Value, json};

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, W, bare, config, config_with, path_of, service, web};
use crate::conformance::step::{apply, delete, get, merge};

pub(super) fn rows() -> Vec<Row> {
    let other = "00000000-0000-0000-0000-000000000000";
    let held = || config_with(json!({"finalizers": ["a.example/hold"]}));
    vec![
        Row::new(
            "a delete of another uid or version is a conflict, and of the right ones it is done",
            [
                apply("one", config(json!({"a": "1"})))
                    .gives(201)
                    .keeps("uid", "/metadata/uid")
                    .keeps("version", "/metadata/resourceVersion"),
                delete(C, &json!({"preconditions": {"uid": other}})).refused(
                    409,
                    "Conflict",
                    format!(
                        "Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition ({other}) does not \
                         match the UID in record ({{uid}}). The object might have been deleted and then recreated"
                    ),
                ),
                delete(C, &json!({"preconditions": {"resourceVersion": "1"}})).refused(
                    409,
                    "Conflict",
                    "Operation cannot be fulfilled on ConfigMap \"c\": the ResourceVersion in the precondition (1) does not \
                     match the ResourceVersion in record ({version}). The object might have been modified",
                ),
                get(C),
                delete(C, &json!({"preconditions": {"uid": "{uid}", "resourceVersion": "{version}"}})).has(
                    "/details",
                    json!({"name": "c", "kind": "configmaps", "uid": "{uid}"}),
                ),
                get(C).gives(404),
                delete(C, &json!({})).refused(404, "NotFound", "configmaps \"c\" not found"),
            ],
        ),
        Row::new(
            "a finalizer holds what is deleted until it is taken away",
            [
                apply("one", held()).gives(201).keeps("version", "/metadata/resourceVersion"),
                delete(C, &json!({"propagationPolicy": "Background"}))
                    .has("/metadata/finalizers", json!(["a.example/hold"]))
                    .has("/metadata/deletionGracePeriodSeconds", 0)
                    .keeps("since", "/metadata/deletionTimestamp")
                    .keeps("version", "/metadata/resourceVersion"),
                delete(C, &json!({}))
                    .has("/metadata/deletionTimestamp", "{since}")
                    .has("/metadata/resourceVersion", "{version}"),
                merge(C, "hand", &json!({"metadata": {"finalizers": ["a.example/hold", "a.example/more"]}})).refused(
                    422,
                    "Invalid",
                    "ConfigMap \"c\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the \
                     object is being deleted, found new finalizers []string{\"a.example/more\"}",
                ),
                merge(C, "hand", &json!({"data": {"a": "1"}})).has("/metadata/deletionTimestamp", "{since}"),
                apply("one", config_with(json!({}))).lacks("/metadata/finalizers"),
                get(C).gives(404),
            ],
        ),
        Row::new(
            "an object that is on its way out is not made again before it is gone",
            [
                apply("one", held()).gives(201).keeps("uid", "/metadata/uid"),
                delete(C, &json!({})),
                apply("one", held()).has("/metadata/uid", "{uid}"),
                merge(C, "hand", &json!({"metadata": {"finalizers": null}})),
                apply("one", config(json!({}))).gives(201).lacks("/metadata/deletionTimestamp"),
            ],
        ),
        Row::new(
            "a delete in the foreground waits for what hangs on the object",
            [
                apply("one", web(json!([{"name": "c", "image": "i"}]))).gives(201),
                merge(W, "hand", &json!({"metadata": {"finalizers": ["a.example/hold"]}})),
                delete(W, &json!({"propagationPolicy": "Foreground"}))
                    .has("/metadata/finalizers", json!(["a.example/hold", "foregroundDeletion"])),
                merge(W, "hand", &json!({"metadata": {"finalizers": null}})),
                get(W).gives(404),
            ],
        ),
        Row::new(
            "what a deleted object owned goes after it",
            [
                apply("one", bare("v1", "Secret", "owner")).gives(201).keeps("uid", "/metadata/uid"),
                apply(
                    "one",
                    config_with(json!({"ownerReferences": [
                        {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": "{uid}"},
                    ]})),
                )
                .gives(201),
                delete(&path_of(&bare("v1", "Secret", "owner")), &json!({"propagationPolicy": "Background"})),
                get(C).gives(404).in_time(),
            ],
        ),
        Row::new(
            "a Service is shown once more when it goes, and a dry run leaves it",
            [
                apply("one", service(json!([{"port": 80}]))).gives(201).keeps("uid", "/metadata/uid"),
                delete(&path_of(&service(json!([]))), &json!({"dryRun": ["All"]})).has("/metadata/uid", "{uid}"),
                delete(&path_of(&service(json!([]))), &json!({})).has("/kind", "Service").has("/metadata/uid", "{uid}"),
            ],
        ),
        Row::new(
            "of a delete with a body the body counts, and else the query",
            [
                apply("one", held()).gives(201),
                delete(C, &Value::Null).with("dryRun=All&propagationPolicy=Foreground").has("/metadata/finalizers", json!(["a.example/hold", "foregroundDeletion"])),
                get(C).lacks("/metadata/deletionTimestamp"),
                delete(C, &json!({"propagationPolicy": "Background"}))
                    .with("dryRun=All&propagationPolicy=Foreground")
                    .has("/metadata/finalizers", json!(["a.example/hold"])),
                get(C).has("/metadata/deletionGracePeriodSeconds", 0),
                merge(C, "hand", &json!({"metadata": {"finalizers": null}})),
            ],
        ),
        Row::new(
            "all of a label go at once",
            [
                apply("one", config_with(json!({"labels": {"l": "x"}}))).gives(201),
                apply("one", bare("v1", "ConfigMap", "d")).gives(201),
                delete(CONFIGS, &json!({})).with("labelSelector=l%3Dx").has("/items/0/metadata/name", "c"),
                get(C).gives(404),
                get(&path_of(&bare("v1", "ConfigMap", "d"))),
            ],
        ),
    ]
}
