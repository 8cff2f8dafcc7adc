//! Writes that rest on what is there: an identity, a version, a namespace that stays.

use serde_json::json;

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, config, config_with, with};
use crate::conformance::step::{apply, create, delete, get, merge, replace};

const MODIFIED: &str = "Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your \
                        changes to the latest version and try again";

pub(super) fn rows() -> Vec<Row> {
    let other = "00000000-0000-0000-0000-000000000000";
    let held =
        || with(config(json!({})), json!({"metadata": {"namespace": "{ns}-b", "finalizers": ["a.example/hold"]}}));
    let space = "/api/v1/namespaces/{ns}-b";
    let late = "configmaps \"d\" is forbidden: unable to create new content in namespace {ns}-b because it is being terminated";
    vec![
        Row::new(
            "a version that has passed is a conflict, by any verb",
            [
                apply("one", config(json!({"a": "1"}))).gives(201).keeps("version", "/metadata/resourceVersion"),
                merge(C, "hand", &json!({"data": {"b": "2"}, "metadata": {"resourceVersion": "{version}"}})),
                merge(C, "hand", &json!({"data": {"b": "3"}, "metadata": {"resourceVersion": "{version}"}}))
                    .refused(409, "Conflict", MODIFIED),
                replace(C, &with(config(json!({"a": "4"})), json!({"metadata": {"resourceVersion": "{version}"}})))
                    .refused(409, "Conflict", MODIFIED),
                apply("one", with(config(json!({"a": "5"})), json!({"metadata": {"resourceVersion": "{version}"}})))
                    .refused(409, "Conflict", MODIFIED),
                get(C).has("/data", json!({"a": "1", "b": "2"})).keeps("version", "/metadata/resourceVersion"),
                apply("one", with(config(json!({"a": "5"})), json!({"metadata": {"resourceVersion": "{version}"}})))
                    .has("/data", json!({"a": "5", "b": "2"})),
            ],
        ),
        Row::new(
            "a uid does not change: a patch of another is invalid, and an update of another is a conflict",
            [
                apply("one", config(json!({"a": "1"}))).gives(201).keeps("uid", "/metadata/uid"),
                apply("one", with(config(json!({"a": "2"})), json!({"metadata": {"uid": other}}))).refused(
                    422,
                    "Invalid",
                    format!("ConfigMap \"c\" is invalid: metadata.uid: Invalid value: \"{other}\": field is immutable"),
                ),
                merge(C, "hand", &json!({"metadata": {"uid": other}})).gives(422).has("/reason", "Invalid"),
                replace(C, &with(config(json!({"a": "2"})), json!({"metadata": {"uid": other}}))).refused(
                    409,
                    "Conflict",
                    format!(
                        "Operation cannot be fulfilled on configmaps \"c\": StorageError: invalid object, Code: 4, Key: \
                         /registry/configmaps/{{ns}}/c, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
                         precondition: {other}, UID in object meta: {{uid}}"
                    ),
                ),
                apply("one", with(config(json!({"a": "2"})), json!({"metadata": {"uid": "{uid}"}})))
                    .has("/data", json!({"a": "2"})),
            ],
        ),
        Row::new(
            "a uid of what is not there makes nothing, and no version is made up",
            [
                apply("one", config_with(json!({"uid": other}))).refused(
                    409,
                    "Conflict",
                    format!(
                        "Operation cannot be fulfilled on configmaps \"c\": uid mismatch: the provided object specified uid \
                         {other}, and no existing object was found"
                    ),
                ),
                create(CONFIGS, &config_with(json!({"resourceVersion": "1"}))).refused(
                    500,
                    "",
                    "resourceVersion should not be set on objects to be created",
                ),
                get(C).gives(404),
                apply("one", config_with(json!({"resourceVersion": "1"}))).gives(201),
                apply("one", config_with(json!({"resourceVersion": "1"}))).refused(409, "Conflict", MODIFIED),
            ],
        ),
        Row::new(
            "nothing new is made in a namespace that is going, and what is in it may change",
            [
                create("/api/v1/namespaces", &json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}-b", "labels": {"table": "{mark}"}},
                }))
                .has("/spec/finalizers", json!(["kubernetes"]))
                .has("/status/phase", "Active"),
                apply("one", held()).gives(201),
                delete(space, &json!({})).has("/status/phase", "Terminating").has("/kind", "Namespace"),
                apply("one", with(held(), json!({"metadata": {"name": "d", "finalizers": null}})))
                    .refused(403, "Forbidden", late)
                    .has(
                        "/details/causes",
                        json!([{
                            "reason": "NamespaceTerminating", "field": "metadata.namespace",
                            "message": "namespace {ns}-b is being terminated",
                        }]),
                    ),
                apply("one", with(held(), json!({"metadata": {"name": "d", "finalizers": null}})))
                    .with("dryRun=All")
                    .refused(403, "Forbidden", late),
                apply("one", with(held(), json!({"data": {"a": "1"}}))).has("/data", json!({"a": "1"})),
                delete(space, &json!({})).has("/status/phase", "Terminating").lacks("/metadata/deletionGracePeriodSeconds"),
                merge(&format!("{space}/configmaps/c"), "hand", &json!({"metadata": {"finalizers": null}})),
                get(space).gives(404).in_time(),
            ],
        ),
    ]
}
