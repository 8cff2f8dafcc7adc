//! Get and list: by label, by page, metadata alone; and what one may.

use serde_json::{Value, json};

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, bare, config, config_with, with};
use crate::conformance::step::{apply, create, get};

pub(super) fn rows() -> Vec<Row> {
    let labelled =
        |name: &str, label: &str| with(bare("v1", "ConfigMap", name), json!({"metadata": {"labels": {"l": label}}}));
    vec![
        Row::new(
            "metadata alone is shown to who asks for it",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                get(C)
                    .accepting("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json")
                    .has("/kind", "PartialObjectMetadata")
                    .has("/apiVersion", "meta.k8s.io/v1")
                    .has("/metadata/name", "c")
                    .lacks("/data"),
                get(CONFIGS)
                    .with("labelSelector=l%3Dx")
                    .accepting("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
                    .has("/kind", "PartialObjectMetadataList")
                    .has("/items", Value::Null),
                get(CONFIGS).with("labelSelector=l%3Dx").has("/items", json!([])),
            ],
        ),
        Row::new(
            "a list is by label, and by page",
            [
                apply("one", labelled("a", "x")).gives(201),
                apply("one", labelled("b", "y")).gives(201),
                apply("one", labelled("c", "x")).gives(201),
                get(CONFIGS)
                    .with("labelSelector=l%3Dx")
                    .has("/kind", "ConfigMapList")
                    .has("/items/0/metadata/name", "a")
                    .lacks("/items/0/kind")
                    .has("/items/1/metadata/name", "c")
                    .lacks("/items/2")
                    .lacks("/metadata/continue"),
                get(CONFIGS)
                    .with("labelSelector=l&limit=2")
                    .has("/items/1/metadata/name", "b")
                    .keeps("next", "/metadata/continue"),
                get(CONFIGS)
                    .with("labelSelector=l&limit=2&continue={next}")
                    .has("/items/0/metadata/name", "c")
                    .lacks("/items/1")
                    .lacks("/metadata/continue"),
                get(CONFIGS).with("labelSelector=l+in+(y)").has("/items/0/metadata/name", "b").lacks("/items/1"),
                get(CONFIGS)
                    .with("fieldSelector=metadata.name%3Db")
                    .has("/items/0/metadata/name", "b")
                    .lacks("/items/1"),
            ],
        ),
        Row::new(
            "a version that nobody has reached is waited for, and then told",
            [
                apply("one", config_with(json!({}))).gives(201),
                get(C).with("resourceVersion=0").in_time(),
                get(CONFIGS)
                    .with("resourceVersion=999999999999&limit=1")
                    .gives(504)
                    .has("/reason", "Timeout")
                    .has("/details/causes/0/reason", "ResourceVersionTooLarge"),
            ],
        ),
        Row::new(
            "one may what nobody forbids",
            [create(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                &json!({
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": {"namespace": "{ns}", "verb": "patch", "resource": "configmaps"}},
                }),
            )
            .has("/status/allowed", true)],
        ),
    ]
}
