//! Custom resources: with a schema, without one, and when their definition comes and goes.

use serde_json::{Value, json};

use crate::conformance::objects::{B, BOATS, DEFINITIONS, bare, boat, definition, with};
use crate::conformance::step::{apply, create, delete, get, merge, patch, replace};
use crate::conformance::{Row, Step};

/// A row about boats: their definition, and what is asked of it once it is served.
pub(super) fn of_boats<const N: usize>(name: &'static str, spec: Value, steps: [Step; N]) -> Row {
    let served = [create(DEFINITIONS, &definition(spec)), get(BOATS).in_time()];
    Row::new(name, served.into_iter().chain(steps).collect::<Vec<_>>())
}

fn strict() -> Value {
    json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "size": {"type": "integer", "default": 3},
            "rig": {"type": "string", "enum": ["sloop", "ketch"]},
            "loose": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "crew": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "rank": {"type": "string"},
                }},
            },
            "flags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ports": {"type": "array", "items": {"type": "string"}},
        },
    })
}

fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        of_boats(
            "a schema gives defaults and takes fields one by one",
            strict(),
            [
                apply("one", boat(json!({"name": "x", "crew": [{"name": "ann"}], "flags": ["a"], "ports": ["p"]})))
                    .gives(201)
                    .has("/spec/size", 3)
                    .has("/metadata/generation", 1)
                    .owns("one", json!({"f:spec": {
                        "f:name": {}, "f:crew": {"k:{\"name\":\"ann\"}": {".": {}, "f:name": {}}},
                        "f:flags": {"v:\"a\"": {}}, "f:ports": {},
                    }})),
                apply("two", boat(json!({"name": "x", "crew": [{"name": "bob", "rank": "mate"}], "flags": ["b"]})))
                    .has("/spec/crew", json!([{"name": "ann"}, {"name": "bob", "rank": "mate"}]))
                    .has("/spec/flags", json!(["a", "b"])),
                apply("one", boat(json!({"name": "x"})))
                    .has("/spec/crew", json!([{"name": "bob", "rank": "mate"}]))
                    .has("/spec/flags", json!(["b"]))
                    .lacks("/spec/ports"),
            ],
        ),
        of_boats(
            "what a schema does not allow is refused",
            strict(),
            [
                apply("one", boat(json!({"size": 1}))).refused(
                    422,
                    "Invalid",
                    "Boat.{ns}.example \"b\" is invalid: spec.name: Required value",
                ),
                apply("one", boat(json!({"name": "x", "rig": "raft"}))).refused(
                    422,
                    "Invalid",
                    "Boat.{ns}.example \"b\" is invalid: spec.rig: Unsupported value: \"raft\": supported values: \"sloop\", \
                     \"ketch\"",
                ),
                create(BOATS, &boat(json!({"name": "x", "size": "big"}))).refused(
                    422,
                    "Invalid",
                    "Boat.{ns}.example \"b\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of \
                     type integer: \"string\"",
                ),
                apply("one", boat(json!({"name": "x", "size": "big"}))).gives(500),
                get(B).gives(404),
            ],
        ),
        of_boats(
            "what a schema does not know is left out, told or refused, and kept where that is allowed",
            strict(),
            [
                apply("one", boat(json!({"name": "x", "mast": 2}))).refused(
                    500,
                    "",
                    "failed to create typed patch object ({ns}/b; {ns}.example/v1, Kind=Boat): .spec.mast: field not \
                     declared in schema",
                ),
                create(BOATS, &boat(json!({"name": "x", "mast": 2}))).with("fieldValidation=Strict").refused(
                    400,
                    "BadRequest",
                    "Boat in version \"v1\" cannot be handled as a Boat: strict decoding error: unknown field \"spec.mast\"",
                ),
                create(BOATS, &boat(json!({"name": "x", "mast": 2, "loose": {"any": [1]}})))
                    .warns(&["unknown field \"spec.mast\""])
                    .has("/spec", json!({"name": "x", "size": 3, "loose": {"any": [1]}})),
            ],
        ),
        of_boats(
            "without a schema anything goes: maps merge by key, lists are one thing",
            open(),
            [
                apply("one", boat(json!({"a": {"b": 1}, "list": [1, {"x": 2}]})))
                    .gives(201)
                    .owns("one", json!({"f:spec": {"f:a": {".": {}, "f:b": {}}, "f:list": {}}})),
                apply("two", boat(json!({"a": {"c": "text"}}))).has("/spec/a", json!({"b": 1, "c": "text"})),
                apply("two", boat(json!({"list": [2]}))).refused(
                    409,
                    "Conflict",
                    "Apply failed with 1 conflict: conflict with \"one\": .spec.list",
                ),
                apply("one", boat(json!({"list": [3]}))).has("/spec", json!({"a": {"c": "text"}, "list": [3]})),
            ],
        ),
        of_boats(
            "a custom resource is replaced by its version alone, and no strategic patch is for it",
            open(),
            [
                apply("one", boat(json!({"a": 1}))).gives(201).keeps("version", "/metadata/resourceVersion"),
                replace(B, &boat(json!({"a": 2}))).gives(422).has("/reason", "Invalid"),
                replace(B, &with(boat(json!({"a": 2})), json!({"metadata": {"resourceVersion": "{version}"}})))
                    .has("/metadata/generation", 2),
                patch(B, "application/strategic-merge-patch+json", &json!({})).gives(415),
            ],
        ),
        of_boats(
            "the way of a custom resource's status writes no labels, and says whose they would be",
            open(),
            [
                apply("one", with(boat(json!({"a": 1})), json!({"status": {"ready": true}}))).gives(201).lacks("/status"),
                merge(&format!("{B}/status"), "seer", &json!({
                    "status": {"ready": true}, "spec": {"a": 2}, "metadata": {"labels": {"l": "x"}},
                }))
                    .lacks("/metadata/labels")
                    .has("/status", json!({"ready": true}))
                    .has("/spec", json!({"a": 1}))
                    .has("/metadata/generation", 1)
                    .managed("seer", "Update", "status", Some(json!({"f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:status": {".": {}, "f:ready": {}}}))),
            ],
        ),
        of_boats(
            "a definition that goes takes its objects along, and its kind is served no more",
            open(),
            [
                apply("one", boat(json!({}))).gives(201),
                delete(&format!("{DEFINITIONS}/boats.{{ns}}.example"), &json!({})),
                get(&format!("{DEFINITIONS}/boats.{{ns}}.example")).gives(404).in_time(),
                get(B).gives(404).in_time(),
                apply("one", bare("{ns}.example/v1", "Boat", "b")).gives(404),
            ],
        ),
        Row::new(
            "a definition that is half one is refused",
            [create(
                DEFINITIONS,
                &with(definition(open()), json!({"metadata": {"name": "ships.{ns}.example"}})),
            )
            .gives(422)
            .has("/details/causes/0/field", "metadata.name")],
        ),
    ]
}
