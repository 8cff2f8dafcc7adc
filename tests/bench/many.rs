//! many: fifty applications that are tagged at once, on one engine. What the agent needs more for it, and how long all of it takes
//! beside the docker program, which does one after the other as a script would.
//!
//! That no run is lost or doubled where the agent is killed in between is a story of the tests (`life::queued`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::{Forge, Repo};
use harness::real::Parts;
use quarterdeck_shared::protocol::{Accepted, VersionAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::Phase;

use crate::Options;
use crate::docker;
use crate::figure::{Figure, Goal, Unit};
use crate::follow::Follow;
use crate::measure::{self, Process};

const APPLICATIONS: usize = 50;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?;
        let image = format!("{}/bench-many-{}", parts.get("REGISTRY"), std::process::id());
        let forge = Forge::start().await?;
        let repos: Vec<Repo> = (0..APPLICATIONS).map(|number| forge.repo(&format!("ops/app-{number}"))).collect();
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
        configure(&agent, &forge, parts, &image)?;
        let measured = all(options, &mut agent, &repos, parts, &image).await;
        agent.kill_agent();
        clear(parts, &image)?;
        measured
    }
    .boxed()
}

async fn all(
    options: &Options,
    agent: &mut Agent,
    repos: &[Repo],
    parts: &Parts,
    image: &str,
) -> anyhow::Result<Vec<Figure>> {
    for (number, repo) in repos.iter().enumerate() {
        fill(repo, &format!("{number}.none"));
    }
    agent.start_agent().await?;
    let process = Process(agent.client().get::<VersionAnswer>(routes::VERSION.path()).await?.pid);
    let [mut ours, mut memory, mut docker] = [const { Vec::new() }; 3];
    for run in 0..=options.runs {
        let tag = format!("push-1.{run}.0");
        for (number, repo) in repos.iter().enumerate() {
            fill(repo, &format!("{number}.{run}"));
            repo.tag(&tag, "main");
        }
        let before = process.own()?;
        let watch = process.watch_own();
        let took = deliver(agent, &tag).await?;
        let more = watch.end().await - before;
        let beside = by_docker(parts, image, run)?;
        // The first fills caches, of the engine and of the agent's allocator.
        if run > 0 {
            ours.push(took);
            memory.push(more);
            docker.push(beside);
        }
    }
    Ok(vec![
        Figure::new("50 applications tagged at once, until all are pushed", Unit::Milliseconds, ours)
            .beside("docker build and docker push, one after the other", docker),
        Figure::new("memory of the agent's own for it", Unit::Mebibytes, memory).goal(Goal::AtMost(40.0)),
    ])
}

/// Wakes the agent for each of them; milliseconds until the last run has ended. Each is one run, and it succeeds.
async fn deliver(agent: &Agent, tag: &str) -> anyhow::Result<f64> {
    let mut follow = Follow::begin(&agent.client()).await?;
    let began = Instant::now();
    for number in 0..APPLICATIONS {
        let refresh = routes::REFRESH.of(&format!("app-{number}").parse()?);
        agent.client().post_empty::<Accepted>(&refresh).await?;
    }
    let (mut done, mut failed) = (BTreeSet::new(), None);
    let ended = follow.until("the runs", |object| {
        let Object::Run(run) = object else { return false };
        if run.reference == tag && run.phase.is_final() {
            done.insert(run.application.clone());
            if run.phase != Phase::Succeeded {
                failed = Some(run.message.clone());
            }
        }
        done.len() == APPLICATIONS || failed.is_some()
    });
    let ended = ended.await?;
    anyhow::ensure!(failed.is_none(), "a run failed: {}", failed.unwrap_or_default());
    Ok(ended.duration_since(began).as_secs_f64() * 1000.0)
}

/// What a script does: one folder after the other.
fn by_docker(parts: &Parts, image: &str, run: usize) -> anyhow::Result<f64> {
    let mut took = 0.0;
    for number in 0..APPLICATIONS {
        let folder = tempfile::tempdir()?;
        for (path, text) in files(&format!("{number}.{run}.docker")) {
            std::fs::write(folder.path().join(path), text)?;
        }
        let name = format!("{image}/docker-{number}:1.{run}.0");
        let place = folder.path().display().to_string();
        took += measure::run(&mut docker::command(parts, true, &["build", "--quiet", "--tag", &name, &place]))?;
        took += measure::run(&mut docker::command(parts, true, &["push", "--quiet", &name]))?;
    }
    Ok(took)
}

/// Small, and another one each time.
fn files(version: &str) -> [(&'static str, String); 2] {
    [
        ("Dockerfile", "FROM world/busybox:1\nCOPY app.txt /srv/app.txt\nCMD [\"httpd\", \"-f\"]\n".to_owned()),
        ("app.txt", format!("Version {version}\n")),
    ]
}

fn fill(repo: &Repo, version: &str) {
    let files = files(version);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    repo.commit("main", &files, "A small image");
}

fn configure(agent: &Agent, forge: &Forge, parts: &Parts, image: &str) -> anyhow::Result<()> {
    let application = |number: usize| {
        format!(
            "[[application]]\nname = \"app-{number}\"\n[application.code]\nrepository = \"{}\"\n\
             [[application.image]]\nname = \"{image}/app-{number}\"\n\n",
            forge.path(&format!("ops/app-{number}")).display()
        )
    };
    let applications: String = (0..APPLICATIONS).map(application).collect();
    agent.configure(&format!(
        "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n\n[engine]\naddress = \"{}\"\n\n{applications}",
        agent.path("data").display(),
        agent.socket().display(),
        parts.get("DOCKER_HOST"),
    ))
}

/// Deletes our images from the engine; the registry's go with the world.
fn clear(parts: &Parts, image: &str) -> anyhow::Result<()> {
    let images = parts.docker(&["images", "--quiet", "--no-trunc", &format!("{image}/*")])?;
    let ids: BTreeSet<&str> = images.lines().collect();
    if !ids.is_empty() {
        let words: Vec<&str> = ["rmi", "--force"].into_iter().chain(ids).collect();
        parts.docker(&words).context("deleting the images of the benchmark")?;
    }
    parts.docker(&["builder", "prune", "--force"]).map(drop)
}
