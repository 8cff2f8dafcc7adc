//! kill -9 in every stage of the main job: the next agent brings the same end, builds nothing twice, promotes once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use harness::real::{Forward, Version, code};
use harness::world::borrowed;
use quarterdeck_shared::snapshot::{ApplicationStatus, RunStatus};
use quarterdeck_shared::status::{Health, Phase, StageKind};

use super::*;

/// Noticed, built, promoted: one version after another, and the last one has to run.
#[tokio::test]
async fn while_a_version_is_fetched_built_and_promoted() -> anyhow::Result<()> {
    story(async |town| {
        let door = Forward::to(town.parts.get("FORGE_URL").trim_start_matches("http://")).await?;
        let near = format!("http://127.0.0.1:{}", door.port());
        town.agent.configure(
            &town
                .config()
                .replace(&town.shop.url, &town.shop.url.replace(town.parts.get("FORGE_URL"), &near))
                .replace(&format!("url = \"{}\"", town.parts.get("FORGE_URL")), &format!("url = \"{near}\"")),
        )?;
        town.shop.commit(&borrowed(&code("1.0.0", 0)), "A shop")?;
        town.start().await?;

        // In the middle of the fetch of a commit with much in it: the forge packs what it cannot compress.
        door.hold_after(256 << 10);
        let noise = town.parts.docker(&[
            "run",
            "--rm",
            "world/busybox:1",
            "sh",
            "-c",
            "head -c 1500000 /dev/urandom | base64",
        ])?;
        town.shop.commit(&[("noise", &noise)], "Much")?;
        town.shop.tag("push-1.1.0")?;
        door.held().await?;
        town.agent.kill_agent();
        door.release();
        town.agent.start_agent().await?;
        town.run("push-1.1.0").await?;
        once(town, "1.1.0")?;

        // In the middle of a build; what it has built until then is no image yet.
        let slow = code("1.2.0", 0)[0].1.replace("COPY", "RUN sleep 4\nCOPY");
        town.shop.commit(&[("Dockerfile", &slow)], "Slow to build")?;
        town.shop.tag("push-1.2.0")?;
        stage(town, "push-1.2.0", StageKind::Build).await?;
        town.agent.kill_agent();
        town.agent.start_agent().await?;
        succeeded(town, "push-1.2.0").await?;
        once(town, "1.2.0")?;

        // While the forge thinks about the promotion: the push that was begun may still arrive.
        let gate = Gate::shut(town)?;
        town.shop.commit(&borrowed(&code("1.3.0", 0)), "Another")?;
        town.shop.tag("push-1.3.0")?;
        stage(town, "push-1.3.0", StageKind::Promote).await?;
        gate.reached(town).await?;
        town.agent.kill_agent();
        let before = town.images()?;
        gate.open()?;
        town.agent.start_agent().await?;
        let run = succeeded(town, "push-1.3.0").await?;
        ensure!(town.images()? == before, "the image was built again without need");
        once(town, "1.3.0")?;
        runs(town, &run, "1.3.0").await
    })
    .await
}

/// Pushed, synced, rolled out.
#[tokio::test]
async fn while_a_version_is_pushed_synced_and_rolled_out() -> anyhow::Result<()> {
    story(async |town| {
        town.shop.commit(&borrowed(&code("2.0.0", 32)), "A big shop")?;
        town.start().await?;
        town.shop.tag("push-2.0.0")?;
        stage(town, "push-2.0.0", StageKind::Push).await?;
        town.agent.kill_agent();
        let before = town.images()?;
        town.agent.start_agent().await?;
        let run = succeeded(town, "push-2.0.0").await?;
        ensure!(town.images()? == before, "the image was built again without need");
        once(town, "2.0.0")?;
        runs(town, &run, "2.0.0").await?;

        // In the middle of a sync of many objects.
        let many: String = (0..MANY)
            .map(|n| {
                format!(
                    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: many-{n} }}\ndata: {{ n: \"{n}\" }}\n"
                )
            })
            .collect();
        let commit = town.deploy.commit(&[("shop/many.yaml", &many)], "Many")?;
        let busy = |app: &ApplicationStatus| app.activity.as_ref().is_some_and(|words| words.starts_with("applied"));
        town.agent.wait_for("a sync under way", "shop", busy).await?;
        town.agent.kill_agent();
        let there = town.kubectl(&["get", "configmaps", "-o", "name"])?.matches("many-").count();
        ensure!(there < MANY, "the sync was over before the agent was killed");
        town.agent.start_agent().await?;
        town.healthy("the rest of the sync", &commit).await?;
        let there = town.kubectl(&["get", "configmaps", "-o", "name"])?.matches("many-").count();
        ensure!(there == MANY, "{there} of {MANY} are there");

        // In the middle of a rollout whose pods take their time to be ready.
        let whole = town.deploy.git(&["show", "HEAD:shop/deployment.yaml"])? + "\n";
        let slow = whole
            .replace("          periodSeconds: 1\n", "          periodSeconds: 1\n          initialDelaySeconds: 3\n");
        ensure!(slow != whole, "the manifest has no place for a delay");
        let commit = town.deploy.commit(&[("shop/deployment.yaml", &slow)], "Slow to be ready")?;
        let rolling =
            |app: &ApplicationStatus| harness::agent::is_at(app, &commit) && app.health == Health::Progressing;
        town.agent.wait_for("the rollout", "shop", rolling).await?;
        town.agent.kill_agent();
        town.agent.start_agent().await?;
        town.healthy("the rollout's end", &commit).await?;
        let revisions = town.kubectl(&["get", "replicasets", "--selector", "app=shop", "-o", "name"])?;
        // The first manifests, the version, the slow one: a restart rolls nothing out again.
        ensure!(revisions.lines().count() == 3, "{revisions}");
        town.answers("2.0.0").await
    })
    .await
}

