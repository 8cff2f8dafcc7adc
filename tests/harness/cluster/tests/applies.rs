//! Who owns what after which write. The cases are those that a real API server answers alike.

use serde_json::{Value, json};

use super::super::store::text;
use super::super::{Cluster, failure::Failure};
use super::{agent_write, shop};

/// The fields of a manager, as they stand in `managedFields`.
fn owned(object: &Value, manager: &str, operation: &str) -> Option<Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let entry = entries.iter().find(|entry| entry["manager"] == manager && entry["operation"] == operation)?;
    Some(entry["fieldsV1"].clone())
}

fn config(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data})
}

fn apply(cluster: &Cluster, manager: &str, force: bool, object: Value) -> Result<Value, Failure> {
    agent_write(cluster, manager, force, object).map(|object| (*object).clone())
}

#[tokio::test]
async fn an_applier_owns_what_it_names_and_an_updater_what_it_changes() {
    let (cluster, _client) = shop().await;
    let made = apply(&cluster, "one", false, config("c", json!({"a": "1", "b": "2"}))).expect("applied");
    assert_eq!(owned(&made, "one", "Apply"), Some(json!({"f:data": {"f:a": {}, "f:b": {}}})));
    let edited = cluster
        .edit("configmaps", "shop", "c", "hand", |object| {
            object["data"]["b"] = json!("3");
            object["metadata"]["labels"]["l"] = json!("x");
        })
        .expect("edited");
    assert_eq!(owned(&edited, "one", "Apply"), Some(json!({"f:data": {"f:a": {}}})));
    let hand = json!({"f:data": {"f:b": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}});
    assert_eq!(owned(&edited, "hand", "Update"), Some(hand));
    let healed = apply(&cluster, "one", true, config("c", json!({"a": "1", "b": "2"}))).expect("forced");
    assert_eq!(owned(&healed, "one", "Apply"), Some(json!({"f:data": {"f:a": {}, "f:b": {}}})));
    assert_eq!(owned(&healed, "hand", "Update"), Some(json!({"f:metadata": {"f:labels": {".": {}, "f:l": {}}}})));
}

#[tokio::test]
async fn what_two_appliers_share_stays_until_both_let_go() {
    let (cluster, _client) = shop().await;
    apply(&cluster, "one", false, config("c", json!({"a": "1", "b": "2"}))).expect("applied");
    apply(&cluster, "two", false, config("c", json!({"b": "2"}))).expect("the same value is no conflict");
    let after = apply(&cluster, "one", false, config("c", json!({}))).expect("applied");
    assert_eq!(after["data"], json!({"b": "2"}));
    let after = apply(&cluster, "two", false, config("c", json!({}))).expect("applied");
    assert_eq!(after.get("data"), None);
}

#[tokio::test]
async fn an_object_of_no_known_manager_belongs_to_before_first_apply() {
    let (cluster, _client) = shop().await;
    apply(&cluster, "one", false, config("c", json!({"a": "1"}))).expect("applied");
    cluster
        .edit("configmaps", "shop", "c", "hand", |object| object["metadata"]["managedFields"] = json!([]))
        .expect("managers reset");
    let after = apply(&cluster, "two", false, config("c", json!({"b": "2"}))).expect("applied");
    assert_eq!(owned(&after, "before-first-apply", "Update"), Some(json!({"f:data": {".": {}, "f:a": {}}})));
    assert_eq!(after["data"], json!({"a": "1", "b": "2"}));
}

#[tokio::test]
async fn conflicts_of_many_are_told_by_manager() {
    let (cluster, _client) = shop().await;
    apply(&cluster, "one", false, config("c", json!({"a": "1", "b": "2"}))).expect("applied");
    cluster.edit("configmaps", "shop", "c", "hand", |object| object["data"]["b"] = json!("3")).expect("edited");
    let refused = apply(&cluster, "two", false, config("c", json!({"a": "9", "b": "9"}))).expect_err("a conflict");
    let message = "Apply failed with 2 conflicts: conflicts with \"hand\" using v1:\n- .data.b\nconflicts with \"one\":\n- .data.a";
    assert_eq!((refused.code, refused.message.as_str()), (409, message));
    assert_eq!(refused.details.expect("details")["causes"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_same_again_is_no_write_and_a_time_that_stays() {
    let (cluster, _client) = shop().await;
    let first = apply(&cluster, "one", false, config("c", json!({"a": "1"}))).expect("applied");
    let before = cluster.get("configmaps", "shop", "c").expect("there");
    let again = apply(&cluster, "one", false, config("c", json!({"a": "1"}))).expect("applied");
    assert_eq!((&first, &first), (&again, &*before));
}

#[tokio::test]
async fn misfits_are_told_as_the_typed_merge_tells_them() {
    let (cluster, _client) = shop().await;
    let web = |container: Value| {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
        })
    };
    let begin =
        "failed to create typed patch object (shop/w; apps/v1, Kind=Deployment): .spec.template.spec.containers";
    let table = [
        (json!({"name": "c", "imagee": "x"}), "[name=\"c\"].imagee: field not declared in schema"),
        (
            json!({"name": "c", "env": [{"name": "P", "value": 80}]}),
            "[name=\"c\"].env[name=\"P\"].value: expected string, got &value.valueUnstructured{Value:80}",
        ),
        (
            json!({"name": "c", "env": [{"name": "P"}, {"name": "P"}]}),
            "[name=\"c\"].env: duplicate entries for key [name=\"P\"]",
        ),
        (json!({"name": "c", "ports": {"a": 1}}), "[name=\"c\"].ports: expected list, got &{map[a:1]}"),
    ];
    for (container, wanted) in table {
        let refused = apply(&cluster, "one", true, web(container)).expect_err("a misfit");
        assert_eq!((refused.code, refused.message), (500, format!("{begin}{wanted}")));
    }
}

#[tokio::test]
async fn lists_belong_item_by_item() {
    let (cluster, _client) = shop().await;
    let service = |ports: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"},
            "spec": {"selector": {"a": "b"}, "ports": ports},
        })
    };
    let http = json!({"name": "http", "port": 80});
    let made = apply(&cluster, "one", false, service(json!([http]))).expect("applied");
    let key = "k:{\"port\":80,\"protocol\":\"TCP\"}";
    let ports = json!({key: {".": {}, "f:name": {}, "f:port": {}}});
    assert_eq!(owned(&made, "one", "Apply").expect("an entry")["f:spec"]["f:ports"], ports);
    let both = apply(&cluster, "two", false, service(json!([{"name": "other", "port": 81}]))).expect("applied");
    let names = |object: &Value| -> Vec<String> {
        let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
        ports.iter().map(|port| text(port, "/name").to_owned()).collect()
    };
    assert_eq!(names(&both), ["http", "other"]);
    let less = apply(&cluster, "one", false, service(json!([{"name": "new", "port": 82}]))).expect("applied");
    assert_eq!(names(&less), ["other", "new"]);
    assert_eq!(less["spec"]["ports"][1]["targetPort"], 82);
    assert_eq!(less["spec"]["clusterIP"], made["spec"]["clusterIP"]);
}
