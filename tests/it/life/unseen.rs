//! What cannot be seen is said to be unseen: in the application's row, with what was known last, and by the doctor.

use harness::cluster::faults::Fault;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::Cover;
use quarterdeck_shared::status::Health;
use serde_json::json;

use super::*;

async fn settled() -> World {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    well(&world, "it to be well").await;
    world
}

async fn well(world: &World, what: &str) -> EnvironmentStatus {
    let well = |app: &EnvironmentStatus| {
        (app.sync, app.health) == (SyncStatus::Synced, Health::Healthy) && app.unseen.is_empty()
    };
    world.wait_for(what, "shop", well).await.unwrap()
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name.starts_with("cluster ")).unwrap()
}

#[tokio::test]
async fn what_may_not_be_watched_is_not_claimed_to_be_well() {
    let world = settled().await;
    let forbidden = Fault::forbidden().on("watch", "configmaps");
    world.cluster.fault(forbidden.clone());
    world.cluster.cut_watches();
    let unwatched = |app: &EnvironmentStatus| app.health == Health::Unknown;
    let status = world.wait_for("it to be unknown", "shop", unwatched).await.unwrap();
    assert_eq!(status.sync, SyncStatus::Synced, "as of the last comparison");
    assert_eq!(status.message, "ConfigMaps in namespace shop not watched: forbidden to watch");
    assert_eq!(status.known().health, Health::Healthy);
    assert!(status.unseen[0].of == Cover::Watch && status.unseen[0].last_seen.is_some(), "{:?}", status.unseen);
    let check = doctor(&world).await;
    assert_eq!(check.result, CheckResult::Bad, "{}", check.message);
    assert!(
        check.message.ends_with("ConfigMaps in namespace shop not watched: forbidden to watch"),
        "{}",
        check.message
    );

    world.cluster.lift(&forbidden);
    world.reload_agent();
    well(&world, "it to be watched again").await;
    assert_eq!(doctor(&world).await.result, CheckResult::Good);
}

#[tokio::test]
async fn what_comes_back_into_the_configuration_is_seen_anew() {
    let world = settled().await;
    let forbidden = Fault::forbidden().on("watch", "configmaps");
    world.cluster.fault(forbidden.clone());
    world.cluster.cut_watches();
    let unwatched = |app: &EnvironmentStatus| app.health == Health::Unknown;
    world.wait_for("it to be unknown", "shop", unwatched).await.unwrap();

    // It leaves, and its watch ends, while another application stays in the cluster.
    let with = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let (head, _) = with.split_once("\n[[application]]").unwrap();
    let address = world.forge.path("ops/deploy").display().to_string();
    let other = application("other", &address, "");
    world.configure(&format!("{head}{other}")).unwrap();
    world.reload_agent();
    let is_gone = |state: &State| harness::agent::environment(state, "shop").is_none().then_some(());
    world.wait("it to leave", is_gone).await.unwrap();
    while doctor(&world).await.result != CheckResult::Good {
        tokio::task::yield_now().await;
    }

    // When it comes back all of it can be seen.
    world.cluster.lift(&forbidden);
    world.configure(&format!("{with}{other}")).unwrap();
    world.reload_agent();
    well(&world, "it to be back").await;
}

#[tokio::test]
async fn nothing_is_claimed_of_a_cluster_that_is_away() {
    let world = settled().await;
    world.cluster.away().await;
    let unseen = |app: &EnvironmentStatus| app.unseen.iter().any(|unseen| unseen.of == Cover::Cluster);
    let status = world.wait_for("the cluster to be missed", "shop", unseen).await.unwrap();
    assert_eq!((status.sync, status.health), (SyncStatus::Unknown, Health::Unknown));
    assert!(status.message.starts_with("cluster demo cannot be observed: "), "{}", status.message);
    assert_eq!((status.known().sync, status.known().health), (SyncStatus::Synced, Health::Healthy));
    let lost = status.unseen[0].clone();

    // Also of what comes into the configuration meanwhile.
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(text + &application("late", &address, ""))).unwrap();
    world.reload_agent();
    world.wait_for("the other to miss it too", "late", unseen).await.unwrap();
    world.cluster.back().await;
    let status = well(&world, "the cluster to be back").await;
    assert!(lost.last_seen.is_some() && status.last_known.is_none(), "{lost:?} {status:?}");
    let seen = |app: &EnvironmentStatus| app.unseen.is_empty();
    world.wait_for("the other to see it again", "late", seen).await.unwrap();
}

