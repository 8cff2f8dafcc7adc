//! What is held, and what is under way, shows itself: whoever looks is told by whom and why, what waits, and how far it is.

use std::time::Duration;

use harness::cluster::faults::Fault;
use quarterdeck_shared::snapshot::Progress;
use serde_json::json;

use super::*;

#[tokio::test]
async fn what_waits_in_git_behind_a_pin_is_told_and_commits_elsewhere_are_not() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let first = deploy(&world).rev("main");
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    ask(&world, "rollback", json!({ "to": first, "reason": "bad release" })).await;
    let waits = async |world: &World, commits: u32| {
        let told = |app: &EnvironmentStatus| app.pending.as_ref().is_some_and(|pending| pending.commits == commits);
        world.wait_for(&format!("{commits} to wait"), "shop", told).await.unwrap()
    };
    waits(&world, 1).await;
    synced_to(&world, &first).await;
    let other = deploy(&world).commit("main", &[("apps/other/a.txt", "hello")], "Elsewhere");
    let newest = |app: &EnvironmentStatus| app.pending.as_ref().is_some_and(|one| one.newest.commit.as_str() == other);
    let status = world.wait_for("the newest commit", "shop", newest).await.unwrap();
    assert_eq!(status.pending.map(|pending| pending.commits), Some(1), "it changes nothing here");
    let third = manifests(&world, &[("a.yaml", &config_map("a", "three"))], "A third value");
    let status = waits(&world, 2).await;
    assert_eq!((status.sync, is_at(&status, &first)), (SyncStatus::Synced, true));
    let (pin, pending) = (status.pin.clone().unwrap(), status.pending.clone().unwrap());
    let message = format!(
        "pinned to {} by {}: bad release; 2 commits wait, newest main@{}",
        &first[..7],
        pin.hold.cause.describe(),
        &third[..7]
    );
    assert_eq!((status.message, pending.describe()), (message, format!("2 commits wait, newest main@{}", &third[..7])));

    ask(&world, "unpin", json!({})).await;
    synced_to(&world, &third).await;
    let free = |app: &EnvironmentStatus| app.pending.is_none() && app.message.is_empty();
    world.wait_for("nothing to wait", "shop", free).await.unwrap();
}

/// So many that a first sync takes a while.
const MANY: usize = 40;

#[tokio::test]
async fn a_first_sync_says_how_far_it_is() {
    let mut world = world().await;
    let files: Vec<_> = (0..MANY).map(|n| (format!("c{n}.yaml"), config_map(&format!("c{n}"), "one"))).collect();
    let commit = manifests(&world, &borrowed(&files), "Many");
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    world.cluster.fault(Fault::slow(Duration::from_millis(300)).on("patch", "configmaps"));
    world.start_agent().await.unwrap();
    let plans = |app: &EnvironmentStatus| app.progress == Some(Progress::Planning { objects: MANY as u32 });
    let status = world.wait_for("a plan", "shop", plans).await.unwrap();
    assert_eq!(status.message, format!("planning {MANY} objects"));
    let applies = |app: &EnvironmentStatus| match &app.progress {
        Some(Progress::Applying { done, of, .. }) => *of == MANY as u32 && *done > 0,
        _ => false,
    };
    let status = world.wait_for("a sync", "shop", applies).await.unwrap();
    assert_eq!(status.message, status.progress.as_ref().map(Progress::describe).unwrap());
    let status = synced_to(&world, &commit).await;
    assert_eq!(status.progress, None);
}
