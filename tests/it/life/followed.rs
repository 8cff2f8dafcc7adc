//! When git is followed, and when a person says otherwise.

use quarterdeck_shared::event::{Cause, Event, EventRecord, SyncRecord};
use quarterdeck_shared::status::Health;
use serde_json::json;

use super::*;

fn targets(status: &EnvironmentStatus, commit: &str) -> bool {
    status.target.as_ref().is_some_and(|target| target.commit.as_str() == commit)
}

#[tokio::test]
async fn a_suspended_application_is_left_as_it_is_until_it_is_resumed() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    ask(&world, "suspend", json!({ "reason": "a test" })).await;
    world.wait_for("the suspension", "shop", |app| app.suspended).await.unwrap();
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    world.wait_for("the commit to be seen", "shop", |app| targets(app, &commit)).await.unwrap();
    polled_twice(&world).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    ask(&world, "resume", json!({})).await;
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
}

#[tokio::test]
async fn one_that_is_not_automatic_waits_to_be_asked() {
    let world =
        deployed(&[("a.yaml", &config_map("a", "one"))], "[application.environment.sync]\nautomatic = false\n").await;
    world.wait_for("the difference", "shop", |app| app.sync == SyncStatus::OutOfSync).await.unwrap();
    assert_eq!(value(&world, "a"), None);
    ask(&world, "sync", json!({})).await;
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}

#[tokio::test]
async fn drift_that_is_left_is_an_event_that_names_who_did_it() {
    let files = [("a.yaml", &*config_map("a", "one")), ("b.yaml", &*config_map("b", "one"))];
    let world = deployed(&files, "[application.environment.sync]\nself_heal = false\n").await;
    let edit = |name: &str| {
        let by_hand = |object: &mut serde_json::Value| object["data"]["value"] = json!("by hand");
        world.cluster.edit("configmaps", "shop", name, "kubectl-edit", by_hand).unwrap();
    };
    edit("a");
    let left = |app: &EnvironmentStatus| app.message == "the cluster was changed, and self-heal is off";
    world.wait_for("the drift to be told", "shop", left).await.unwrap();
    // Who goes on editing is told of once.
    edit("b");
    world.wait_for("both to be counted", "shop", |app| app.drifted == 2).await.unwrap();
    let records: Vec<EventRecord> = world.client().get("/v1/events?application=shop").await.unwrap();
    let found: Vec<_> = records.iter().filter(|record| matches!(record.event, Event::DriftFound { .. })).collect();
    let [record] = found[..] else { panic!("{records:#?}") };
    let Event::DriftFound { resources } = &record.event else { unreachable!() };
    assert_eq!(resources.iter().map(|resource| resource.short()).collect::<Vec<_>>(), ["ConfigMap/a"]);
    assert!(
        matches!(&record.cause, Cause::Drift { manager: Some(manager), .. } if manager == "kubectl-edit"),
        "{record:?}"
    );
    assert_eq!(value(&world, "a").as_deref(), Some("by hand"));
}

#[tokio::test]
async fn a_pin_outlives_the_agent_and_new_commits() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let first = deploy(&world).rev("main");
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    ask(&world, "rollback", json!({ "to": first, "reason": "a test" })).await;
    synced_to(&world, &first).await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    let third = manifests(&world, &[("a.yaml", &config_map("a", "three"))], "A third value");
    polled_twice(&world).await;
    let status = synced_to(&world, &first).await;
    assert_eq!(status.pin.map(|pin| pin.hold.reason).as_deref(), Some("a test"));
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    ask(&world, "unpin", json!({})).await;
    synced_to(&world, &third).await;
}

