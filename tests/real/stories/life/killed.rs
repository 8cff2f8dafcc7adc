//! kill -9 in every stage of the main job: the next agent brings the same end, builds nothing twice, promotes once.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use harness::real::{Forward, Version, code};
use harness::world::borrowed;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Progress, RunStatus};
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
        door.hold_down_after(256 << 10);
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
        once(town, "1.1.0").await?;

        // In the middle of a build; what it has built until then is no image yet.
        let slow = code("1.2.0", 0)[0].1.replace("COPY", "RUN sleep 4\nCOPY");
        town.shop.commit(&[("Dockerfile", &slow)], "Slow to build")?;
        town.shop.tag("push-1.2.0")?;
        stage(town, "push-1.2.0", StageKind::Build).await?;
        town.agent.kill_agent();
        town.agent.start_agent().await?;
        succeeded(town, "push-1.2.0", 1).await?;
        once(town, "1.2.0").await?;

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
        let run = succeeded(town, "push-1.3.0", 1).await?;
        ensure!(town.images()? == before, "the image was built again without need");
        once(town, "1.3.0").await?;
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
        let run = succeeded(town, "push-2.0.0", 1).await?;
        ensure!(town.images()? == before, "the image was built again without need");
        once(town, "2.0.0").await?;
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
        let busy = |app: &EnvironmentStatus| matches!(app.progress, Some(Progress::Applying { done: 1.., .. }));
        town.agent.wait_for("a sync under way", "shop", busy).await?;
        town.agent.kill_agent();
        let there = town.kubectl(&["get", "configmaps", "-o", "name"])?.matches("many-").count();
        ensure!(there < MANY, "the sync was over before the agent was killed");
        town.agent.start_agent().await?;
        town.healthy("the rest of the sync", &commit).await?;
        let there = town.kubectl(&["get", "configmaps", "-o", "name"])?.matches("many-").count();
        ensure!(there == MANY, "{there} of {MANY} are there");
        once(town, "2.0.0").await?;

        // In the middle of a rollout whose pods take their time to be ready.
        let whole = town.deploy.git(&["show", "HEAD:shop/deployment.yaml"])? + "\n";
        let slow = whole
            .replace("          periodSeconds: 1\n", "          periodSeconds: 1\n          initialDelaySeconds: 3\n");
        ensure!(slow != whole, "the manifest has no place for a delay");
        let commit = town.deploy.commit(&[("shop/deployment.yaml", &slow)], "Slow to be ready")?;
        let rolling =
            |app: &EnvironmentStatus| harness::agent::is_at(app, &commit) && app.health == Health::Progressing;
        town.agent.wait_for("the rollout", "shop", rolling).await?;
        town.agent.kill_agent();
        town.agent.start_agent().await?;
        town.healthy("the rollout's end", &commit).await?;
        let revisions = town.kubectl(&["get", "replicasets", "--selector", "app=shop", "-o", "name"])?;
        // The first manifests, the version, the slow one: a restart rolls nothing out again.
        ensure!(revisions.lines().count() == 3, "{revisions}");
        once(town, "2.0.0").await?;
        town.answers("2.0.0").await
    })
    .await
}

/// Where the agent touches the world outside for a version, from its build on, in the order in which it comes there.
const OF_A_RUN: [&str; 7] = [
    "engine: after a build",
    "engine: before an image is named",
    "engine: after an image is named",
    "engine: before a push",
    "engine: after a push",
    "git: before a push",
    "git: after a push",
];

/// The same for a sync that changes something and deletes something.
const OF_A_SYNC: [&str; 6] = [
    "cluster: before an object is applied",
    "cluster: after an object is applied",
    "cluster: before an object is deleted",
    "cluster: after an object is deleted",
    "cluster: before an object of ours is written",
    "cluster: after an object of ours is written",
];

/// One version, and an agent that dies at each step of it, one after another: also in the fetch, in the checkout, and in
/// the prune.
#[tokio::test]
async fn at_each_step_of_one_version() -> anyhow::Result<()> {
    story(async |town| {
        let stamps: String = (0..STAMPS)
            .map(|n| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: stamp-{n} }}\n"))
            .collect();
        let commit = town.deploy.commit(&[("shop/stamps.yaml", &stamps)], "Stamps")?;
        town.start().await?;
        town.synced("the stamps", &commit).await?;
        ensure!(stamps_there(town)? == STAMPS, "the stamps are not there");
        town.agent.kill_agent();

        // Up to the build by number: where nothing is deployed there is one thing at a time to be killed in.
        let whole = town.config();
        let building = whole.split_once("[[application.environment]]").map_or(&*whole, |(before, _)| before);
        town.agent.configure(building)?;
        town.shop.commit(&borrowed(&code("3.0.0", 0)), "A shop for each step")?;
        town.shop.tag("push-3.0.0")?;
        let mut died_at = BTreeSet::new();
        let mut number = 0;
        let mut builds = false;
        while !builds {
            number += 1;
            ensure!(number <= NUMBERS, "it did not come to the build: {died_at:?}");
            died_at.insert(dies(town, &number.to_string()).await?);
            // Lives differ by a write or two, so that the number of the build may be passed by: then it died in the build.
            let steps = std::fs::read_to_string(town.agent.path("steps"))?;
            builds = steps.lines().any(|step| step == "engine: before a build");
        }
        for step in ["git: before a fetch", "git: after a fetch", "history: before a write", "history: after a write"] {
            ensure!(died_at.contains(step), "it did not die at {step:?}: {died_at:?}");
        }
        town.agent.configure(&whole)?;
        for step in OF_A_RUN.into_iter().filter(|step| !died_at.contains(*step)) {
            dies(town, step).await?;
        }

        // While no agent runs, something leaves git.
        town.deploy.pull()?;
        town.deploy.git(&["rm", "--quiet", "shop/stamps.yaml"])?;
        town.deploy.git(&["commit", "--quiet", "--message", "No stamps"])?;
        town.deploy.git(&["push", "--quiet", "origin", "HEAD:main"])?;
        for step in OF_A_SYNC {
            let before = stamps_there(town)?;
            dies(town, step).await?;
            let after = stamps_there(town)?;
            match step {
                "cluster: before an object is deleted" => ensure!(after == STAMPS, "{after} stamps at {step:?}"),
                "cluster: after an object is deleted" => ensure!(after < before, "{after} stamps at {step:?}"),
                _ => {}
            }
        }

        town.agent.start_agent().await?;
        let run = succeeded(town, "push-3.0.0", number as usize + OF_A_RUN.len() + OF_A_SYNC.len()).await?;
        runs(town, &run, "3.0.0").await?;
        ensure!(stamps_there(town)? == 0, "what left git is still there");
        once(town, "3.0.0").await?;
        let subjects = town.deploy.git(&["log", "--format=%s"])?;
        ensure!(subjects == "No stamps\nshop: 3.0.0\nStamps\nManifests of the shop", "commits:\n{subjects}");
        let revisions = town.kubectl(&["get", "replicasets", "--selector", "app=shop", "-o", "name"])?;
        ensure!(revisions.lines().count() == 2, "a version is rolled out once:\n{revisions}");
        let all = all_runs(town).await?;
        for kind in [StageKind::Checkout, StageKind::Build, StageKind::Push, StageKind::Promote] {
            let cut = |run: &RunStatus| run.stages.iter().any(|s| s.kind == kind && s.phase == Phase::Interrupted);
            ensure!(all.iter().any(cut), "it never died in the {kind}: {all:#?}");
        }
        Ok(())
    })
    .await
}

