//! What the agent talks to goes away and comes back: it catches up, and nothing is done twice.

use harness::engine::Outcome;
use harness::registry::{Fault, Step};
use quarterdeck_shared::snapshot::ConnectionStatus;
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use super::*;

async fn succeeds(world: &World) {
    let run = world.wait_run("the run to end", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(world, &deploy(world).rev("main")).await;
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_) | Outcome::Cached(_));
    assert_eq!(world.engine.builds().iter().filter(|build| done(&build.outcome)).count(), 1);
    assert_eq!(deploy(world).subjects("main"), ["shop: 1.4.0", "Manifests of the shop"]);
}

/// What a stage says that it waits for.
async fn waits(world: &World, kind: StageKind) -> String {
    let waits = |state: &State| {
        let mut stages = harness::world::runs(state).flat_map(|run| &run.stages);
        let stage = stages.find(|stage| stage.kind == kind && stage.phase == Phase::Running)?;
        Some(stage.message.strip_prefix("trying again in ")?.split_once(" s: ")?.1.to_owned())
    };
    world.wait("a stage to wait", waits).await.unwrap()
}

#[tokio::test]
async fn the_engine_is_away() {
    let mut world = shop().await;
    world.engine.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let words = waits(&world, StageKind::Build).await;
    let address = world.engine.host();
    let whole = format!(
        "the container engine at {address} (from [engine] address) is unreachable while connecting: Connection refused (os error 111)"
    );
    assert!(whole.starts_with(&words) && words.len() > 100, "{words}");
    world.engine.back().await.unwrap();
    succeeds(&world).await;
}

#[tokio::test]
async fn the_registry_is_away() {
    let mut world = shop().await;
    world.registry.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let words = waits(&world, StageKind::Push).await;
    let (registry, image) = (world.registry.address(), world.image("ops/shop:1.4.0"));
    let whole = format!(
        "pushing {image} failed: Get \"http://{registry}/v2/\": dial tcp {registry}: connect: connection refused"
    );
    assert!(whole.starts_with(&words) && words.len() > 100, "{words}");
    world.registry.back().await.unwrap();
    succeeds(&world).await;
}

/// Once it was pushed the registry limits what the agent asks: it is asked again when it said, and the run says when that is.
#[tokio::test]
async fn a_registry_that_asks_for_a_pause_gets_it() {
    let mut world = shop().await;
    for step in [Step::ManifestHead, Step::ManifestGet] {
        world.registry.fail(step, Fault::Busy(7), u32::MAX);
    }
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let words = format!("trying again in 7 s: the registry {} limits requests", world.registry.address());
    let waits = |state: &State| {
        let run = harness::world::runs(state).next()?;
        let is_it = |stage: &Stage| stage.kind == StageKind::Push && stage.message.starts_with(&words);
        run.stages.iter().any(is_it).then(|| run.hint.clone())
    };
    let hint = world.wait("the pause", waits).await.unwrap();
    assert_eq!(hint, "wait 7 s, as the registry asks; the agent does");
    world.registry.heal();
    succeeds(&world).await;
}

/// A token that ends in the middle of a layer, as GitLab's does after five minutes: what is missing is pushed with another.
#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_push_costs_no_release() {
    let mut world = shop().await;
    world.registry.fail(Step::UploadPatch, Fault::Status(401), 1);
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    succeeds(&world).await;
    assert_eq!(world.engine.pushes().len(), 2);
}

const HINT: &str = "see that the API server runs, and that its address, and that of a proxy, is right in the kubeconfig and the \
                    environment";

#[tokio::test]
async fn the_cluster_is_away() {
    let mut world = shop().await;
    world.cluster.away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let told = |state: &State| {
        let app = harness::world::environment(state, "shop").filter(|app| !app.message.is_empty())?;
        Some((told(&app.message, &app.hint), connection(state, ConnectionKind::Cluster)?.error?))
    };
    let (message, error) = world.wait("the cluster to be missed", told).await.unwrap();
    let refused = "Connection refused (os error 111)";
    assert_eq!(message, format!("cluster demo: cannot ask the cluster for its kinds: {refused}\nhint: {HINT}"));
    // Of what is asked when it is away, whatever is answered first.
    assert!(error.starts_with("cannot ask ") && error.ends_with(&format!(": {refused}")), "{error}");
    world.cluster.back().await;
    succeeds(&world).await;
}