/// As `qd build`, `qd push` and `qd diff` name a commit, and a sync by its number besides.
#[tokio::test]
async fn a_rollback_names_its_commit_as_every_question_does() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let first = deploy(&world).rev("main");
    synced_to(&world, &first).await;
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    let third = manifests(&world, &[("a.yaml", &config_map("a", "three"))], "A third value");
    synced_to(&world, &third).await;
    // A tag comes before a commit, and so before a release that begins so.
    let name = &first[..7];
    deploy(&world).tag(name, &second);
    polled_twice(&world).await;
    let syncs: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history").await.unwrap();
    let sync = syncs.iter().find(|sync| sync.revision.commit.as_str() == first).expect("the first sync").id;
    for (to, commit) in [
        (name, &second),
        (&first[..8], &first),
        (&second[..12].to_uppercase(), &second),
        (&sync.number.to_string(), &first),
        ("main", &third),
        (&sync.to_string(), &first),
    ] {
        ask(&world, "rollback", json!({ "to": to, "reason": "a test" })).await;
        let status = synced_to(&world, commit).await;
        assert!(status.pin.is_some(), "{to}: {status:?}");
    }
    let nothing = json!({ "to": &first[..6], "reason": "a test" });
    let told = world.client().post::<Accepted>("/v1/environments/shop/rollback", &nothing).await.unwrap_err();
    assert!(told.to_string().contains("no branch, tag or commit"), "six digits name nothing: {told}");
}

/// A shop whose manifests come over http, and the commit that it is synced to.
async fn deployed_over_http() -> (World, String) {
    let mut world = world().await;
    let first = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests");
    let address = world.forge.http("ops/deploy");
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &first).await;
    (world, first)
}

#[tokio::test]
async fn a_release_is_named_by_its_digits_while_the_mirror_and_the_forge_are_away() {
    let (mut world, first) = deployed_over_http().await;
    world.stop_agent().unwrap();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    world.forge.http_away().await;
    world.start_agent().await.unwrap();
    let taken = ask(&world, "rollback", json!({ "to": &first[..7], "reason": "a test" })).await;
    assert_eq!(taken.revision.map(|revision| revision.commit.to_string()), Some(first));
}

#[tokio::test]
async fn a_rollback_works_while_the_forge_is_away() {
    let (world, first) = deployed_over_http().await;
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    world.forge.http_away().await;
    let failed = |state: &State| repositories(state).iter().any(|r| r.failures > 0).then_some(());
    world.wait("a poll to fail", failed).await.unwrap();
    ask(&world, "rollback", json!({ "reason": "a test" })).await;
    synced_to(&world, &first).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}

/// Whoever waits for a sync and then for health must not be told the health of what was there before.
#[tokio::test]
async fn the_end_of_a_sync_comes_after_the_health_of_what_it_wrote() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    world.wait_for("health", "shop", |app| app.health == Health::Healthy).await.unwrap();
    let files = world::manifests("shop", &world.image("ops/nowhere:1"));
    let commit = deploy(&world).commit("main", &borrowed(&files), "An image that nobody has");
    let status = synced_to(&world, &commit).await;
    assert_ne!(status.health, Health::Healthy, "{status:?}");
}

#[tokio::test]
async fn rewritten_history_is_followed_and_told() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let first = deploy(&world).rev("main");
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    // In one step: a poll in between would see the first commit come back.
    let repository = deploy(&world);
    repository.branch("aside", &first);
    let files = [("apps/shop/a.yaml", &*config_map("a", "three"))];
    let third = repository.commit("aside", &files, "As if the second had not been");
    repository.git(&["update-ref", "refs/heads/main", &third]);
    synced_to(&world, &third).await;
    assert_eq!(value(&world, "a").as_deref(), Some("three"));
    let events: Vec<EventRecord> = world.client().get("/v1/events?application=shop&limit=100").await.unwrap();
    let told: Vec<_> = events
        .iter()
        .filter_map(|record| match &record.event {
            Event::RevisionChanged { revision, rewritten } => Some((revision.commit.as_str(), *rewritten)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(third.as_str(), true), (second.as_str(), false), (first.as_str(), false)]);
}
