//! Lists: by key, as sets, and as a whole.

use serde_json::json;

use crate::conformance::Row;
use crate::conformance::objects::{C, W, bare, config_with, service, web, with};
use crate::conformance::step::{apply, merge, patch};

pub(super) fn rows() -> Vec<Row> {
    let image = "/spec/template/spec/containers/0/image";
    vec![
        Row::new(
            "ports of a Service belong one by one",
            [
                apply("one", service(json!([{"name": "http", "port": 80}])))
                    .gives(201)
                    .keeps("address", "/spec/clusterIP")
                    .owns(
                        "one",
                        json!({"f:spec": {
                            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}},
                            "f:selector": {},
                        }}),
                    ),
                apply("two", service(json!([{"name": "other", "port": 81}])))
                    .has("/spec/ports/0/name", "http")
                    .has("/spec/ports/1/name", "other"),
                apply("one", service(json!([{"name": "new", "port": 82}])))
                    .has("/spec/ports/0/name", "other")
                    .has("/spec/ports/1", json!({"name": "new", "port": 82, "protocol": "TCP", "targetPort": 82}))
                    .lacks("/spec/ports/2")
                    .has("/spec/clusterIP", "{address}"),
            ],
        ),
        Row::new(
            "one port by two protocols is two ports",
            [
                apply(
                    "one",
                    service(json!([
                        {"name": "dns", "port": 53, "protocol": "UDP"},
                        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                    ])),
                )
                .gives(201)
                .has("/spec/ports/0/protocol", "UDP")
                .has("/spec/ports/1/protocol", "TCP"),
                apply("one", service(json!([{"name": "dns", "port": 53, "protocol": "UDP"}])))
                    .has("/spec/ports/0/name", "dns")
                    .lacks("/spec/ports/1"),
            ],
        ),
        Row::new(
            "containers belong one by one, and one that another manager adds stays",
            [
                apply("one", web(json!([{"name": "c", "image": "i:1"}]))).gives(201),
                apply("two", web(json!([{"name": "side", "image": "s:1"}])))
                    .has("/spec/template/spec/containers/0/name", "c")
                    .has("/spec/template/spec/containers/1/name", "side"),
                apply("one", web(json!([{"name": "c", "image": "i:2"}])))
                    .has(image, "i:2")
                    .has("/spec/template/spec/containers/1/name", "side"),
                apply("one", web(json!([{"name": "d", "image": "i:3"}])))
                    .has("/spec/template/spec/containers/0/name", "side")
                    .has("/spec/template/spec/containers/1/name", "d")
                    .lacks("/spec/template/spec/containers/2"),
            ],
        ),
        Row::new(
            "variables belong one by one, in the applied order",
            [
                apply(
                    "one",
                    web(json!([{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}])),
                )
                .gives(201),
                apply(
                    "two",
                    web(json!([{"name": "c", "image": "i", "env": [{"name": "X", "value": "9"}]}])),
                )
                .has("/spec/template/spec/containers/0/env/2", json!({"name": "X", "value": "9"})),
                apply(
                    "one",
                    web(json!([{"name": "c", "image": "i", "env": [{"name": "B", "value": "3"}, {"name": "N", "value": "4"}]}])),
                )
                .has(
                    "/spec/template/spec/containers/0/env",
                    json!([{"name": "B", "value": "3"}, {"name": "X", "value": "9"}, {"name": "N", "value": "4"}]),
                ),
                apply("one", web(json!([{"name": "c", "image": "i"}])))
                    .has("/spec/template/spec/containers/0/env", json!([{"name": "X", "value": "9"}])),
            ],
        ),
        Row::new(
            "ports of a container belong by number and protocol",
            [
                apply("one", web(json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}])))
                    .gives(201)
                    .has("/spec/template/spec/containers/0/ports", json!([{"containerPort": 80, "protocol": "TCP"}])),
                apply("one", web(json!([{"name": "c", "image": "i", "ports": [{"containerPort": 81, "name": "h"}]}])))
                    .has(
                        "/spec/template/spec/containers/0/ports",
                        json!([{"containerPort": 81, "name": "h", "protocol": "TCP"}]),
                    ),
            ],
        ),
        Row::new(
            "a command is one thing, and conflicts as a whole",
            [
                apply("one", web(json!([{"name": "c", "image": "i", "command": ["a", "b"]}]))).gives(201),
                apply("two", web(json!([{"name": "c", "image": "i", "command": ["a", "b", "c"]}]))).refused(
                    409,
                    "Conflict",
                    "Apply failed with 1 conflict: conflict with \"one\": \
                     .spec.template.spec.containers[name=\"c\"].command",
                ),
                apply("one", web(json!([{"name": "c", "image": "i", "command": ["b"]}])))
                    .has("/spec/template/spec/containers/0/command", json!(["b"])),
            ],
        ),
        Row::new(
            "finalizers are a set, and everybody takes away their own",
            [
                apply("one", config_with(json!({"finalizers": ["a.example/one"]})))
                    .gives(201)
                    .owns("one", json!({"f:metadata": {"f:finalizers": {"v:\"a.example/one\"": {}}}})),
                apply("two", config_with(json!({"finalizers": ["a.example/two"]})))
                    .has("/metadata/finalizers", json!(["a.example/one", "a.example/two"])),
                apply("one", config_with(json!({}))).has("/metadata/finalizers", json!(["a.example/two"])),
                apply("two", config_with(json!({}))).lacks("/metadata/finalizers"),
            ],
        ),
        Row::new(
            "a list by key that is empty takes away what one has in it, and no more",
            [
                apply("one", web(json!([{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}]))).gives(201),
                apply("one", web(json!([{"name": "c", "image": "i", "env": []}])))
                    .lacks("/spec/template/spec/containers/0/env"),
            ],
        ),
        Row::new(
            "a strategic patch merges lists by key and takes out by order",
            [
                apply("one", web(json!([{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]))).gives(201),
                patch(
                    W,
                    "application/strategic-merge-patch+json",
                    &json!({"spec": {"template": {"spec": {"containers": [
                        {"name": "c", "image": "i:2"}, {"name": "d", "$patch": "delete"},
                    ]}}}}),
                )
                .has(image, "i:2")
                .lacks("/spec/template/spec/containers/1"),
            ],
        ),
        Row::new(
            "owners are told apart by their uid",
            [
                apply("one", with(bare("v1", "Secret", "owner"), json!({}))).gives(201).keeps("uid", "/metadata/uid"),
                apply(
                    "one",
                    config_with(json!({"ownerReferences": [
                        {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": "{uid}"},
                    ]})),
                )
                .gives(201)
                .owns("one", json!({"f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"{uid}\"}": {}}}})),
                merge(C, "hand", &json!({"metadata": {"ownerReferences": null}})).lacks("/metadata/ownerReferences"),
            ],
        ),
    ]
}
