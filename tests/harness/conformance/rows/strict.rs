//! Fields that a kind does not have, by each strictness.

use serde_json::json;

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, config, web, with};
use crate::conformance::step::{apply, create, merge, replace};

pub(super) fn rows() -> Vec<Row> {
    let odd = || with(config(json!({"a": "1"})), json!({"dataa": {"b": "2"}, "metadata": {"label": {}}}));
    let refused = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \
                   \"dataa\", unknown field \"metadata.label\"";
    let deep = || web(json!([{"name": "c", "image": "i", "imagee": "x"}]));
    vec![
        Row::new(
            "a field that is unknown is refused where that is asked for",
            [
                create(CONFIGS, &odd()).with("fieldValidation=Strict").refused(400, "BadRequest", refused),
                apply("one", config(json!({"a": "1"}))).gives(201),
                replace(C, &odd()).with("fieldValidation=Strict").refused(400, "BadRequest", refused),
                apply("one", odd()).with("fieldValidation=Strict").gives(500),
                apply("one", odd()).with("fieldValidation=Ignore").gives(500),
            ],
        ),
        Row::new(
            "a field that is unknown in a patch is refused where that is asked for",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                merge(C, "hand", &json!({"dataa": {}})).with("fieldValidation=Strict").gives(422).has("/reason", "Invalid"),
                merge(C, "hand", &json!({"dataa": {}})).warns(&["unknown field \"dataa\""]).lacks("/dataa"),
            ],
        ),
        Row::new(
            "else it is left out, with a warning or without",
            [
                create(CONFIGS, &odd())
                    .warns(&["unknown field \"dataa\"", "unknown field \"metadata.label\""])
                    .lacks("/dataa"),
                replace(C, &odd()).with("fieldValidation=Ignore").warns(&[]).lacks("/dataa"),
            ],
        ),
        Row::new(
            "a field that is unknown is told with its place",
            [
                create("/apis/apps/v1/namespaces/{ns}/deployments", &deep()).with("fieldValidation=Strict").refused(
                    400,
                    "BadRequest",
                    "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \
                     \"spec.template.spec.containers[0].imagee\"",
                ),
                create("/apis/apps/v1/namespaces/{ns}/deployments", &deep())
                    .warns(&["unknown field \"spec.template.spec.containers[0].imagee\""]),
            ],
        ),
        Row::new(
            "a value of another type is refused whatever is asked for",
            [create(CONFIGS, &with(config(json!({})), json!({"data": {"a": 1}}))).with("fieldValidation=Ignore").refused(
                400,
                "BadRequest",
                "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct \
                 field ConfigMap.data of type string",
            )],
        ),
    ]
}
