//! build: from a tag to the digest in the registry, a test of what was built, and a large context on its way to the engine.
//!
//! Code on this machine, the world's engine and its registry without login. A run has a commit of its own that changes only
//! what `.dockerignore` names, so that every step is cached and yet no image of that commit is there. Beside it stands the
//! docker program on a folder with the same files: classic, as that program builds by default, and with BuildKit, which is
//! what the agent takes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::{Forge, Repo};
use harness::real::Parts;
use quarterdeck_shared::protocol::{Accepted, VersionAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{Object, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};

use crate::Options;
use crate::docker;
use crate::figure::{Figure, Goal, Unit};
use crate::follow::Follow;
use crate::measure::{self, Process};

/// The large context: so many files of so many bytes, together 500 MB, which nothing compresses.
const FILES: usize = 10_000;
const FILE_BYTES: usize = 50_000;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?;
        let mut yard = Yard::make(options, parts).await?;
        let measured = async {
            let mut figures = small(options, &mut yard).await?;
            figures.push(tested(options, &mut yard).await?);
            figures.extend(large(options, &mut yard).await?);
            Ok(figures)
        };
        let measured = measured.await;
        yard.agent.kill_agent();
        yard.clear()?;
        measured
    }
    .boxed()
}

/// An agent with three applications that are only built, and a folder for the docker program.
struct Yard {
    agent: Agent,
    small: Repo,
    tested: Repo,
    large: Repo,
    parts: Parts,
    /// `127.0.0.1:15000/bench-4711`
    image: String,
    _forge: Forge,
}

impl Yard {
    async fn make(options: &Options, parts: &Parts) -> anyhow::Result<Self> {
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
        let forge = Forge::start().await?;
        let image = format!("{}/bench-{}", parts.get("REGISTRY"), std::process::id());
        let [small, tested, large] = ["small", "tested", "large"].map(|name| forge.repo(&format!("ops/{name}")));
        let application = |name: &str| {
            format!(
                "\n[[application]]\nname = \"{name}\"\n[application.code]\nrepository = \"{}\"\n[[application.image]]\nname = \"{image}/{name}\"\n",
                forge.path(&format!("ops/{name}")).display(),
            )
        };
        agent.configure(&format!(
            "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n\n[engine]\naddress = \"{}\"\n{}{}{}\
             [[application.test]]\nname = \"unit\"\ncommand = [\"true\"]\n",
            agent.path("data").display(),
            agent.socket().display(),
            parts.get("DOCKER_HOST"),
            application("small"),
            application("large"),
            application("tested"),
        ))?;
        fill_small(&small);
        fill_small(&tested);
        fill_large(&large);
        agent.start_agent().await?;
        Ok(Self { agent, small, tested, large, parts: parts.clone(), image, _forge: forge })
    }

    /// Sets a tag and asks the agent to look, as `git push && qd refresh` does; gives the run at its end, with the milliseconds from the
    /// wake to the first stage and to the end.
    async fn deliver(&self, application: &str, tag: &str) -> anyhow::Result<(RunStatus, f64, f64)> {
        let repo = match application {
            "small" => &self.small,
            "tested" => &self.tested,
            _ => &self.large,
        };
        let mut follow = Follow::begin(&self.agent.client()).await?;
        repo.tag(tag, "main");
        let began = Instant::now();
        let refresh = routes::REFRESH.of(&application.parse()?);
        self.agent.client().post_empty::<Accepted>(&refresh).await?;
        let (mut first, mut last) = (None, None);
        let done = follow.until("the run", |object| {
            let Object::Run(run) = object else { return false };
            if run.reference != tag || run.application.as_str() != application {
                return false;
            }
            if run.stages.iter().any(|stage| stage.phase != Phase::Queued) {
                first.get_or_insert_with(|| measure::since(began));
            }
            last = Some((**run).clone());
            run.phase.is_final()
        });
        let done = done.await?;
        let run = last.context("a run was seen")?;
        anyhow::ensure!(run.phase == Phase::Succeeded, "run {}: {}", run.id, run.message);
        Ok((run, first.context("a stage was seen")?, done.duration_since(began).as_secs_f64() * 1000.0))
    }

    /// Deletes our images from the engine; the registry's go with the world.
    fn clear(&self) -> anyhow::Result<()> {
        let images = self.parts.docker(&["images", "--quiet", "--no-trunc", &format!("{}/*", self.image)])?;
        let ids: std::collections::BTreeSet<&str> = images.lines().collect();
        if !ids.is_empty() {
            self.parts.docker(&[&["rmi", "--force"], &ids.into_iter().collect::<Vec<_>>()[..]].concat())?;
        }
        self.parts.docker(&["builder", "prune", "--force"]).map(drop)
    }
}

