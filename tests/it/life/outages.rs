//! What the agent talks to goes away and comes back: it catches up, and nothing is done twice.

use harness::engine::Outcome;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, StageKind};

use super::*;

async fn succeeds(world: &World) {
    let run = world.wait_run("the run to end", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(world, &deploy(world).rev("main")).await;
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_) | Outcome::Cached(_));
    assert_eq!(world.engine.builds().iter().filter(|build| done(&build.outcome)).count(), 1);
    assert_eq!(deploy(world).subjects("main"), ["shop: 1.4.0", "Manifests of the shop"]);
}

/// The stage says what it waits for.
fn waits(run: &RunStatus, kind: StageKind) -> bool {
    run.stages.iter().any(|stage| {
        stage.kind == kind && stage.phase == Phase::Running && stage.message.starts_with("trying again in")
    })
}

#[tokio::test]
async fn the_engine_is_away() {
    let mut world = shop().await;
    world.engine.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    world.wait_run("the build to wait", |run| waits(run, StageKind::Build)).await.unwrap();
    world.engine.back().await.unwrap();
    succeeds(&world).await;
}

#[tokio::test]
async fn the_registry_is_away() {
    let mut world = shop().await;
    world.registry.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    world.wait_run("the push to wait", |run| waits(run, StageKind::Push)).await.unwrap();
    world.registry.back().await.unwrap();
    succeeds(&world).await;
}

#[tokio::test]
async fn the_cluster_is_away() {
    let mut world = shop().await;
    world.cluster.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    world.wait_for("the cluster to be missed", "shop", |app| !app.message.is_empty()).await.unwrap();
    world.cluster.back().await;
    succeeds(&world).await;
}

#[tokio::test]
async fn the_forge_is_away() {
    let mut world = shop().await;
    let path = world.forge.path("ops/shop").display().to_string();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace(&path, &world.forge.http("ops/shop"))).unwrap();
    world.forge.http_away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let failed = |state: &State| repositories(state).iter().any(|r| r.failures > 0).then_some(());
    world.wait("a poll to fail", failed).await.unwrap();
    world.forge.http_back().await.unwrap();
    succeeds(&world).await;
}

/// Some forges ban an address that comes with a dead token again and again.
#[tokio::test]
async fn dead_credentials_are_told_and_nobody_is_hammered_with_them() {
    let mut world = shop().await;
    world.forge.require_login("robot", "the-right-one");
    let path = world.forge.path("ops/shop").display().to_string();
    let address = world.forge.http("ops/shop").replace("http://", "http://robot:dead-token@");
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap().replace("500ms", "100ms");
    world.configure(&text.replace(&path, &address)).unwrap();
    world.start_agent().await.unwrap();
    let refused = |state: &State| {
        let found = repositories(state).into_iter().find(|repository| repository.failures > 3)?;
        Some((found.error.clone()?, found.next_poll?))
    };
    let (error, next) = world.wait("the refusals", refused).await.unwrap();
    assert!(error.contains("is refused") && error.contains("check the credentials"), "{error}");
    assert!(!error.contains("dead-token"), "{error}");
    let wait = next.duration_since(jiff::Timestamp::now());
    assert!(wait > jiff::SignedDuration::from_mins(8), "asked again in {wait:?}");
    let asked = world.forge.http_count(harness::git::Counted::Unauthorized);
    assert!(asked <= 10, "asked {asked} times");
}
