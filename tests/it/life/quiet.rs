//! What did not change costs nothing: the cluster counts what it was asked.

use serde_json::json;

use super::*;

/// Twenty objects.
fn twenty() -> Vec<(String, String)> {
    (0..20).map(|n| (format!("c{n}.yaml"), config_map(&format!("c{n}"), "one"))).collect()
}

#[tokio::test]
async fn polls_that_find_nothing_new_ask_the_cluster_nothing() {
    let world = deployed(&borrowed(&twenty()), "").await;
    world.cluster.reset_counts();
    polled_twice(&world).await;
    let counts = world.cluster.counts();
    assert_eq!(counts.all() - counts.watches(), 0, "{:#?}", counts.requests);
}

#[tokio::test]
async fn a_restart_without_news_writes_nothing_and_tries_nothing() {
    let mut world = deployed(&borrowed(&twenty()), "").await;
    world.kill_agent();
    world.cluster.reset_counts();
    world.start_agent().await.unwrap();
    // A sync that was asked for comes after the first pass, and goes the same way.
    let taken = ask(&world, "sync", json!({})).await;
    let newer = |app: &ApplicationStatus| app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > taken.after_sync);
    let status = world.wait_for("the sync that was asked for", "shop", newer).await.unwrap();
    assert_eq!(status.sync, SyncStatus::Synced);
    let counts = world.cluster.counts();
    assert_eq!((counts.dry_runs(), counts.writes()), (0, 0), "{:#?}", counts.requests);
}

#[tokio::test]
async fn one_changed_object_of_twenty_costs_a_few_requests() {
    let world = deployed(&borrowed(&twenty()), "").await;
    world.cluster.reset_counts();
    let commit = manifests(&world, &[("c7.yaml", &config_map("c7", "two"))], "One is another");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "c7").as_deref(), Some("two"));
    let counts = world.cluster.counts();
    assert_eq!((counts.dry_runs(), counts.of("patch", "configmaps") - counts.dry_runs()), (1, 1));
    assert!(counts.all() - counts.watches() <= 6, "{:#?}", counts.requests);
}

/// A commit that touches other folders only is noted, and costs the cluster nothing.
#[tokio::test]
async fn a_commit_elsewhere_asks_the_cluster_nothing() {
    let world = deployed(&borrowed(&twenty()), "").await;
    world.cluster.reset_counts();
    let commit = deploy(&world).commit("main", &[("apps/other/readme.txt", "hello")], "Elsewhere");
    synced_to(&world, &commit).await;
    let counts = world.cluster.counts();
    assert_eq!(counts.all() - counts.watches(), 0, "{:#?}", counts.requests);
}
