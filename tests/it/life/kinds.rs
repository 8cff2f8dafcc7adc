//! Kinds that come after the objects that are of them, that go, and that are served otherwise: whoever defines them.

use std::time::{Duration, Instant};

use harness::cluster::faults::Fault;
use serde_json::{Value, json};

use super::*;

const BOAT: &str = "apiVersion: sea.example/v1\nkind: Boat\nmetadata: { name: one }\nspec: { size: 1 }\n";
const BOATS: &str = "boats.sea.example";
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// A definition as somebody else installs it.
fn definition(scope: &str, versions: &[&str]) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
    let version = |(at, name): (usize, &&str)| json!({"name": name, "served": true, "storage": at == 0, "schema": {"openAPIV3Schema": schema}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": BOATS},
        "spec": {
            "group": "sea.example", "scope": scope, "names": {"plural": "boats", "kind": "Boat"},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

/// A shop with a boat that nobody defines; the agent runs.
async fn boat(fault: Option<Fault>) -> World {
    let mut world = world().await;
    manifests(&world, &[("boat.yaml", BOAT), ("c.yaml", &config_map("c", "one"))], "A boat");
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    if let Some(fault) = fault {
        world.cluster.fault(fault);
    }
    world.start_agent().await.unwrap();
    world
}

async fn says(world: &World, words: &str) {
    let told = |app: &EnvironmentStatus| app.message.contains(words);
    world.wait_for(words, "shop", told).await.unwrap();
}

async fn is_synced(world: &World) {
    world.wait_for("the boat to be synced", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
}

/// Takes the definition away, and the boats with it.
async fn undefine(world: &World) {
    world.cluster.delete(DEFINITIONS, "", BOATS).unwrap();
    world.cluster.wait_for("no boats", |cluster| (!cluster.serves(BOATS)).then_some(())).await;
}

const UNKNOWN: &str = "the cluster does not serve the kind Boat of sea.example/v1";

#[tokio::test]
async fn a_kind_that_comes_later_is_synced_when_it_is_served_and_is_not_polled_for() {
    let world = boat(None).await;
    says(&world, UNKNOWN).await;
    let is_watched = |resource: &str| world.cluster.counts().of("watch", resource) > 0;
    let watched =
        |_: &State| (is_watched(DEFINITIONS) && is_watched("apiservices.apiregistration.k8s.io")).then_some(());
    world.wait("the definitions to be watched", watched).await.unwrap();
    // Discovery is asked for 10 s after the watches are connected, since it may follow a definition by a moment.
    let connected = Instant::now();
    while connected.elapsed() < Duration::from_secs(15) {
        polled_twice(&world).await;
    }
    world.cluster.reset_counts();
    polled_twice(&world).await;
    let counts = world.cluster.counts();
    assert_eq!(counts.all() - counts.watches(), 0, "{:#?}", counts.requests);

    // The second look at the latest finds it, 2 s after the definition.
    world.cluster.put(definition("Namespaced", &["v1"])).unwrap();
    is_synced(&world).await;
    let looks = world.cluster.counts().of("get", "/apis");
    assert!((1..=2).contains(&looks), "{looks} looks: {:#?}", world.cluster.counts().requests);
    assert!(world.cluster.get(BOATS, "shop", "one").is_some());
}

#[tokio::test]
async fn a_kind_that_comes_later_is_found_where_definitions_may_not_be_watched() {
    for verb in ["watch", "list"] {
        let world = boat(Some(Fault::forbidden().on(verb, DEFINITIONS))).await;
        says(&world, UNKNOWN).await;
        world.cluster.put(definition("Namespaced", &["v1"])).unwrap();
        is_synced(&world).await;
    }
}

#[tokio::test]
async fn kinds_that_go_or_are_served_otherwise_are_noticed_at_rest() {
    let world = boat(None).await;
    world.cluster.put(definition("Namespaced", &["v1", "v1beta1"])).unwrap();
    is_synced(&world).await;

    // Nothing is drifted: the boat is there as before, and its version is not.
    world.cluster.put(definition("Namespaced", &["v1beta1"])).unwrap();
    says(&world, "the cluster serves Boat of sea.example as v1beta1, not as v1").await;
    world.cluster.put(definition("Namespaced", &["v1beta1", "v1"])).unwrap();
    is_synced(&world).await;

    undefine(&world).await;
    says(&world, UNKNOWN).await;
    world.cluster.put(definition("Cluster", &["v1"])).unwrap();
    is_synced(&world).await;
    assert!(world.cluster.get(BOATS, "", "one").is_some(), "{}", world.cluster.describe());
}
