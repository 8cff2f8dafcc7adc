//! What is refused, and in which words: the type, the place, what may not change.

use serde_json::json;

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, W, bare, config, config_with, path_of, service, web, with};
use crate::conformance::step::{apply, apply_at, create, get, merge, patch, replace};

/// Where another ConfigMap would be.
const D: &str = "/api/v1/namespaces/{ns}/configmaps/d";

/// How the typed merge begins to tell of a misfit in the containers of [`web`].
const MISFIT: &str =
    "failed to create typed patch object ({ns}/w; apps/v1, Kind=Deployment): .spec.template.spec.containers";

pub(super) fn rows() -> Vec<Row> {
    let misfit = |container, said: &str| {
        apply("one", web(json!([container]))).by_force().refused(500, "", format!("{MISFIT}{said}"))
    };
    let immutable = "field is immutable when `immutable` is set";
    vec![
        Row::new(
            "what is not of its type is told as the typed merge tells it",
            [
                misfit(json!({"name": "c", "imagee": "x"}), "[name=\"c\"].imagee: field not declared in schema"),
                misfit(
                    json!({"name": "c", "env": [{"name": "P", "value": 80}]}),
                    "[name=\"c\"].env[name=\"P\"].value: expected string, got &value.valueUnstructured{Value:80}",
                ),
                misfit(
                    json!({"name": "c", "env": [{"name": "P"}, {"name": "P"}]}),
                    "[name=\"c\"].env: duplicate entries for key [name=\"P\"]",
                ),
                misfit(json!({"name": "c", "ports": {"a": 1}}), "[name=\"c\"].ports: expected list, got &{map[a:1]}"),
                apply("one", web(json!([{"image": "i"}]))).refused(
                    422,
                    "Invalid",
                    "Deployment.apps \"w\" is invalid: spec.template.spec.containers[0].name: Required value",
                ),
            ],
        ),
        Row::new(
            "the same of a kind of the core group",
            [apply("one", with(config(json!({})), json!({"data": "text"}))).refused(
                500,
                "",
                "failed to create typed patch object ({ns}/c; /v1, Kind=ConfigMap): .data: expected map, got \
                 &{text}",
            )],
        ),
        Row::new(
            "an apply says who it is, and of which type",
            [
                patch(C, "application/apply-patch+yaml", &config(json!({}))).refused(
                    422,
                    "Invalid",
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                ),
                apply_at(C, "one", &bare("v1", "Secret", "c"))
                    .gives(400)
                    .has("/reason", "BadRequest"),
                apply_at(C, "one", &bare("v2", "ConfigMap", "c")).gives(400),
                merge(C, "one", &json!({})).by_force().refused(
                    422,
                    "Invalid",
                    "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
                ),
            ],
        ),
        Row::new(
            "who applies gives no managers of its own",
            [apply("one", config_with(json!({"managedFields": [{"manager": "x", "operation": "Apply"}]}))).refused(
                400,
                "BadRequest",
                "metadata.managedFields must be nil",
            )],
        ),
        Row::new(
            "an apply has a name, and makes none up",
            [
                apply_at(CONFIGS, "one", &json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-", "namespace": "{ns}"},
                }))
                .refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
                apply("one", config_with(json!({"generateName": "c-"}))).gives(201).has("/metadata/name", "c"),
                create(CONFIGS, &json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"},
                }))
                .has("/metadata/generateName", "made-"),
            ],
        ),
        Row::new(
            "name and namespace are those of the path",
            [
                apply_at(C, "one", &bare("v1", "ConfigMap", "d")).refused(
                    400,
                    "BadRequest",
                    "the name of the object (d) does not match the name on the URL (c)",
                ),
                apply_at(C, "one", &with(config(json!({})), json!({"metadata": {"namespace": "default"}}))).refused(
                    400,
                    "BadRequest",
                    "the namespace of the provided object does not match the namespace sent on the request",
                ),
                apply_at(C, "one", &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}})).refused(
                    400,
                    "BadRequest",
                    "the name of the object (c based on URL) was undeterminable: name must be provided",
                ),
                apply_at(C, "one", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}))
                    .gives(201)
                    .has("/metadata/name", "c")
                    .has("/metadata/namespace", "{ns}"),
            ],
        ),
        Row::new(
            "a namespace that is not there, and a kind that is not served",
            [
                apply("one", with(config(json!({})), json!({"metadata": {"namespace": "{ns}-not"}}))).refused(
                    404,
                    "NotFound",
                    "namespaces \"{ns}-not\" not found",
                ),
                apply("one", bare("v1", "Boat", "b")).refused(
                    404,
                    "NotFound",
                    "the server could not find the requested resource",
                ),
                get("/apis/no.example/v1/boats").gives(404),
            ],
        ),
        Row::new(
            "a selector of a Deployment stays as it is",
            [
                apply("one", web(json!([{"name": "c", "image": "i"}]))).gives(201),
                apply(
                    "one",
                    with(
                        web(json!([{"name": "c", "image": "i"}])),
                        json!({"spec": {
                            "selector": {"matchLabels": {"app": null, "b": "c"}},
                            "template": {"metadata": {"labels": {"b": "c"}}},
                        }}),
                    ),
                )
                .by_force()
                .refused(
                    422,
                    "Invalid",
                    "Deployment.apps \"w\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"b\":\"c\"}}: field is \
                     immutable",
                ),
                merge(W, "hand", &json!({"spec": {"template": {"metadata": {"labels": {"app": "z"}}}}})).gives(422).has(
                    "/details/causes/0",
                    json!({
                        "reason": "FieldValueInvalid", "field": "spec.template.metadata.labels",
                        "message": "Invalid value: {\"app\":\"z\"}: `selector` does not match template `labels`",
                    }),
                ),
            ],
        ),
        Row::new(
            "what says that it is immutable is so",
            [
                apply("one", with(config(json!({"a": "1"})), json!({"immutable": true}))).gives(201),
                apply("one", with(config(json!({"a": "2"})), json!({"immutable": true}))).refused(
                    422,
                    "Invalid",
                    format!("ConfigMap \"c\" is invalid: data: Forbidden: {immutable}"),
                ),
                apply("one", config(json!({"a": "1"}))).refused(
                    422,
                    "Invalid",
                    format!("ConfigMap \"c\" is invalid: immutable: Forbidden: {immutable}"),
                ),
                merge(C, "hand", &json!({"metadata": {"labels": {"l": "x"}}})),
            ],
        ),
        Row::new(
            "the type of a Secret and the address of a Service stay",
            [
                apply("one", bare("v1", "Secret", "s")).gives(201),
                apply("one", with(bare("v1", "Secret", "s"), json!({"type": "example.com/other"}))).by_force().refused(
                    422,
                    "Invalid",
                    "Secret \"s\" is invalid: type: Invalid value: \"example.com/other\": field is immutable",
                ),
                apply("one", service(json!([{"port": 80}]))).gives(201),
                merge(&path_of(&service(json!([]))), "hand", &json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}))
                    .refused(
                        422,
                        "Invalid",
                        "Service \"s\" is invalid: spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set",
                    ),
            ],
        ),
        Row::new(
            "a Deployment without containers, a Service without ports, a name that is none",
            [
                apply("one", web(json!([]))).refused(
                    422,
                    "Invalid",
                    "Deployment.apps \"w\" is invalid: spec.template.spec.containers: Required value",
                ),
                apply("one", service(json!([]))).refused(
                    422,
                    "Invalid",
                    "Service \"s\" is invalid: spec.ports: Required value",
                ),
                apply("one", bare("v1", "ConfigMap", "No_Name")).gives(422).has("/details/causes/0/field", "metadata.name"),
            ],
        ),
        Row::new(
            "what is there is not made again, and what is not there is not replaced",
            [
                apply("one", config(json!({}))).gives(201),
                create(CONFIGS, &config(json!({}))).refused(
                    409,
                    "AlreadyExists",
                    "configmaps \"c\" already exists",
                ),
                replace(D, &bare("v1", "ConfigMap", "d")).refused(
                    404,
                    "NotFound",
                    "configmaps \"d\" not found",
                ),
                merge(D, "hand", &json!({})).refused(
                    404,
                    "NotFound",
                    "configmaps \"d\" not found",
                ),
            ],
        ),
        Row::new(
            "a body that is no object",
            [
                create(CONFIGS, &json!({})).sending("{").gives(400).has("/reason", "BadRequest"),
                patch(C, "text/plain", &json!({})).gives(415).has("/reason", "UnsupportedMediaType"),
            ],
        ),
    ]
}