/// A small image, all cached: tag to digest.
async fn small(options: &Options, yard: &mut Yard) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    for (path, text) in SMALL {
        std::fs::write(folder.path().join(path), text)?;
    }
    let [mut ours, mut first, mut built, mut pushed, mut classic, mut buildkit] = [const { Vec::new() }; 6];
    // The first of each fills the caches.
    for run in 0..=options.runs {
        yard.small.commit("main", &[("README.md", &format!("Version {run}\n"))], "Words");
        let (done, stage, whole) = yard.deliver("small", &format!("push-1.{run}.0")).await?;
        let (build, push) = (took(&done, StageKind::Build)?, took(&done, StageKind::Push)?);
        let digest = harness::agent::digest(&done);
        anyhow::ensure!(digest.is_some(), "the run ended without a digest");
        let mut times = [0.0; 2];
        for (way, time) in [false, true].into_iter().zip(&mut times) {
            std::fs::write(folder.path().join("README.md"), format!("Version {run}\n"))?;
            let name = format!("{}/docker-{way}:1.{run}.0", yard.image);
            let place = folder.path().display().to_string();
            // As the agent's: an image of its own for each commit, though every step is cached.
            let label = format!("org.opencontainers.image.version=1.{run}.0");
            let build = ["build", "--quiet", "--label", &label, "--tag", &name, &place];
            *time = measure::run(&mut docker::command(&yard.parts, way, &build))?
                + measure::run(&mut docker::command(&yard.parts, way, &["push", "--quiet", &name]))?;
        }
        if run > 0 {
            ours.push(whole);
            first.push(stage);
            built.push(build);
            pushed.push(push);
            classic.push(times[0]);
            buildkit.push(times[1]);
        }
    }
    Ok(vec![
        Figure::new("cached build and push of a small image, tag to digest", Unit::Milliseconds, ours)
            .beside("docker build, docker push", classic)
            .beside("the same with BuildKit", buildkit)
            .goal(Goal::Times(1.1)),
        Figure::new("of it, the build", Unit::Milliseconds, built),
        Figure::new("of it, the push", Unit::Milliseconds, pushed),
        Figure::new("wake to the first stage of the run", Unit::Milliseconds, first).goal(Goal::AtMost(200.0)),
    ])
}

/// A test that does nothing: what it costs to run one.
async fn tested(options: &Options, yard: &mut Yard) -> anyhow::Result<Figure> {
    let (mut ours, mut docker) = (Vec::new(), Vec::new());
    for run in 0..=options.runs {
        yard.tested.commit("main", &[("README.md", &format!("Version {run}\n"))], "Words");
        let (done, ..) = yard.deliver("tested", &format!("build-1.{run}.0")).await?;
        let image = done.artifact.as_ref().context("an image was built")?.images[0].id.clone();
        let beside = measure::run(&mut docker::command(&yard.parts, true, &["run", "--rm", &image, "true"]))?;
        if run > 0 {
            ours.push(took(&done, StageKind::Test)?);
            docker.push(beside);
        }
    }
    let figure = Figure::new("test of a built image that does nothing", Unit::Milliseconds, ours);
    Ok(figure.beside("docker run --rm", docker).goal(Goal::Times(1.15)))
}

/// A large context: the build stage alone, since the docker program begins with files that somebody checked out.
async fn large(options: &Options, yard: &mut Yard) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().display().to_string();
    yard.large.git(&["--work-tree", &place, "checkout", "--quiet", "--force", "main", "--", "."]);
    let process = Process(yard.agent.client().get::<VersionAnswer>(routes::VERSION.path()).await?.pid);
    let [mut ours, mut memory, mut classic, mut buildkit] = [const { Vec::new() }; 4];
    for run in 0..options.runs {
        let text = format!("Version {run}\n");
        yard.large.commit("main", &[("version.txt", &text)], "Another version");
        std::fs::write(folder.path().join("version.txt"), &text)?;
        let before = process.own()?;
        let watch = process.watch_own();
        let (done, ..) = yard.deliver("large", &format!("build-1.{run}.0")).await?;
        memory.push(watch.end().await - before);
        ours.push(took(&done, StageKind::Build)?);
        yard.clear()?;
        for (way, times) in [(false, &mut classic), (true, &mut buildkit)] {
            let name = format!("{}/docker-large:1.{run}.0", yard.image);
            times.push(measure::run(&mut docker::command(
                &yard.parts,
                way,
                &["build", "--quiet", "--tag", &name, &place],
            ))?);
            yard.clear()?;
        }
    }
    Ok(vec![
        Figure::new("build of a context of 10,000 files, 500 MB", Unit::Milliseconds, ours)
            .beside("docker build", classic)
            .beside("the same with BuildKit", buildkit)
            .goal(Goal::Times(1.0)),
        Figure::new("memory of the agent's own for it", Unit::Mebibytes, memory).goal(Goal::AtMost(32.0)),
    ])
}

/// How long a stage took, in milliseconds.
fn took(run: &RunStatus, kind: StageKind) -> anyhow::Result<f64> {
    let stage = run.stages.iter().find(|stage| stage.kind == kind).context("a stage of this kind")?;
    let (began, ended) = (stage.started.context("it began")?, stage.finished.context("it ended")?);
    Ok(ended.duration_since(began).as_secs_f64() * 1000.0)
}

const SMALL: [(&str, &str); 3] = [
    ("Dockerfile", "FROM world/busybox:1\nRUN mkdir -p /srv\nCOPY app.txt /srv/app.txt\nCMD [\"httpd\", \"-f\"]\n"),
    ("app.txt", "An application\n"),
    (".dockerignore", "*.md\n"),
];

fn fill_small(repo: &Repo) {
    repo.commit("main", &SMALL, "A small image");
}

fn fill_large(repo: &Repo) {
    // Stored as they are: what is made of noise gets no smaller.
    repo.git(&["config", "core.compression", "0"]);
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64;
    let mut change = repo.change("main").write("Dockerfile", "FROM world/busybox:1\nCOPY . /srv\n");
    for number in 0..FILES {
        let mut bytes = Vec::with_capacity(FILE_BYTES + 8);
        while bytes.len() < FILE_BYTES {
            // Xorshift: quick, and the same in every run.
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            bytes.extend(noise.to_le_bytes());
        }
        change = change.write(format!("data/{}/{number}.bin", number % 100), bytes);
    }
    change.commit("A large context");
}