/// Objects that leave git.
const STAMPS: usize = 12;

/// Steps from an agent's start to its first request to build, far more than there are.
const NUMBERS: u32 = 60;

/// An agent begins, and dies at this step. The answer is the step's name.
async fn dies(town: &mut Town, step: &str) -> anyhow::Result<String> {
    let died = town.agent.die_at(step, |_| false).await?;
    died.with_context(|| format!("it did not come to {step:?}"))
}

fn stamps_there(town: &Town) -> anyhow::Result<usize> {
    Ok(town.kubectl(&["get", "configmaps", "-o", "name"])?.matches("stamp-").count())
}

/// Objects of a sync that takes long enough to be killed in.
const MANY: usize = 300;

async fn stage(town: &Town, tag: &str, kind: StageKind) -> anyhow::Result<()> {
    let doing = |run: &RunStatus| {
        run.reference == tag && run.stages.iter().any(|stage| stage.kind == kind && stage.phase == Phase::Running)
    };
    town.agent.wait_run(&format!("{tag} to be in its {kind}"), doing).await.map(drop)
}

/// The run that took up those that were cut off: one, or as many as the agent died, at most.
async fn succeeded(town: &Town, tag: &str, deaths: usize) -> anyhow::Result<RunStatus> {
    let done = |run: &RunStatus| run.reference == tag && run.phase == Phase::Succeeded;
    let run = town.agent.wait_run(&format!("the run that takes {tag} up"), done).await?;
    let of_tag: Vec<_> = all_runs(town).await?.into_iter().filter(|run| run.reference == tag).collect();
    let cut_off = of_tag.iter().filter(|run| run.phase == Phase::Interrupted).count();
    ensure!((1..=deaths).contains(&cut_off), "{cut_off} runs of {tag} were cut off by {deaths} deaths");
    ensure!(of_tag.len() == cut_off + 1, "more ended otherwise: {of_tag:#?}");
    Ok(run)
}

async fn all_runs(town: &Town) -> anyhow::Result<Vec<RunStatus>> {
    Ok(town.agent.client().get("/v1/runs?limit=500").await?)
}

/// One image on the engine, one build that brought it, one commit in git.
async fn once(town: &Town, version: &str) -> anyhow::Result<()> {
    let tag = format!("push-{version}");
    let label = format!("label=org.opencontainers.image.revision={}", town.shop.git(&["rev-parse", &tag])?);
    let images = town.parts.docker(&["images", "--quiet", "--no-trunc", "--filter", &label])?;
    ensure!(images.lines().collect::<BTreeSet<_>>().len() == 1, "images of {version}:\n{images}");

    // A build that was cut off tells no image. Where the agent died as it was told of one, nobody tells, and nobody may
    // have built another.
    let mut builds = Vec::new();
    for run in all_runs(town).await?.into_iter().filter(|run| run.reference == tag) {
        let built = run.stages.iter().any(|one| one.kind == StageKind::Build && one.phase == Phase::Succeeded);
        if built || town.log(run.id).await?.iter().any(|line| line.contains("writing image")) {
            builds.push(run.id);
        }
    }
    ensure!(builds.len() <= 1, "{version} was built by the runs {builds:?}");

    town.deploy.pull()?;
    let commits = town.deploy.git(&["log", "--format=%s", "--fixed-strings", "--grep", &format!("shop: {version}")])?;
    ensure!(commits.lines().count() == 1, "the promotion of {version} was committed other than once:\n{commits}");
    Ok(())
}

/// The version's very digest runs in the cluster and answers.
async fn runs(town: &Town, run: &RunStatus, version: &str) -> anyhow::Result<()> {
    let commit = town.deploy.git(&["rev-parse", "HEAD"])?;
    town.healthy(version, &commit).await?;
    let digest = harness::agent::digest(run).context("a digest")?;
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