async fn is_an_event(world: &World, message: &str) {
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let replaced = events.iter().filter_map(|record| match &record.event {
        Event::ClusterReplaced { cluster, message } => Some(format!("{cluster} {message}")),
        _ => None,
    });
    assert_eq!(replaced.collect::<Vec<_>>(), [format!("demo {message}")]);
}

#[tokio::test]
async fn a_cluster_that_was_set_back_is_brought_where_git_is() {
    let world = settled().await;
    let backup = world.cluster.snapshot();
    let files = [("a.yaml", config_map("a", "two")), ("b.yaml", config_map("b", "two"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let commit = manifests(&world, &files, "One changes, one comes");
    synced_to(&world, &commit).await;
    well(&world, "both to be well").await;
    world.cluster.restore(&backup);
    let both = |state: &State| {
        let _ = state;
        ["a", "b"].iter().all(|name| value(&world, name).as_deref() == Some("two")).then_some(())
    };
    world.wait("what was lost to be back", both).await.unwrap();
    well(&world, "it to be well").await;
    is_an_event(&world, "was set back to an older state").await;
}

#[tokio::test]
async fn a_cluster_that_was_made_anew_gets_what_git_says() {
    let world = settled().await;
    world.cluster.recreate();
    // As whoever makes it anew does.
    world.cluster.namespace("shop").unwrap();
    let there = |_: &State| (value(&world, "a").as_deref() == Some("one")).then_some(());
    world.wait("it to be deployed anew", there).await.unwrap();
    well(&world, "it to be well").await;
    is_an_event(&world, "is another cluster now").await;
    let inventory = world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod");
    assert!(inventory.is_some_and(|inventory| inventory["data"].to_string().contains("ConfigMap")), "and it is known");
}

/// What a reload lets go of is asked no more, and says no more.
#[tokio::test]
async fn a_cluster_that_the_configuration_leaves_is_left_alone() {
    let world = settled().await;
    let other = harness::cluster::Cluster::start().await.unwrap();
    other.kubeconfig(&world.path("kubeconfig-of-another")).unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace("kubeconfig = \"kubeconfig\"", "kubeconfig = \"kubeconfig-of-another\"")).unwrap();
    world.reload_agent();
    let there = |_: &State| other.get("configmaps", "shop", "a").map(drop);
    world.wait("it to be deployed to the other", there).await.unwrap();
    well(&world, "it to be well there").await;
    world.cluster.reset_counts();
    world.cluster.cut_watches();
    polled_twice(&world).await;
    assert_eq!(world.cluster.counts().all(), 0, "{:?}", world.cluster.counts());
}

/// What is held is looked at again like any other: no news tell that the cluster would answer by now.
#[tokio::test]
async fn what_is_suspended_is_compared_again_where_the_cluster_refused_to_say() {
    let mut world = settled().await;
    ask(&world, "suspend", json!({ "reason": "a test" })).await;
    world.kill_agent();
    let (unlisted, unasked) =
        (Fault::forbidden().on("list", "configmaps"), Fault::forbidden().on("patch", "configmaps"));
    world.cluster.fault(unlisted.clone());
    world.cluster.fault(unasked.clone());
    world.start_agent().await.unwrap();
    let unsure = |app: &EnvironmentStatus| app.suspended && app.known().sync == SyncStatus::Unknown;
    world.wait_for("it not to be known", "shop", unsure).await.unwrap();
    world.cluster.lift(&unlisted);
    world.cluster.lift(&unasked);
    let status = well(&world, "it to be as git says").await;
    assert!(status.suspended && status.message.starts_with("suspended by "), "{}", status.message);
}
