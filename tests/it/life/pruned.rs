//! What leaves git leaves the cluster, and nothing else does.

use super::*;

#[tokio::test]
async fn a_renamed_file_keeps_its_object_and_a_deleted_one_takes_it_along() {
    let (a, b) = (config_map("a", "one"), config_map("b", "one"));
    let world = deployed(&[("a.yaml", &a), ("b.yaml", &b)], "").await;
    let uid =
        |world: &World| world.cluster.get("configmaps", "shop", "a").map(|object| object["metadata"]["uid"].clone());
    let before = uid(&world);
    let repository = deploy(&world);
    let renamed = repository.change("main").remove("apps/shop/a.yaml").write("apps/shop/z.yaml", &a).commit("Renamed");
    synced_to(&world, &renamed).await;
    assert_eq!(uid(&world), before);

    let deleted = repository.change("main").remove("apps/shop/b.yaml").commit("Deleted");
    synced_to(&world, &deleted).await;
    assert_eq!((value(&world, "a").as_deref(), value(&world, "b")), (Some("one"), None));
}

const WORDS: &str = "apps/shop holds no manifests: there is no .yaml, .yml or .json file below it\n\
                     hint: nothing is pruned for this; remove the environment to remove its objects";

#[tokio::test]
async fn an_empty_folder_prunes_nothing_and_says_so() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let before = deploy(&world).rev("main");
    let change = deploy(&world);
    let commit =
        change.change("main").remove("apps/shop/a.yaml").write("apps/shop/README.md", "nothing").commit("Emptied");
    let status = world.wait_for("the refusal", "shop", |app| !app.message.is_empty()).await.unwrap();
    assert_eq!(told(&status.message, &status.hint), format!("cannot render main@{}: {WORDS}", &commit[..7]));
    assert!(is_at(&status, &before), "{status:?}");
    polled_twice(&world).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}

#[tokio::test]
async fn where_prune_is_off_it_stays_until_a_sync_asks_for_it() {
    let (a, b) = (config_map("a", "one"), config_map("b", "one"));
    let world = deployed(&[("a.yaml", &a), ("b.yaml", &b)], "[application.environment.sync]\nprune = false\n").await;
    let commit = deploy(&world).change("main").remove("apps/shop/b.yaml").commit("Deleted");
    let seen = |app: &EnvironmentStatus| app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit);
    world.wait_for("the commit to be seen", "shop", seen).await.unwrap();
    polled_twice(&world).await;
    assert_eq!(value(&world, "b").as_deref(), Some("one"));
    ask(&world, "sync", serde_json::json!({ "prune": true })).await;
    world.cluster.wait_for("the prune", |cluster| cluster.get("configmaps", "shop", "b").is_none().then_some(())).await;
}