#[tokio::test]
async fn the_forge_is_away() {
    let mut world = shop().await;
    let path = world.forge.path("ops/shop").display().to_string();
    let address = world.forge.http("ops/shop");
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace(&path, &address)).unwrap();
    world.forge.http_away().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let failed = |state: &State| repositories(state).iter().find_map(|r| r.error.clone());
    let error = world.wait("a poll to fail", failed).await.unwrap();
    assert_eq!(error, format!("{address} cannot be reached: Connection refused (os error 111)"));
    world.forge.http_back().await.unwrap();
    succeeds(&world).await;
}

/// What is deployed keeps running and is as git said; that nothing newer is known stands at the application.
#[tokio::test]
async fn a_deploy_repository_that_cannot_be_read_is_told_at_its_applications() {
    let mut world = world().await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests");
    let address = world.forge.http("ops/deploy");
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    world.forge.http_away().await;
    let words =
        format!("repository {address} cannot be read: {address} cannot be reached: Connection refused (os error 111)");
    let status = world.wait_for("the outage to be told", "shop", |app| app.message == words).await.unwrap();
    assert_eq!((status.sync, status.unseen.len()), (SyncStatus::Synced, 1));
    assert!(status.unseen[0].last_seen.is_some(), "{:?}", status.unseen);
    // The words of one failure are told once.
    let failed = |state: &State| repositories(state).iter().any(|r| r.failures > 1).then_some(());
    world.wait("another poll to fail", failed).await.unwrap();
    let again = world.wait_for("the outage to be told still", "shop", |app| app.message == words).await.unwrap();
    assert_eq!(again.unseen, status.unseen);
    world.forge.http_back().await.unwrap();
    let well = |app: &EnvironmentStatus| app.message.is_empty() && app.unseen.is_empty();
    world.wait_for("its end to be told", "shop", well).await.unwrap();
}

/// A connection as consoles see it.
fn connection(state: &State, to: ConnectionKind) -> Option<ConnectionStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Connection(found) if found.to == to => Some(found.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn the_engine_and_the_registry_are_missed_before_a_tag_needs_them() {
    let mut world = shop().await;
    world.start_agent().await.unwrap();
    let both = [ConnectionKind::Engine, ConnectionKind::Registry];
    let are = async |what: &str, wanted: bool| {
        let told = |state: &State| {
            let found = both.map(|to| connection(state, to).filter(|found| found.reachable == wanted));
            let [Some(engine), Some(registry)] = found else { return None };
            Some((engine, registry))
        };
        world.wait(what, told).await.unwrap()
    };
    let (engine, registry) = are("both to answer", true).await;
    assert!(engine.version.starts_with("Docker ") && engine.error.is_none(), "{engine:?}");
    assert!(registry.name.starts_with("127.0.0.1:"), "{registry:?}");
    world.engine.away().await;
    world.registry.away().await;
    let (engine, registry) = are("both to be missed", false).await;
    let words = engine.error.unwrap();
    assert!(words.starts_with("the container engine at ") && words.contains("Connection refused"), "{words}");
    let words = registry.error.unwrap();
    assert!(words.starts_with(&format!("the registry {} is unreachable: ", registry.name)), "{words}");
    assert!(words.contains("Connection refused"), "{words}");
    world.engine.back().await.unwrap();
    world.registry.back().await.unwrap();
    let back = are("both to be back", true).await;
    assert!(back.0.since > engine.since && back.1.since > registry.since, "since when: {back:?}");
    // Who has no more to build there is asked no more.
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let (before, rest) = text.split_once("[application.code]").unwrap();
    let deploy = &rest[rest.find("[[application.environment]]").unwrap()..];
    world.configure(&format!("{before}{deploy}")).unwrap();
    world.reload_agent();
    let gone = |state: &State| both.iter().all(|to| connection(state, *to).is_none()).then_some(());
    world.wait("neither to be asked", gone).await.unwrap();
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
    let address = world.forge.http("ops/shop");
    let asked = world.forge.http_count(harness::git::Counted::Unauthorized);
    is_told_and_left_alone(&address, &error, next, asked);
}
