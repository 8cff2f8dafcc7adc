use serde_json::json;

use super::*;
use crate::yaml;

fn overlay(text: &str) -> Overlay {
    let said: Value = yaml::parse(text.as_bytes()).unwrap().remove(0).value;
    let text = |key: &str| said[key].as_str().map(str::to_owned);
    let maps = |key: &str| said[key].as_array().into_iter().flatten().filter_map(|one| one.as_object().cloned());
    let pairs = |key: &str| serde_json::from_value(said[key].clone()).unwrap_or_default();
    let place = |key: &str| serde_json::from_value(said[key].clone()).unwrap_or_default();
    Overlay {
        generate: false,
        namespace: text("namespace"),
        name_prefix: text("name_prefix"),
        name_suffix: text("name_suffix"),
        components: serde_json::from_value(said["components"].clone()).unwrap_or_default(),
        patches: maps("patches").collect(),
        images: maps("images").collect(),
        replicas: serde_json::from_value(said["replicas"].clone()).unwrap_or_default(),
        labels: pairs("labels"),
        labels_in: place("labels_in"),
        annotations: pairs("annotations"),
        annotations_in: place("annotations_in"),
    }
}

fn written(file: Value, text: &str) -> Result<Value, String> {
    let Value::Object(mut fields) = file else { panic!("a kustomization is a map") };
    match write(&overlay(text), "apps/shop/kustomization.yaml", &mut fields) {
        Ok(()) => Ok(Value::Object(fields)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_overlay_is_written_into_the_file_as_flux_and_argo_cd_do() {
    for (file, text, wanted) in [
        (json!({"resources": ["a.yaml"]}), "{}", json!({"resources": ["a.yaml"]})),
        (
            json!({"namespace": "old", "namePrefix": "old-"}),
            "{namespace: shop, name_prefix: eu-, name_suffix: '-1'}",
            json!({"namespace": "shop", "namePrefix": "eu-", "nameSuffix": "-1"}),
        ),
        (
            json!({"components": ["../own"], "patches": null}),
            "{components: [../../parts/tls], patches: [{path: a.yaml}, {patch: b, target: {kind: Job}}]}",
            json!({
                "components": ["../own", "../../parts/tls"],
                "patches": [{"path": "a.yaml"}, {"patch": "b", "target": {"kind": "Job"}}],
            }),
        ),
        // As Flux does since 2.7: the name stays, and a tag and a digest are one.
        (
            json!({"images": [{"name": "shop", "newName": "r/shop", "digest": "sha256:1"}, {"name": "web", "newTag": "1"}]}),
            "images: [{name: shop, newTag: '2'}, {name: cart, newName: r/cart}]",
            json!({"images": [
                {"name": "shop", "newName": "r/shop", "newTag": "2"}, {"name": "web", "newTag": "1"},
                {"name": "cart", "newName": "r/cart"},
            ]}),
        ),
        (
            json!({"replicas": [{"name": "shop", "count": 1}]}),
            "replicas: [{name: shop, count: 3}, {name: web, count: 0}]",
            json!({"replicas": [{"name": "shop", "count": 3}, {"name": "web", "count": 0}]}),
        ),
        // Into the metadata they are written after the build.
        (json!({}), "{labels: {team: a}, annotations: {mail: b}}", json!({})),
        (
            json!({"commonAnnotations": {"mail": "a", "own": "b"}}),
            "{labels: {team: a}, labels_in: templates, annotations: {mail: c}, annotations_in: templates}",
            json!({
                "commonAnnotations": {"mail": "c", "own": "b"},
                "labels": [{"pairs": {"team": "a"}, "includeSelectors": false, "includeTemplates": true}],
            }),
        ),
        (
            json!({}),
            "{labels: {team: a}, labels_in: selectors}",
            json!({"labels": [{"pairs": {"team": "a"}, "includeSelectors": true, "includeTemplates": true}]}),
        ),
        (
            json!({"commonLabels": {"team": "old", "own": "b"}}),
            "{labels: {team: a}, labels_in: selectors}",
            json!({"commonLabels": {"team": "a", "own": "b"}}),
        ),
    ] {
        assert_eq!(written(file, text), Ok(wanted), "{text}");
    }
}

#[test]
fn a_file_of_another_form_is_told() {
    for (file, text, told) in [
        (
            json!({"patches": "a"}),
            "patches: [{path: a.yaml}]",
            "patches in apps/shop/kustomization.yaml is not a list, and the environment adds to it",
        ),
        (
            json!({"commonAnnotations": []}),
            "{annotations: {a: b}, annotations_in: templates}",
            "commonAnnotations in apps/shop/kustomization.yaml is not a map, and the environment adds to it",
        ),
    ] {
        assert_eq!(written(file, text), Err(told.to_owned()));
    }
}

#[test]
fn labels_and_annotations_go_before_those_of_objects() {
    let object = || json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {"team": "old", "own": "b"}, "annotations": null}});
    let mut marked = object();
    mark(&overlay("{labels: {team: a}, annotations: {mail: b}}"), &mut marked);
    assert_eq!(
        marked["metadata"],
        json!({"name": "a", "labels": {"team": "a", "own": "b"}, "annotations": {"mail": "b"}})
    );
    let mut unmarked = object();
    mark(&overlay("{labels: {team: a}, labels_in: selectors}"), &mut unmarked);
    assert_eq!(unmarked, object());
}
