//! Variables of manifests: of the configuration, of ConfigMaps and Secrets in the cluster, and without a value.

use quarterdeck_shared::protocol::ManifestsAnswer;
use serde_json::{Value, json};

use super::secrets::raw;
use super::*;

const PASSWORD: &str = "variable+password/4740=";

/// A world whose shop has these manifests and these lines in `variables`; the agent does not run.
async fn with_variables(files: &[(&str, &str)], variables: &str) -> World {
    let world = world().await;
    manifests(&world, files, "Manifests with variables");
    configure(&world, variables);
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    world.cluster.put(namespace).unwrap();
    world
}

fn configure(world: &World, variables: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let more = format!("[application.environment.variables]\n{variables}");
    world.configure(&(world.config_head("a test") + &application("shop", &address, &more))).unwrap();
}

fn held(kind: &str, name: &str, values: Value) -> Value {
    let part = if kind == "Secret" { "stringData" } else { "data" };
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "namespace": "shop" }, part: values })
}

async fn refused(world: &World, words: &str) -> EnvironmentStatus {
    world.wait_for(&format!("{words:?} to be told"), "shop", |app| app.message.contains(words)).await.unwrap()
}

#[tokio::test]
async fn values_of_the_configuration_and_of_the_cluster_are_part_of_the_manifests() {
    let plain = config_map("plain", "${REGION}")
        .replace("name: plain", "name: plain, annotations: { quarterdeck.dev/substitute: disabled }");
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: { name: \"${NAME}-web\" }\nspec:\n  ports:\n  - port: ${PORT}\n";
    let files = [
        ("a.yaml", config_map("a", "${REGION}-${TIER:=gold}-${REGION^^}")),
        ("b.yaml", config_map("b", "db://shop:${PASSWORD}@db")),
        ("plain.yaml", plain),
        ("service.yaml", service.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let from = "values = { NAME = \"shop\", PORT = \"8080\" }\n\
                from = [{ kind = \"ConfigMap\", name = \"cluster-vars\" }, { kind = \"Secret\", name = \"db\" }, \
                { kind = \"ConfigMap\", name = \"none\", optional = true }]\n";
    let mut world = with_variables(&files, from).await;
    let region =
        |name: &str| held("ConfigMap", "cluster-vars", json!({ "REGION": name, "NAME": "overruled", "a.file": "$" }));
    world.cluster.put(region("eu-1")).unwrap();
    world.cluster.put(held("Secret", "db", json!({ "PASSWORD": PASSWORD }))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(value(&world, "a").as_deref(), Some("eu-1-gold-EU-1"));
    assert_eq!(value(&world, "b"), Some(format!("db://shop:{PASSWORD}@db")));
    assert_eq!(value(&world, "plain").as_deref(), Some("${REGION}"), "it opts out");
    let web = world.cluster.get("services", "shop", "shop-web").expect("its name has a variable");
    assert_eq!(web["spec"]["ports"][0]["port"], 8080);

    // What came of a Secret is shown nowhere.
    let shown: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(shown.yaml.contains("eu-1-gold") && shown.yaml.contains("(hidden "), "{}", shown.yaml);
    let object = "/v1/environments/shop/object?version=v1&kind=ConfigMap&namespace=shop&name=b";
    for path in
        ["/v1/environments/shop/manifests", "/v1/environments/shop/diff", object, "/v1/state", "/v1/events", "/v1/log"]
    {
        let shown = raw(&world, path).await;
        assert!(!shown.contains(PASSWORD), "{path} shows it: {shown}");
    }

    // A change in the cluster is noticed by the next pass, whatever wakes it.
    world.cluster.put(region("us-2")).unwrap();
    let commit = deploy(&world).commit("main", &[("README.md", "other")], "Not ours");
    let is_it = |app: &EnvironmentStatus| {
        app.sync == SyncStatus::Synced && is_at(app, &commit) && value(&world, "a").as_deref() == Some("us-2-gold-US-2")
    };
    world.wait_for("the other region", "shop", is_it).await.unwrap();
}

#[tokio::test]
async fn a_variable_without_a_value_is_told_with_its_object_and_may_be_nothing() {
    let files = [("a.yaml", config_map("a", "x${REGION}x")), ("b.yaml", config_map("b", "one"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut world = with_variables(&files, "").await;
    world.start_agent().await.unwrap();
    let status = refused(&world, "ConfigMap/a: the variable REGION is not set").await;
    assert!(status.message.contains("apps/shop/a.yaml, document 1"), "{}", status.message);
    assert_eq!(status.hint, "set it by `variables` of the environment, or write a default: ${NAME:=default}");
    assert_eq!(value(&world, "b"), None, "nothing of it is applied");

    configure(&world, "strict = false\n");
    world.reload_agent();
    let is = |expected: &'static str| {
        let world = &world;
        move |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && value(world, "a").as_deref() == Some(expected)
    };
    world.wait_for("nothing in its place", "shop", is("xx")).await.unwrap();
    configure(&world, "values = { REGION = \"eu-1\" }\n");
    world.reload_agent();
    world.wait_for("the value", "shop", is("xeu-1x")).await.unwrap();

    manifests(&world, &[("a.yaml", &config_map("a", "${REGION:+x}"))], "Not an expression");
    let status = refused(&world, "ConfigMap/a: the expression ${REGION:+x} is not understood").await;
    assert!(status.hint.starts_with("write $${ for a text that is not an expression"), "{}", status.hint);
    assert_eq!(value(&world, "a").as_deref(), Some("xeu-1x"), "what runs stays");
}

#[tokio::test]
async fn an_object_of_variables_that_is_missing_is_told_until_it_comes() {
    let map = config_map("a", "${REGION}");
    let mut world =
        with_variables(&[("a.yaml", &map)], "from = [{ kind = \"ConfigMap\", name = \"cluster-vars\" }]\n").await;
    world.start_agent().await.unwrap();
    let words = "cannot read the variables of ConfigMap/cluster-vars in namespace shop: it is not in the cluster";
    let status = refused(&world, words).await;
    assert_eq!(status.hint, "create it, or set optional = true in `variables.from`");
    world.cluster.put(held("ConfigMap", "cluster-vars", json!({ "REGION": "eu-1" }))).unwrap();
    let commit = manifests(&world, &[("b.yaml", &config_map("b", "one"))], "Another");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("eu-1"));
}
