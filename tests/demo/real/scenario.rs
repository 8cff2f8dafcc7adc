//! The story of the tour on real parts: the main job, drift, bad manifests, a crash, a rollback, and a killed agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::ensure;
use harness::agent::is_at;
use harness::real::{Polled, Town, Version, code, poll};
use harness::world::borrowed;
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use quarterdeck_shared::snapshot::{EnvironmentStatus, Object, RunStatus};
use quarterdeck_shared::status::{Health, Phase, StageKind, SyncStatus};

use crate::step::Tour;

/// Runs it. The first step that fails ends it.
pub(super) async fn tell(town: &mut Town, tour: &mut Tour) -> anyhow::Result<()> {
    tour.done("world", "forge, engine, registry and a one-node Kubernetes, all real")?;
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop that says hello")?;
    town.start().await?;
    tour.done("first sync", "code over http with a token, manifests over ssh with a key; the namespace is there")?;
    let first = deliver(town, tour).await?;
    let second = roll(town, tour).await?;
    drift(town, tour).await?;
    bad_manifest(town, tour, &second).await?;
    crash_and_rollback(town, tour, &first).await?;
    kill_in_push(town, tour).await?;
    let status = town.agent.stop_agent()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// `build-1.4.0`, then `push-1.4.0`, to pods that run that digest and a Service that answers.
async fn deliver(town: &Town, tour: &mut Tour) -> anyhow::Result<Version> {
    town.shop.tag("build-1.4.0")?;
    let run = town.run("build-1.4.0").await?;
    tour.done("tag build-1.4.0", &run.message)?;
    town.shop.tag("push-1.4.0")?;
    let run = town.run("push-1.4.0").await?;
    let version = town.promoted(&run)?;
    tour.done("tag push-1.4.0", &format!("{}:1.4.0 is {}", town.image, &version.digest[..19]))?;
    town.deploy.pull()?;
    ensure!(town.deploy.git(&["rev-parse", "HEAD"])? == version.commit, "the promotion is not on the forge's main");
    let manifest = town.deploy.git(&["show", "HEAD:shop/deployment.yaml"])?;
    ensure!(manifest.contains(&format!("{}:1.4.0@{}", town.image, version.digest)), "the manifest names another image");
    tour.done("promotion", &town.deploy.git(&["log", "-1", "--format=%h %s"])?)?;
    let status = town.synced("the sync", &version.commit).await?;
    tour.done("sync", &status.last_sync.map_or_else(String::new, |sync| sync.message))?;
    town.healthy("health", &version.commit).await?;
    town.runs_digest(&version)?;
    tour.done("healthy", "2 pods run that very digest")?;
    town.answers("1.4.0").await?;
    tour.done("Service answers", "shop 1.4.0")?;
    Ok(version)
}

/// A second version by rolling update, while a client asks the Service over and over.
async fn roll(town: &Town, tour: &mut Tour) -> anyhow::Result<Version> {
    let over = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(poll(town.address()?, Arc::clone(&over)));
    town.shop.commit(&borrowed(&code("1.5.0", 0)), "Faster")?;
    town.shop.tag("push-1.5.0")?;
    let run = town.run("push-1.5.0").await?;
    let version = town.promoted(&run)?;
    town.healthy("the second version", &version.commit).await?;
    town.answers("1.5.0").await?;
    over.store(true, Ordering::Relaxed);
    let Polled { asked, failed, .. } = client.await?;
    ensure!(failed.is_empty(), "{} of {asked} requests failed during the rollout: {}", failed.len(), failed[0]);
    town.runs_digest(&version)?;
    tour.done("tag push-1.5.0", &format!("rolled out by one tag; none of {asked} requests failed meanwhile"))?;
    Ok(version)
}

/// Three kinds of drift, each healed.
async fn drift(town: &Town, tour: &mut Tour) -> anyhow::Result<()> {
    town.kubectl(&["scale", "deployment", "shop", "--replicas", "4"])?;
    town.until("the replicas to be healed", &["get", "deployment", "shop", "-o", "jsonpath={.spec.replicas}"], "2")
        .await?;
    town.kubectl(&["label", "--overwrite", "deployment", "shop", "tier=other"])?;
    let tier = ["get", "deployment", "shop", "-o", "jsonpath={.metadata.labels.tier}"];
    town.until("the label to be healed", &tier, "web").await?;
    town.kubectl(&["delete", "service", "shop"])?;
    let service = ["get", "service", "shop", "--ignore-not-found", "-o", "jsonpath={.metadata.name}"];
    town.until("the Service to be back", &service, "shop").await?;
    town.answers("1.5.0").await?;
    town.agent
        .wait_for("health after the drift", "shop", |app| {
            app.health == Health::Healthy && app.sync == SyncStatus::Synced && app.drifted == 0
        })
        .await?;
    tour.done("drift healed", "replicas scaled, a label changed, the Service deleted")
}

/// What cannot be read, and what the server refuses, leave the last good state.
async fn bad_manifest(town: &Town, tour: &mut Tour, good: &Version) -> anyhow::Result<()> {
    let whole = town.deploy.git(&["show", "HEAD:shop/service.yaml"])? + "\n";
    town.deploy.commit(&[("shop/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: shop\n")], "Oops")?;
    let unread = |app: &EnvironmentStatus| app.message.contains("service.yaml");
    let status = town.agent.wait_for("the bad manifest to be refused", "shop", unread).await?;
    ensure!(is_at(&status, &good.commit), "the last good state was left");
    town.answers("1.5.0").await?;
    tour.done("bad manifest refused", status.message.lines().next().unwrap_or_default())?;
    town.deploy
        .commit(&[("shop/service.yaml", &whole.replace("targetPort: 8080", "targetPort: 88080"))], "Oops again")?;
    let refused = |app: &EnvironmentStatus| app.message.contains("88080");
    let status = town.agent.wait_for("the server's refusal", "shop", refused).await?;
    town.answers("1.5.0").await?;
    tour.done("refused by the server", status.message.lines().next().unwrap_or_default())?;
    let commit = town.deploy.commit(&[("shop/service.yaml", &whole)], "A good manifest again")?;
    town.healthy("the mended manifest", &commit).await?;
    tour.done("manifest mended", "synced again")
}

/// A crash is told with its exit code and last words; a rollback takes the shop to the first version, and unpinning back.
async fn crash_and_rollback(town: &Town, tour: &mut Tour, first: &Version) -> anyhow::Result<()> {
    let whole = town.deploy.git(&["show", "HEAD:shop/deployment.yaml"])? + "\n";
    let crash = whole
        .replace("imagePullPolicy", "command: [sh, -c, 'echo the till is missing; exit 3']\n        imagePullPolicy");
    ensure!(crash != whole, "the manifest has no place for a command");
    town.deploy.commit(&[("shop/deployment.yaml", &crash)], "Look for the till")?;
    let told = town
        .agent
        .wait("the crash to be told", |state| {
            let degraded = harness::agent::environment(state, "shop").is_some_and(|app| app.health == Health::Degraded);
            let pods = state
                .objects
                .values()
                .filter_map(|object| if let Object::Pod(pod) = object { Some(pod) } else { None });
            let mut told =
                pods.filter(|pod| pod.message.contains("exit 3") && pod.message.contains("the till is missing"));
            told.next().filter(|_| degraded).map(|pod| pod.message.to_string())
        })
        .await?;
    tour.done("crash is Degraded", &told)?;

    let request = RollbackRequest { to: Some(first.commit.clone()), reason: "the tour goes back".to_owned() };
    let _: Accepted = town.agent.client().post("/v1/environments/shop/rollback", &request).await?;
    let status = town.healthy("the rollback", &first.commit).await?;
    ensure!(status.pin.is_some(), "a rollback pins");
    town.runs_digest(first)?;
    town.answers("1.4.0").await?;
    tour.done("rollback", "the first version's pods run, and the Service answers with it")?;

    let commit = town.deploy.commit(&[("shop/deployment.yaml", &whole)], "No till is needed")?;
    let _: Accepted = town.agent.client().post_empty("/v1/environments/shop/unpin").await?;
    town.healthy("the way back", &commit).await?;
    town.answers("1.5.0").await?;
    tour.done("unpinned", "git is followed again: shop 1.5.0")
}

/// The agent is killed in the middle of a push; the one that comes after it brings the same end state.
async fn kill_in_push(town: &mut Town, tour: &mut Tour) -> anyhow::Result<()> {
    // Big enough that the push is not over before it is seen.
    town.shop.commit(&borrowed(&code("1.6.0", 48)), "A big shop")?;
    town.shop.tag("push-1.6.0")?;
    let pushing = |run: &RunStatus| {
        run.reference == "push-1.6.0"
            && run.stages.iter().any(|stage| stage.kind == StageKind::Push && stage.phase == Phase::Running)
    };
    town.agent.wait_run("the push to be under way", pushing).await?;
    town.agent.kill_agent();
    let killed = Instant::now();
    let before = town.images()?;
    town.agent.start_agent().await?;
    let succeeded = |run: &RunStatus| run.reference == "push-1.6.0" && run.phase == Phase::Succeeded;
    let run = town.agent.wait_run("the push by the next agent", succeeded).await?;
    let version = town.promoted(&run)?;
    town.healthy("the third version", &version.commit).await?;
    town.runs_digest(&version)?;
    town.answers("1.6.0").await?;
    ensure!(town.images()? == before, "the image was built again without need");
    town.deploy.pull()?;
    let commits = town.deploy.git(&["log", "--format=%s", "--fixed-strings", "--grep", "shop: 1.6.0"])?;
    ensure!(commits.lines().count() == 1, "the promotion was committed more than once:\n{commits}");
    tour.done(
        "kill -9 in a push",
        &format!("{:.1} s later shop 1.6.0 answers; built once, promoted once", killed.elapsed().as_secs_f64()),
    )
}