/// Objects of a sync that takes long enough to be killed in.
const MANY: usize = 300;

async fn stage(town: &Town, tag: &str, kind: StageKind) -> anyhow::Result<()> {
    let doing = |run: &RunStatus| {
        run.reference == tag && run.stages.iter().any(|stage| stage.kind == kind && stage.phase == Phase::Running)
    };
    town.agent.wait_run(&format!("{tag} to be in its {kind}"), doing).await.map(drop)
}

/// The run that took up the one that was cut off.
async fn succeeded(town: &Town, tag: &str) -> anyhow::Result<RunStatus> {
    let done = |run: &RunStatus| run.reference == tag && run.phase == Phase::Succeeded;
    let run = town.agent.wait_run(&format!("the run that takes {tag} up"), done).await?;
    let state = town.agent.state().await?;
    let cut_off =
        harness::agent::runs(&state).filter(|run| run.reference == tag && run.phase == Phase::Interrupted).count();
    ensure!(cut_off == 1, "{cut_off} runs of {tag} were cut off");
    Ok(run)
}

/// One image on the engine, one commit in git.
fn once(town: &Town, version: &str) -> anyhow::Result<()> {
    let image = town.parts.docker(&["images", "--quiet", &format!("{}:{version}", town.image)])?;
    ensure!(image.lines().count() == 1, "images of {version}: {image:?}");
    town.deploy.pull()?;
    let commits = town.deploy.git(&["log", "--format=%s", "--fixed-strings", "--grep", &format!("shop: {version}")])?;
    ensure!(commits.lines().count() == 1, "the promotion of {version} was committed other than once:\n{commits}");
    Ok(())
}

/// The version's very digest runs in the cluster and answers.
async fn runs(town: &Town, run: &RunStatus, version: &str) -> anyhow::Result<()> {
    let commit = town.deploy.git(&["rev-parse", "HEAD"])?;
    town.healthy(version, &commit).await?;
    let digest = run.artifact.as_ref().and_then(|artifact| artifact.digest.clone()).context("a digest")?;
    town.runs_digest(&Version { digest, commit })?;
    town.answers(version).await
}

/// A hook of the forge that holds every push to the manifests up while a file is there.
struct Gate {
    folder: PathBuf,
}

impl Gate {
    fn shut(town: &Town) -> anyhow::Result<Self> {
        let (state, user) = (town.parts.get("WORLD_STATE"), town.parts.get("FORGE_USER"));
        let repository =
            PathBuf::from(format!("{state}/forge/data/gitea-repositories/{user}/{}.git", town.deploy_name()));
        let gate = Self { folder: repository.join("hooks/pre-receive.d") };
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n[ ! -e shut ] || echo >reached\nwhile [ -e shut ]; do sleep 0.05; done\n";
        std::fs::write(gate.folder.join("shut"), "")?;
        std::fs::write(gate.folder.join("0-gate"), script)?;
        std::fs::set_permissions(gate.folder.join("0-gate"), std::fs::Permissions::from_mode(0o755))?;
        // The forge is nobody, and says that it was reached.
        std::os::unix::fs::chown(&gate.folder, Some(NOBODY), None)?;
        Ok(gate)
    }

    /// Waits until a push stands before it.
    async fn reached(&self, town: &Town) -> anyhow::Result<()> {
        let there = |_: &quarterdeck_shared::protocol::State| self.folder.join("reached").exists().then_some(());
        town.agent.wait("the push to be at the gate", there).await
    }

    fn open(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.folder.join("shut"))?)
    }
}

/// As whom the forge runs, by Debian's number.
const NOBODY: u32 = 65_534;
