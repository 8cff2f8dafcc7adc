//! Values: nulls, zeros, defaults, dry runs, and what counts as a new generation.

use serde_json::{Value, json};

use crate::conformance::Row;
use crate::conformance::objects::{C, CONFIGS, W, bare, config, config_with, service, web, with};
use crate::conformance::step::{apply, create, delete, get, merge, patch};

pub(super) fn rows() -> Vec<Row> {
    let null = |pointer: &str| {
        let mut object = config_with(json!({"labels": {"l": "x"}}));
        object["data"] = json!({"a": "1"});
        *object.pointer_mut(pointer).expect("it is there") = Value::Null;
        object
    };
    vec![
        Row::new(
            "a value that is null is an empty one",
            [apply("one", null("/data/a"))
                .gives(201)
                .has("/data", json!({"a": ""}))
                .owns("one", json!({"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}))],
        ),
        Row::new(
            "a map that is null is none",
            [
                apply("one", null("/data")).gives(201).lacks("/data").has("/metadata/labels", json!({"l": "x"})),
                apply("one", null("/metadata/labels")).lacks("/metadata/labels").has("/data", json!({"a": "1"})),
            ],
        ),
        Row::new(
            "a field of a struct that is null is not there, and has its default",
            [apply("one", {
                let mut object = web(json!([{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}]));
                object["spec"]["strategy"] = Value::Null;
                object["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = Value::Null;
                object
            })
            .gives(201)
            .has("/spec/strategy/type", "RollingUpdate")
            .has("/spec/template/spec/containers/0/env", json!([{"name": "A"}]))],
        ),
        Row::new(
            "a merge patch takes out by null",
            [
                apply("one", config(json!({"a": "1", "b": "2"}))).gives(201),
                merge(C, "hand", &json!({"data": {"a": null}}))
                    .has("/data", json!({"b": "2"}))
                    .owns("one", json!({"f:data": {"f:b": {}}})),
                merge(C, "hand", &json!({"data": null})).lacks("/data").owns_nothing("one"),
            ],
        ),
        Row::new(
            "a Deployment has the defaults of its kind, and nobody owns them",
            [apply("one", web(json!([{"name": "c", "image": "i"}])))
                .gives(201)
                .has("/spec/replicas", 0)
                .has("/spec/revisionHistoryLimit", 10)
                .has("/spec/progressDeadlineSeconds", 600)
                .has(
                    "/spec/strategy",
                    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
                )
                .has(
                    "/spec/template/spec",
                    json!({
                        "containers": [{
                            "name": "c", "image": "i", "imagePullPolicy": "Always", "resources": {},
                            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                        }],
                        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                        "securityContext": {}, "terminationGracePeriodSeconds": 30,
                    }),
                )
                .owns(
                    "one",
                    json!({"f:spec": {
                        "f:replicas": {}, "f:selector": {},
                        "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": {
                            "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}},
                        }}},
                    }}),
                )],
        ),
        Row::new(
            "a default that was given stays when it is named no more",
            [
                apply(
                    "one",
                    with(
                        web(json!([{"name": "c", "image": "i"}])),
                        json!({"spec": {"minReadySeconds": 3, "revisionHistoryLimit": 2}}),
                    ),
                )
                .gives(201)
                .has("/spec/revisionHistoryLimit", 2),
                apply("one", web(json!([{"name": "c", "image": "i"}])))
                    .has("/spec/revisionHistoryLimit", 10)
                    .lacks("/spec/minReadySeconds"),
            ],
        ),
        Row::new(
            "an image with a tag is pulled where it is missing, one without always",
            [apply("one", web(json!([{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:latest"}])))
                .gives(201)
                .has("/spec/template/spec/containers/0/imagePullPolicy", "IfNotPresent")
                .has("/spec/template/spec/containers/1/imagePullPolicy", "Always")],
        ),
        Row::new(
            "a Service has the defaults of its kind",
            [apply("one", service(json!([{"port": 80, "targetPort": "web"}])))
                .gives(201)
                .has("/spec/type", "ClusterIP")
                .has("/spec/sessionAffinity", "None")
                .has("/spec/internalTrafficPolicy", "Cluster")
                .has("/spec/ipFamilies", json!(["IPv4"]))
                .has("/spec/ipFamilyPolicy", "SingleStack")
                .has("/spec/ports", json!([{"port": 80, "protocol": "TCP", "targetPort": "web"}]))
                .has("/status", json!({"loadBalancer": {}}))],
        ),
        Row::new(
            "text of a Secret is kept in base64, and shown no other way",
            [
                apply("one", with(bare("v1", "Secret", "s"), json!({"stringData": {"k": "text"}})))
                    .gives(201)
                    .has("/data", json!({"k": "dGV4dA=="}))
                    .lacks("/stringData")
                    .has("/type", "Opaque")
                    .owns("one", json!({"f:stringData": {"f:k": {}}})),
                apply("one", with(bare("v1", "Secret", "s"), json!({"data": {"k": "b3RoZXI="}})))
                    .has("/data", json!({"k": "b3RoZXI="})),
            ],
        ),
        Row::new(
            "a dry run says what would be and does nothing",
            [
                apply("one", config(json!({"a": "1"})))
                    .with("dryRun=All")
                    .gives(201)
                    .has("/data", json!({"a": "1"}))
                    .lacks("/metadata/resourceVersion"),
                get(C).refused(404, "NotFound", "configmaps \"c\" not found"),
                apply("one", config(json!({"a": "1"}))).gives(201).keeps("version", "/metadata/resourceVersion"),
                apply("one", config(json!({"a": "2"})))
                    .with("dryRun=All")
                    .has("/data", json!({"a": "2"}))
                    .has("/metadata/resourceVersion", "{version}"),
                apply("two", config(json!({"a": "2"}))).with("dryRun=All").refused(
                    409,
                    "Conflict",
                    "Apply failed with 1 conflict: conflict with \"one\": .data.a",
                ),
                create(CONFIGS, &config(json!({}))).with("dryRun=All").refused(
                    409,
                    "AlreadyExists",
                    "configmaps \"c\" already exists",
                ),
                delete(C, &json!({"dryRun": ["All"]})).has("/status", "Success"),
                get(C).has("/data", json!({"a": "1"})).has("/metadata/resourceVersion", "{version}"),
            ],
        ),
        Row::new(
            "a new spec is a new generation, and a label or the same again is none",
            [
                apply("one", web(json!([{"name": "c", "image": "i:1"}]))).gives(201).has("/metadata/generation", 1),
                apply("one", web(json!([{"name": "c", "image": "i:1"}]))).has("/metadata/generation", 1),
                merge(W, "hand", &json!({"metadata": {"labels": {"l": "x"}}})).has("/metadata/generation", 1),
                apply("one", web(json!([{"name": "c", "image": "i:2"}]))).has("/metadata/generation", 2),
            ],
        ),
        Row::new(
            "a JSON patch is done whole, or not at all",
            [
                apply("one", config(json!({"a": "1"}))).gives(201),
                patch(C, "application/json-patch+json", &json!([{"op": "add", "path": "/data/b", "value": "2"}]))
                    .has("/data", json!({"a": "1", "b": "2"})),
                patch(
                    C,
                    "application/json-patch+json",
                    &json!([
                        {"op": "remove", "path": "/data/b"}, {"op": "test", "path": "/data/a", "value": "9"},
                    ]),
                )
                .gives(422)
                .has("/reason", "Invalid"),
                get(C).has("/data", json!({"a": "1", "b": "2"})),
            ],
        ),
    ]
}
