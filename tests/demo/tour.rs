//! The tour: the whole story without a terminal, one line a step with its time.

use anyhow::{Context as _, ensure};
use harness::agent::is_at;
use harness::cluster::Pace;
use harness::world::{self, World, borrowed};
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use quarterdeck_shared::status::{Health, Phase, SyncStatus};
use serde_json::json;

use crate::step::Tour;

/// Runs it. The first step that fails ends it.
pub(crate) async fn tour() -> anyhow::Result<()> {
    let mut tour = Tour::begin();
    let mut world = World::start(Pace::default(), this_program()?).await?;
    let shop = world.forge.repo("ops/shop");
    let first = shop.commit("main", &borrowed(&world::code("shop", "1.4.0")), "A shop that says hello");
    let deploy = world.forge.repo("ops/deploy");
    let image = world.image("ops/shop");
    deploy.commit("main", &borrowed(&world::manifests("shop", &format!("{image}:none"))), "Manifests of the shop");
    let config =
        world.config_head("a tour: engine, registry and cluster are stand-ins") + &world.application("shop", "");
    world.configure(&config)?;
    world.start_agent().await?;
    tour.done("world", "real git; engine, registry and cluster are stand-ins that speak the real HTTP APIs")?;

    shop.tag("build-1.4.0", &first);
    let run = world.wait_run("the build", |run| run.reference == "build-1.4.0" && run.phase.is_final()).await?;
    ensure!(run.phase == Phase::Succeeded, "the build {}: {}\n{}", run.phase, run.message, world.log());
    tour.done("tag build-1.4.0", &run.message)?;

    shop.tag("push-1.4.0", &first);
    let run = world.wait_run("the push", |run| run.reference == "push-1.4.0" && run.phase.is_final()).await?;
    ensure!(run.phase == Phase::Succeeded, "the push {}: {}\n{}", run.phase, run.message, world.log());
    ensure!(world.engine.builds().len() == 1, "one commit was built {} times", world.engine.builds().len());
    let artifact = run.artifact.clone().context("a pushed run has an artifact")?;
    let digest = harness::agent::digest(&run).context("a pushed artifact has a digest")?;
    tour.done("tag push-1.4.0", &format!("{} is {}", artifact.tagged(), &digest[..19]))?;

    let promoted = deploy.rev("main");
    ensure!(
        harness::agent::promotion(&run).map(|commit| commit.as_str()) == Some(promoted.as_str()),
        "the promotion is not on main"
    );
    ensure!(
        deploy.file("main", "apps/shop/deployment.yaml").contains(&format!("{image}:1.4.0@{digest}   # promoted")),
        "the manifest names another image"
    );
    tour.done("promotion", &format!("{} {:?}", &promoted[..7], deploy.subjects("main")[0]))?;

    let status =
        world.wait_for("the sync", "shop", |app| app.sync == SyncStatus::Synced && is_at(app, &promoted)).await?;
    tour.done("sync", &status.last_sync.map_or_else(String::new, |sync| sync.message))?;
    world.wait_for("health", "shop", |app| app.health == Health::Healthy && is_at(app, &promoted)).await?;
    let pods = world.cluster.pods("shop");
    ensure!(
        pods.iter()
            .filter(|pod| pod["spec"]["containers"][0]["image"].as_str().is_some_and(|image| image.ends_with(&digest)))
            .count()
            == 2,
        "the pods run another image"
    );
    tour.done("healthy", "2 pods run that very digest")?;

    world
        .cluster
        .edit("deployments.apps", "shop", "shop", "somebody", |object| object["spec"]["replicas"] = json!(5))
        .map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let healed = |world: &World| {
        world
            .cluster
            .get("deployments.apps", "shop", "shop")
            .is_some_and(|object| object["spec"]["replicas"] == json!(2))
    };
    let status = world
        .wait_for("the drift to be healed", "shop", |app| {
            healed(&world)
                && app.last.as_ref().is_some_and(|last| last.what == "drift" && last.phase == Phase::Succeeded)
        })
        .await?;
    tour.done(
        "drift healed",
        &status.last_sync.map_or_else(String::new, |sync| format!("{}, {}", sync.cause.describe(), sync.message)),
    )?;

    let second = shop.commit("main", &borrowed(&world::code("shop", "1.5.0")), "Faster");
    shop.tag("push-1.5.0", &second);
    let run = world.wait_run("the second push", |run| run.reference == "push-1.5.0" && run.phase.is_final()).await?;
    ensure!(run.phase == Phase::Succeeded, "the second push {}: {}", run.phase, run.message);
    let newer = harness::agent::promotion(&run).context("the second push was promoted")?.clone();
    world
        .wait_for("the second version", "shop", |app| {
            app.health == Health::Healthy && app.sync == SyncStatus::Synced && is_at(app, newer.as_str())
        })
        .await?;
    tour.done("tag push-1.5.0", "built, pushed, promoted, synced and healthy by one tag")?;

    deploy.commit(
        "main",
        &[("apps/shop/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: shop\n")],
        "A bad manifest",
    );
    let status =
        world.wait_for("the bad manifest to be refused", "shop", |app| app.message.contains("service.yaml")).await?;
    ensure!(is_at(&status, newer.as_str()), "the last good state was left");
    ensure!(
        world.cluster.get("services", "shop", "shop").is_some() && world.cluster.pods("shop").len() == 2,
        "the last good state does not run"
    );
    tour.done("bad manifest refused", status.message.lines().next().unwrap_or_default())?;
    deploy.commit("main", &[("apps/shop/service.yaml", &world::manifests("shop", "x")[1].1)], "A good manifest again");
    world
        .wait_for("the mended manifest", "shop", |app| app.sync == SyncStatus::Synced && app.message.is_empty())
        .await?;
    tour.done("manifest mended", "synced again")?;

    let request = RollbackRequest { to: Some(promoted.clone()), reason: "the tour goes back".to_owned() };
    let taken: Accepted = world.client().post("/v1/environments/shop/rollback", &request).await?;
    let back = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| {
        app.health == Health::Healthy && app.sync == SyncStatus::Synced && app.pin.is_some() && is_at(app, &promoted)
    };
    let status = world
        .wait_for("the rollback", "shop", |app| back(app) && app.images.iter().any(|image| image.ends_with(&digest)))
        .await?;
    tour.done(
        "rollback",
        &format!(
            "{} runs {}",
            taken.revision.map_or_else(String::new, |revision| revision.short()),
            status.images.join(", ")
        ),
    )?;

    let status = world.stop_agent()?;
    ensure!(status.success(), "the agent ended with {status}");
    tour.done("end", "the agent stopped cleanly")?;
    tour.passed()
}

/// How this program is told to be the agent.
pub(crate) fn this_program() -> anyhow::Result<(std::path::PathBuf, Vec<String>)> {
    Ok((std::env::current_exe()?, vec!["agent".to_owned()]))
}
