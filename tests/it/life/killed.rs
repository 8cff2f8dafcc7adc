//! kill -9 (or a reload) in the middle of everything: what comes next finishes what was begun, and does nothing twice.

use std::time::Duration;

use harness::cluster::faults::Fault;
use harness::engine::Outcome;
use harness::world::{World, runs};
use quarterdeck_shared::status::{Health, Phase, StageKind, SyncStatus};

use super::*;

/// Long enough to be killed in, whatever the machine does meanwhile.
const WINDOW: Duration = Duration::from_secs(20);

#[tokio::test]
async fn in_the_middle_of_a_build() {
    let mut world = shop().await;
    world.engine.set_step_delay(WINDOW);
    begun(&mut world, StageKind::Build).await;
    world.kill_agent();
    world.engine.set_step_delay(Duration::ZERO);
    taken_up(&mut world).await;
}

#[tokio::test]
async fn in_the_middle_of_a_push() {
    let mut world = shop().await;
    world.engine.set_push_delay(WINDOW);
    begun(&mut world, StageKind::Push).await;
    world.kill_agent();
    world.engine.set_push_delay(Duration::ZERO);
    taken_up(&mut world).await;
}

/// The forge thinks about the commit while the agent dies: the push that was begun may still arrive.
#[tokio::test]
async fn in_the_middle_of_a_promotion() {
    let mut world = shop().await;
    let gate = world.path("gate");
    std::fs::write(&gate, "").unwrap();
    deploy(&world).hook("pre-receive", &format!("#!/bin/sh\nwhile [ -e '{}' ]; do sleep 0.05; done\n", gate.display()));
    begun(&mut world, StageKind::Promote).await;
    world.kill_agent();
    std::fs::remove_file(&gate).unwrap();
    taken_up(&mut world).await;
}

/// Not killed, but told in the middle that its tags mean something else.
#[tokio::test]
async fn reloaded_in_the_middle_of_a_build() {
    let mut world = shop().await;
    world.engine.set_step_delay(WINDOW);
    begun(&mut world, StageKind::Build).await;
    world.engine.hold_no_more().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let other = "[application.code]\nbuild_tags = [\"build-*\"]\n";
    world.configure(&text.replace("[application.code]\n", other)).unwrap();
    world.reload_agent();
    done_by_the_next(&world).await;
}

/// Told in the middle that the application is nobody's any more: its runs end, and consoles do not see them wait for ever.
#[tokio::test]
async fn removed_in_the_middle_of_a_build() {
    let mut world = shop().await;
    world.engine.set_step_delay(WINDOW);
    begun(&mut world, StageKind::Build).await;
    code(&world).tag("push-1.5.0", "main");
    world.wait("a run behind it", |state| (runs(state).count() == 2).then_some(())).await.unwrap();
    world.configure(&world.config_head("without the shop")).unwrap();
    world.reload_agent();
    let all =
        async || -> Vec<quarterdeck_shared::snapshot::RunStatus> { world.client().get("/v1/runs").await.unwrap() };
    while all().await.iter().any(|run| !run.phase.is_final()) {
        tokio::task::yield_now().await;
    }
    let ended = all().await;
    assert_eq!(ended.len(), 2);
    for run in ended {
        assert_eq!(run.phase, Phase::Interrupted);
        assert!(run.message.contains("the application was removed from the configuration"), "{}", run.message);
    }
    assert_eq!(runs(&world.state().await.unwrap()).count(), 0);
}

/// Told in the middle that the application has no code any more: what runs ends, and so does what is queued.
#[tokio::test]
async fn without_code_in_the_middle_of_a_build() {
    let mut world = shop().await;
    world.engine.set_step_delay(WINDOW);
    begun(&mut world, StageKind::Build).await;
    code(&world).tag("push-1.5.0", "main");
    world.wait("a run behind it", |state| (runs(state).count() == 2).then_some(())).await.unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let (head, rest) = text.split_once("[application.code]").unwrap();
    let (_, environments) = rest.split_once("[[application.environment]]").unwrap();
    world.configure(&format!("{head}[[application.environment]]{environments}")).unwrap();
    world.reload_agent();
    let over = |state: &State| runs(state).all(|run| run.phase.is_final()).then_some(());
    world.wait("all runs to end", over).await.unwrap();
    let all: Vec<quarterdeck_shared::snapshot::RunStatus> = world.client().get("/v1/runs").await.unwrap();
    let told: Vec<_> =
        all.iter().map(|run| (run.phase, run.message.contains("has no [application.code] any more"))).collect();
    assert_eq!(told, [(Phase::Interrupted, true), (Phase::Interrupted, true)]);
}

#[tokio::test]
async fn in_the_middle_of_a_sync() {
    let mut world = shop().await;
    code(&world).tag("push-1.4.0", "main");
    world.cluster.fault(Fault::slow(WINDOW).on("patch", "deployments.apps"));
    world.start_agent().await.unwrap();
    world.wait_for("a sync", "shop", |app| app.progress.is_some()).await.unwrap();
    world.kill_agent();
    world.cluster.mend();
    world.start_agent().await.unwrap();
    as_wanted(&world).await;
}

/// A push was begun, and is in this stage.
async fn begun(world: &mut World, stage: StageKind) {
    code(world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let doing = |run: &quarterdeck_shared::snapshot::RunStatus| {
        run.stages.iter().any(|one| one.kind == stage && one.phase == Phase::Running)
    };
    world.wait_run("the stage to run", doing).await.unwrap();
}

async fn taken_up(world: &mut World) {
    world.start_agent().await.unwrap();
    done_by_the_next(world).await;
}

/// The run that was begun is cut off, and the next one did the rest.
async fn done_by_the_next(world: &World) {
    as_wanted(world).await;
    let state = world.state().await.unwrap();
    let mut phases: Vec<_> = runs(&state).map(|run| (run.id, run.phase)).collect();
    phases.sort_by_key(|(id, _)| *id);
    let phases: Vec<_> = phases.into_iter().map(|(_, phase)| phase).collect();
    assert_eq!(phases, [Phase::Interrupted, Phase::Succeeded]);
}

/// The end is the same as if nothing had happened.
async fn as_wanted(world: &World) {
    let run = world.wait_run("the run to succeed", |run| run.phase == Phase::Succeeded).await.unwrap();
    let digest = harness::agent::digest(&run).unwrap();
    let promoted = deploy(world).rev("main");
    let well = |app: &EnvironmentStatus| {
        app.sync == SyncStatus::Synced && app.health == Health::Healthy && is_at(app, &promoted)
    };
    world.wait_for("the new version", "shop", well).await.unwrap();

    let builds = world.engine.builds_labelled("org.opencontainers.image.revision", &code(world).rev("main"));
    let done = builds.iter().filter(|build| matches!(build.outcome, Outcome::Done(_) | Outcome::Cached(_))).count();
    assert_eq!(done, 1, "{builds:#?}");
    assert_eq!(deploy(world).subjects("main"), ["shop: 1.4.0", "Manifests of the shop"]);
    assert_eq!(world.registry.digest("ops/shop", "1.4.0"), Some(digest.clone()));
    let pods = world.cluster.pods("shop");
    let images: Vec<_> = pods.iter().filter_map(|pod| pod["spec"]["containers"][0]["image"].as_str()).collect();
    assert!(images.len() == 2 && images.iter().all(|image| image.ends_with(&digest)), "{images:?}");
}
