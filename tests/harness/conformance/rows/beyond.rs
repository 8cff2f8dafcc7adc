//! What the stand-in cannot do, each with the reason. A real API server does all of it; a row that the stand-in can do after
//! all has to leave this list.

use serde_json::json;

use super::custom::of_boats;
use crate::conformance::Row;
use crate::conformance::objects::{CONFIGS, bare, boat, config, web, with};
use crate::conformance::step::{apply, create, get};

/// All of them.
pub fn all() -> Vec<(Row, &'static str)> {
    vec![
        (
            Row::new(
                "quantities are brought into their canonical form",
                [apply("one", web(json!([{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1000m"}}}])))
                    .gives(201)
                    .has("/spec/template/spec/containers/0/resources/requests/cpu", "1")],
            ),
            "the agent compares quantities by their value; the form is a table of its own in the real server",
        ),
        (
            of_boats(
                "a pattern of a schema is held",
                json!({"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}),
                [apply("one", boat(json!({"name": "9"}))).gives(422)],
            ),
            "patterns are regular expressions of Go; what a refusal looks like is shown by other rows",
        ),
        (
            of_boats(
                "a bound of a schema is held",
                json!({"type": "object", "properties": {"size": {"type": "integer", "maximum": 3}}}),
                [apply("one", boat(json!({"size": 4}))).gives(422)],
            ),
            "as with patterns",
        ),
        (
            of_boats(
                "a rule of a schema is held",
                json!({
                    "type": "object", "properties": {"size": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.size < 3"}],
                }),
                [apply("one", boat(json!({"size": 4}))).gives(422)],
            ),
            "CEL is a language of its own",
        ),
        (
            Row::new(
                "an object is served in another version of its group",
                [
                    apply("one", with(bare("autoscaling/v2", "HorizontalPodAutoscaler", "h"), json!({"spec": {
                        "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"},
                    }})))
                    .gives(201),
                    get("/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers/h")
                        .has("/apiVersion", "autoscaling/v1"),
                ],
            ),
            "of its own kinds it knows one version",
        ),
        (
            Row::new(
                "kubectl is shown a table",
                [get(CONFIGS)
                    .accepting("application/json;as=Table;v=v1;g=meta.k8s.io")
                    .has("/kind", "Table")],
            ),
            "the agent asks for none",
        ),
        (
            Row::new(
                "a key that stands twice is told",
                [create(CONFIGS, &config(json!({})))
                    .sending("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"1\"},\"data\":{\"a\":\"2\"}}")
                    .with("fieldValidation=Strict")
                    .gives(400)],
            ),
            "its reader of JSON takes the last of them; the agent sends no key twice",
        ),
        (
            Row::new(
                "who has no role is refused",
                [get(CONFIGS).header("impersonate-user", "nobody").gives(403).has("/reason", "Forbidden")],
            ),
            "who brings a token may do everything; a fault plays the refusals",
        ),
        (
            Row::new(
                "an admission policy is taken",
                [create("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", &json!({
                    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                    "metadata": {"name": "{ns}"},
                    "spec": {"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
                    }]}},
                }))
                .with("dryRun=All")],
            ),
            "a fault plays what policies and webhooks refuse",
        ),
        (
            Row::new(
                "revisions and slices are made",
                [
                    get("/apis/apps/v1/namespaces/{ns}/controllerrevisions"),
                    get("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"),
                ],
            ),
            "the agent shows none of them",
        ),
        (
            Row::new(
                "a list goes on from what was there when it began",
                [
                    apply("one", with(config(json!({})), json!({"metadata": {"labels": {"l": "x"}}}))).gives(201),
                    apply("one", with(bare("v1", "ConfigMap", "d"), json!({"metadata": {"labels": {"l": "x"}}}))).gives(201),
                    get(CONFIGS).with("labelSelector=l&limit=1").keeps("next", "/metadata/continue"),
                    apply("one", with(bare("v1", "ConfigMap", "e"), json!({"metadata": {"labels": {"l": "x"}}}))).gives(201),
                    get(CONFIGS)
                        .with("labelSelector=l&limit=5&continue={next}")
                        .has("/items/0/metadata/name", "d")
                        .lacks("/items/1"),
                ],
            ),
            "it keeps the changes of the past, not its states",
        ),
    ]
}
