//! Watches: from a version on, from the present, and from a past that is gone.

use serde_json::json;

use super::custom::of_boats;
use crate::conformance::Row;
use crate::conformance::objects::{BOATS, C, CONFIGS, boat, config, config_with};
use crate::conformance::step::{apply, delete, get, merge};

pub(super) fn rows() -> Vec<Row> {
    let watch = "watch=true&timeoutSeconds=1";
    let open = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    vec![
        Row::new(
            "a watch tells what came after its version",
            [
                apply("one", config_with(json!({"labels": {"l": "x"}})))
                    .gives(201)
                    .keeps("version", "/metadata/resourceVersion"),
                merge(C, "hand", &json!({"data": {"a": "1"}})),
                merge(C, "hand", &json!({"metadata": {"labels": {"l": "y"}}})),
                merge(C, "hand", &json!({"metadata": {"labels": {"l": "x"}}})),
                delete(C, &json!({})),
                get(CONFIGS)
                    .with(&format!("{watch}&labelSelector=l%3Dx&resourceVersion={{version}}"))
                    .has("/0/type", "MODIFIED")
                    .has("/0/object/data", json!({"a": "1"}))
                    .has("/1/type", "DELETED")
                    .has("/2/type", "ADDED")
                    .has("/3/type", "DELETED")
                    .lacks("/4"),
            ],
        ),
        Row::new(
            "a watch without a version begins with what is there",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                get(CONFIGS)
                    .with(&format!("{watch}&fieldSelector=metadata.name%3Dc"))
                    .has("/0/type", "ADDED")
                    .has("/0/object/kind", "ConfigMap")
                    .has("/0/object/data", json!({"a": "1"}))
                    .lacks("/1"),
            ],
        ),
        Row::new(
            "a watch that sends what is there says where that ends",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                get(CONFIGS)
                    .with(&format!(
                        "{watch}&fieldSelector=metadata.name%3Dc&sendInitialEvents=true&allowWatchBookmarks=true\
                         &resourceVersionMatch=NotOlderThan"
                    ))
                    .has("/0/type", "ADDED")
                    .has("/1/type", "BOOKMARK")
                    .has("/1/object/metadata/annotations", json!({"k8s.io/initial-events-end": "true"})),
            ],
        ),
        Row::new(
            "a watch of metadata alone",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                get(CONFIGS)
                    .with(&format!("{watch}&fieldSelector=metadata.name%3Dc"))
                    .accepting("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
                    .has("/0/object/kind", "PartialObjectMetadata")
                    .lacks("/0/object/data"),
            ],
        ),
        of_boats(
            "a watch from a past that is gone is told so",
            open(),
            [
                apply("one", boat(json!({}))).gives(201),
                get(BOATS)
                    .with(&format!("{watch}&resourceVersion=1"))
                    .has("/0/type", "ERROR")
                    .has("/0/object/kind", "Status")
                    .has("/0/object/code", 410)
                    .has("/0/object/reason", "Expired")
                    .lacks("/1"),
            ],
        ),
        Row::new(
            "a watch from what is no version",
            [get(CONFIGS).with(&format!("{watch}&resourceVersion=x")).refused(
                500,
                "",
                "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax",
            )],
        ),
    ]
}
