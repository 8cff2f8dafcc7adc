//! Environments that leave a source: their objects are deleted where the source says so, and nothing else is.

use quarterdeck_shared::event::{Event, EventRecord};

use super::sources::{FILES, changes, configure, defined, fleet, gone, in_force, sailing, source, status};
use super::*;

const PRUNED: &str = "path = \"applications\"\nprune = true";

/// A world whose fleet, which prunes, defines a shop and a cart; both are synced.
async fn pruning(shop: &str) -> World {
    let world = sailing().await;
    let files = [
        ("applications/shop.toml", defined(&world, "shop", shop)),
        ("applications/cart.toml", defined(&world, "cart", "")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    let commit = fleet(&world).commit("main", &files, "A cart");
    configure(&world, &source(&world, "fleet", PRUNED));
    world.reload_agent();
    in_force(&world, "fleet", &commit).await;
    world.wait_for("the cart", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
    world
}

/// Takes the shop out of the fleet.
fn no_shop(world: &World) -> String {
    fleet(world).change("main").remove("applications/shop.toml").commit("No shop")
}

/// Waits for an event of a removed environment, and answers what it says.
async fn told(world: &World, wanted: impl Fn(&Event) -> Option<String>) -> String {
    loop {
        let events: Vec<EventRecord> = world.client().get("/v1/events").await.unwrap();
        if let Some(found) = events.iter().find_map(|record| wanted(&record.event)) {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

async fn pruned(world: &World) -> String {
    let text = |event: &Event| match event {
        Event::EnvironmentPruned { source, environment, deleted, kept } => {
            Some(format!("{source} {environment}: {deleted} deleted; {}", kept.join("; ")))
        }
        _ => None,
    };
    told(world, text).await
}

/// Waits until nothing of a source is being deleted.
async fn settled(world: &World) {
    let is_settled = |state: &State| status(state, "fleet").is_some_and(|one| one.pruning.is_empty()).then_some(());
    world.wait("nothing to be pruned any more", is_settled).await.unwrap();
}

#[tokio::test]
async fn what_leaves_a_source_that_prunes_leaves_the_cluster() {
    let world = pruning("").await;
    let keep = "metadata: { name: kept, annotations: { quarterdeck.dev/prune: disabled } }";
    let kept = config_map("kept", "1").replace("metadata: { name: kept }", keep);
    let commit = manifests(&world, &[("kept.yaml", &kept)], "One that stays");
    synced_to(&world, &commit).await;
    let other = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other", "namespace": "shop" }, "data": {}
    });
    world.cluster.put(other).unwrap();
    let commit = no_shop(&world);
    gone(&world, "shop").await;
    let lines = changes(&world, &commit).await;
    assert_eq!(lines, ["application shop is removed", "environment shop/prod is removed; its objects are deleted"]);
    let kept = "fleet shop/prod: 1 deleted; ConfigMap/kept: quarterdeck.dev/prune: disabled";
    assert_eq!(pruned(&world).await, kept);
    settled(&world).await;
    assert!(value(&world, "a").is_none());
    for stays in ["kept", "other"] {
        assert!(world.cluster.get("configmaps", "shop", stays).is_some(), "{stays} stays");
    }
    assert!(world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").is_some(), "it lists what stays");
    assert!(world.cluster.get("configmaps", "cart", "b").is_some(), "the cart stays");
}

#[tokio::test]
async fn without_prune_and_of_a_protected_environment_all_stays_with_the_command_that_deletes_it() {
    let command = "kubectl --namespace shop delete configmap \
                   --selector quarterdeck.dev/application=shop,quarterdeck.dev/environment=prod";
    for (table, more, why) in [
        (FILES, "", "its source does not set prune"),
        (PRUNED, "protected = true\n", "it is protected"),
        (PRUNED, "sync.prune = false\n", "its prune is off"),
    ] {
        let world = pruning(more).await;
        configure(&world, &source(&world, "fleet", table));
        world.reload_agent();
        in_force(&world, "fleet", &fleet(&world).rev("main")).await;
        let commit = no_shop(&world);
        gone(&world, "shop").await;
        let line =
            format!("environment shop/prod is removed; its objects are left in the cluster, since {why}: {command}");
        assert_eq!(changes(&world, &commit).await, ["application shop is removed", &line]);
        settled(&world).await;
        assert_eq!(value(&world, "a").as_deref(), Some("one"), "{why}");
    }
}

#[tokio::test]
async fn an_empty_source_and_too_many_at_once_prune_nothing() {
    let world = pruning("").await;
    let both = fleet(&world);
    let commit = both
        .change("main")
        .remove("applications/shop.toml")
        .remove("applications/cart.toml")
        .write("applications/README.md", "None")
        .commit("Empty");
    gone(&world, "shop").await;
    let lines = changes(&world, &commit).await;
    assert!(
        lines.iter().any(|line| line.contains("left in the cluster, since its source has no applications left")),
        "{lines:?}"
    );
    assert_eq!(value(&world, "a").as_deref(), Some("one"));

    let world = pruning("").await;
    configure(&world, &source(&world, "fleet", &format!("{PRUNED}\nprune_max = 1")));
    world.reload_agent();
    let web = defined(&world, "web", "");
    let commit = fleet(&world)
        .change("main")
        .remove("applications/shop.toml")
        .remove("applications/cart.toml")
        .write("applications/web.toml", &web)
        .commit("A web instead");
    gone(&world, "cart").await;
    let why = "since 2 environments left the source at the same time; prune_max is 1";
    let lines = changes(&world, &commit).await;
    assert!(
        lines.iter().any(|line| line.contains("environment shop/prod is removed") && line.contains(why)),
        "{lines:?}"
    );
    settled(&world).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}

#[tokio::test]
async fn a_rename_takes_the_objects_over() {
    let world = pruning("").await;
    let store = defined(&world, "shop", "").replacen("name = \"shop\"", "name = \"store\"", 1);
    let repo = fleet(&world);
    let change = repo.change("main").remove("applications/shop.toml");
    let commit = change.write("applications/store.toml", &store).commit("A store");
    world.wait_for("the store", "store", |app| app.sync == SyncStatus::Synced).await.unwrap();
    let lines = changes(&world, &commit).await;
    let renamed = "environment shop/prod is renamed to store/prod, which takes over its objects";
    assert!(lines.iter().any(|line| line == renamed), "{lines:?}");
    settled(&world).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    let labels = &world.cluster.get("configmaps", "shop", "a").unwrap()["metadata"]["labels"];
    assert_eq!(labels["quarterdeck.dev/application"], "store");
}

#[tokio::test]
async fn a_cluster_that_is_away_is_pruned_when_it_is_back_also_by_the_next_run() {
    let mut world = pruning("").await;
    world.cluster.away().await;
    no_shop(&world);
    gone(&world, "shop").await;
    let text = |event: &Event| match event {
        Event::EnvironmentNotPruned { environment, message, .. } => Some(format!("{environment}: {message}")),
        _ => None,
    };
    let why = told(&world, text).await;
    assert!(why.starts_with("shop/prod: "), "{why}");
    let waits =
        |state: &State| status(state, "fleet")?.pruning.first().filter(|line| line.starts_with("shop/prod: ")).cloned();
    world.wait("what it waits for", waits).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"));

    world.kill_agent();
    world.start_agent().await.unwrap();
    world.cluster.back().await;
    assert_eq!(pruned(&world).await, "fleet shop/prod: 1 deleted; ");
    settled(&world).await;
    assert!(value(&world, "a").is_none());
    assert!(world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").is_none(), "its inventory goes with it");
}

#[tokio::test]
async fn what_comes_again_before_it_is_pruned_is_operated_and_a_source_that_prunes_no_more_stops() {
    let world = pruning("").await;
    world.cluster.away().await;
    no_shop(&world);
    gone(&world, "shop").await;
    let owed = |state: &State| status(state, "fleet").is_some_and(|one| !one.pruning.is_empty()).then_some(());
    world.wait("the shop to be pruned", owed).await.unwrap();
    fleet(&world).commit("main", &[("applications/shop.toml", &defined(&world, "shop", ""))], "The shop again");
    settled(&world).await;
    world.cluster.back().await;
    world.wait_for("the shop again", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"));

    world.cluster.away().await;
    no_shop(&world);
    gone(&world, "shop").await;
    world.wait("the shop to be pruned", owed).await.unwrap();
    configure(&world, &source(&world, "fleet", FILES));
    world.reload_agent();
    settled(&world).await;
    world.cluster.back().await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "it stays");
}
