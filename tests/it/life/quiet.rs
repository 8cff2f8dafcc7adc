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
    let newer = |app: &EnvironmentStatus| app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > taken.after_sync);
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

/// The history is gone and the plan is held: what was found as git says is known from then on, also by the next life.
#[tokio::test]
async fn a_held_plan_is_tried_once() {
    let mut world = deployed(&borrowed(&twenty()), "").await;
    world.kill_agent();
    for beside in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("data/history.db{beside}")));
    }
    let commit = manifests(&world, &[("c7.yaml", &config_map("c7", "two"))], "One is another");
    let address = world.forge.path("ops/deploy").display().to_string();
    let more = "[application.environment.sync]\nautomatic = false\n";
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
    let held = async |world: &World, commit: &str, drifted: u32| {
        let wanted = |app: &EnvironmentStatus| {
            let target = app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit);
            app.sync == SyncStatus::OutOfSync && target && app.drifted == drifted
        };
        world.wait_for("the plan to be held", "shop", wanted).await.unwrap();
    };
    world.start_agent().await.unwrap();
    held(&world, &commit, 1).await;
    let first = world.cluster.counts().dry_runs();
    world.kill_agent();
    world.cluster.reset_counts();
    world.start_agent().await.unwrap();
    // A second difference shows that this life's passes are over.
    let commit = manifests(&world, &[("c8.yaml", &config_map("c8", "two"))], "Two are others");
    held(&world, &commit, 2).await;
    let counts = world.cluster.counts();
    assert!(first >= 20 && counts.dry_runs() <= 4, "{first} and then {}: {:#?}", counts.dry_runs(), counts.requests);
}
