//! review: a merge request of a real forge, from the hook that tells of its newest commit to the status that says it passed, beside
//! `docker build` and `docker run` of the same.
//!
//! What is built and what is tested computes for a while, as what people build and test does; nothing of it is cached. The hook is sent
//! by the benchmark once git has pushed, so that the forge's own queue is not in the figure. The status is looked for at the forge.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::real::{Parts, Town, http, in_town};
use serde_json::{Value, json};

use crate::Options;
use crate::docker;
use crate::figure::{Figure, Goal, Unit};
use crate::measure;

const SECRET: &str = "bench-4711";

/// Some seconds of work in all, of a machine like this.
const WORK: &str = "dd if=/dev/zero bs=1M count=1500 2>/dev/null | sha256sum";

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?;
        let (mut ours, mut docker) = (Vec::new(), Vec::new());
        let program = (options.agent.clone(), Vec::new());
        in_town(parts, program, async |town| {
            let port = begin(town).await?;
            for run in 0..=options.runs {
                let took = review(town, port, run).await?;
                let beside = by_docker(&town.parts, &town.image, run)?;
                // The first opens the merge request, and fills caches.
                if run > 0 {
                    ours.push(took);
                    docker.push(beside);
                }
            }
            Ok(())
        })
        .await?;
        let what = "a merge request on a real forge, from its hook to the status of its test";
        let figure = Figure::new(what, Unit::Milliseconds, ours);
        Ok(vec![figure.beside("docker build, docker run", docker).goal(Goal::Times(1.15))])
    }
    .boxed()
}

/// An agent that listens for hooks, and a shop with a merge request; gives its port.
async fn begin(town: &mut Town) -> anyhow::Result<u16> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    town.write_secret("webhook-secret", SECRET)?;
    let before = format!(
        "[webhook]\nlisten = \"127.0.0.1:{port}\"\nsecret_file = \"webhook-secret\"\n\n\
         [[forge]]\nkind = \"gitea\"\nurl = \"{}\"\ntoken_file = \"forge-token\"\n\n",
        town.parts.get("FORGE_URL")
    );
    let test = format!("[[application.test]]\nname = \"unit\"\ncommand = [\"sh\", \"-c\", \"{WORK}\"]\n");
    let repository = format!("repository = \"{}\"\n", town.shop.url);
    let config = town
        .config()
        .replacen(&repository, &format!("{repository}merge_requests = true\n"), 1)
        .replacen("[[application]]", &format!("{before}[[application]]"), 1)
        .replacen("[[application.environment]]", &format!("{test}[[application.environment]]"), 1)
        .replacen("poll_interval = \"1s\"", "poll_interval = \"1h\"", 1);
    town.agent.configure(&config)?;
    commit(town, "begin")?;
    town.agent.start_agent().await?;
    Ok(port)
}

/// Milliseconds from the hook to the status.
async fn review(town: &Town, port: u16, run: usize) -> anyhow::Result<f64> {
    let head = push(town, run)?;
    if run == 0 {
        let path = format!("/repos/{}/{}/pulls", town.parts.get("FORGE_USER"), town.name);
        let body = json!({ "head": "work", "base": "main", "title": "Work" });
        town.parts.forge("POST", &path, &body.to_string()).await?;
    }
    let began = Instant::now();
    let told = format!("x-gitlab-token: {SECRET}\r\n");
    let body = json!({ "ref": "refs/heads/work", "after": head, "repository": { "clone_url": town.shop.url } });
    let (status, text) = http(&format!("127.0.0.1:{port}"), "POST", "/", &told, &body.to_string()).await?;
    anyhow::ensure!(status == 200, "the agent answered {status}: {text}");
    passed(town, &head).await?;
    Ok(measure::since(began))
}

/// Waits until the forge shows that the test of a commit passed.
async fn passed(town: &Town, commit: &str) -> anyhow::Result<()> {
    let path = format!("/repos/{}/{}/commits/{commit}/statuses?limit=50", town.parts.get("FORGE_USER"), town.name);
    let looking = async {
        loop {
            let all: Vec<Value> = serde_json::from_str(&town.parts.forge("GET", &path, "").await?)?;
            let mut tests = all.iter().filter(|one| one["context"] == "quarterdeck/shop/test");
            if tests.any(|one| one["status"] == "success") {
                return Ok(());
            }
            let is_bad = |one: &&Value| one["status"] == "failure" || one["status"] == "error";
            anyhow::ensure!(!all.iter().any(|one| is_bad(&one)), "it failed: {all:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), looking).await.with_context(|| format!("{commit} did not pass"))?
}

fn by_docker(parts: &Parts, image: &str, run: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    for (path, text) in files(&format!("{run}.docker")) {
        std::fs::write(folder.path().join(path), text)?;
    }
    let (name, place) = (format!("{image}:docker-{run}"), folder.path().display().to_string());
    let built = measure::run(&mut docker::command(parts, true, &["build", "--quiet", "--tag", &name, &place]))?;
    Ok(built + measure::run(&mut docker::command(parts, true, &["run", "--rm", &name, "sh", "-c", WORK]))?)
}

fn files(version: &str) -> [(&'static str, String); 2] {
    [
        ("Dockerfile", format!("FROM world/busybox:1\nCOPY version /version\nRUN {WORK} > /work\n")),
        ("version", format!("{version}\n")),
    ]
}

fn commit(town: &Town, version: &str) -> anyhow::Result<String> {
    let files = files(version);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    town.shop.commit(&files, "Work")
}

/// A commit on the branch of the merge request; which.
fn push(town: &Town, run: usize) -> anyhow::Result<String> {
    std::fs::write(town.agent.path("shop").join("version"), format!("{run}\n"))?;
    town.shop.git(&["commit", "--quiet", "--all", "--message", "Work"])?;
    town.shop.git(&["push", "--quiet", "origin", "HEAD:refs/heads/work"])?;
    Ok(town.shop.git(&["rev-parse", "HEAD"])?.trim().to_owned())
}
