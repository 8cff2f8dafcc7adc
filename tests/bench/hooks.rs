//! hooks: how long a forge waits for the answer to its webhook while 500 come a second, and how long after one of a tag the
//! first stage of its run begins; the same from the beginning of a push to a repository of one's own.
//!
//! A connection for each hook, as forges have it, and each of them wakes the poll of a repository of this machine. The push is
//! git's own, through the forced command of a key; what ssh takes for its connection is not in it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::{Forge, Repo, SshKey};
use quarterdeck_shared::protocol::{Accepted, VersionAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{Object, RunStatus};
use quarterdeck_shared::status::Phase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::follow::Follow;
use crate::measure::{Process, since};

const SECRET: &str = "bench-4711";
const EVERY: Duration = Duration::from_millis(2);
/// Ten seconds of them.
const HOOKS: u32 = 5_000;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
        let forge = Forge::start().await?;
        let repo = forge.repo("ops/shop");
        repo.commit("main", &[("Dockerfile", "FROM scratch\n")], "First");
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        configure(&agent, &forge, port)?;
        let key = own_repository(&agent, options)?;
        push(&key, &repo, "main").await?;
        agent.start_agent().await?;
        for address in [forge.path("ops/shop"), agent.path("data/repositories/own.git")] {
            let address = address.display().to_string();
            let polled = |object: &Object| matches!(object, Object::Repository(status) if status.polled.is_some() && status.address == address);
            Follow::begin(&agent.client()).await?.until("the first poll", polled).await?;
        }
        let (mut first, mut own) = (Vec::new(), Vec::new());
        for number in 0..options.runs {
            let tag = format!("build-1.{number}");
            repo.tag(&tag, "main");
            first.push(first_stage(&agent, "shop", &tag, hook(port)).await?);
            own.push(first_stage(&agent, "own", &tag, push(&key, &repo, &tag)).await?);
        }
        let answer: VersionAnswer = agent.client().get(routes::VERSION.path()).await?;
        let process = Process(answer.pid);
        let [mut p50, mut p99, mut processor] = [const { Vec::new() }; 3];
        for _ in 0..options.runs {
            let before = process.cpu()?;
            let mut times = storm(port).await?;
            processor.push(process.cpu()? - before);
            times.sort_by(f64::total_cmp);
            p50.push(times[times.len() / 2]);
            p99.push(times[times.len() * 99 / 100]);
        }
        agent.kill_agent();
        Ok(vec![
            Figure::new("500 webhooks a second: connection to answer, p50", Unit::Milliseconds, p50),
            Figure::new("the same, p99", Unit::Milliseconds, p99).goal(Goal::AtMost(5.0)),
            Figure::new("of 10 s of them, with the polls that they wake", Unit::CpuSeconds, processor),
            Figure::new("webhook of a tag to the first stage of its run", Unit::Milliseconds, first)
                .goal(Goal::AtMost(50.0)),
            Figure::new("push of a tag to a repository of one's own, from its beginning to the first stage", Unit::Milliseconds, own)
                .goal(Goal::AtMost(200.0)),
        ])
    }
    .boxed()
}

fn configure(agent: &Agent, forge: &Forge, port: u16) -> anyhow::Result<()> {
    std::fs::write(agent.path("secret"), SECRET)?;
    let (data, socket, code) = (agent.path("data"), agent.socket(), forge.path("ops/shop"));
    agent.configure(&format!(
        "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\npoll_interval = \"1h\"\n\n[engine]\naddress = \"tcp://127.0.0.1:9\"\n\n\
         [webhook]\nlisten = \"127.0.0.1:{port}\"\nsecret_file = \"secret\"\n\n\
         [[application]]\nname = \"shop\"\n[application.code]\nrepository = \"{}\"\n[[application.image]]\nname = \"127.0.0.1:9/ops/shop\"\n\n\
         [[application]]\nname = \"own\"\n[application.code]\nrepository = \"data/repositories/own.git\"\n[[application.image]]\nname = \"127.0.0.1:9/ops/own\"\n",
        data.display(),
        socket.display(),
        code.display(),
    ))
}

/// A repository of one's own, made by the agent's program, and a key for it.
fn own_repository(agent: &Agent, options: &Options) -> anyhow::Result<SshKey> {
    let created = agent.agent_command().args(["repo", "create", "own"]).output()?;
    anyhow::ensure!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let config = agent.path("config.toml");
    let forced =
        [options.agent.as_os_str(), "repo".as_ref(), "serve".as_ref(), "--config".as_ref(), config.as_os_str()];
    Ok(SshKey::new(agent.path("ssh"), &agent.path("home"), &forced)?)
}

/// Pushes a ref to the repository of one's own; milliseconds until git is done.
async fn push(key: &SshKey, repo: &Repo, name: &str) -> anyhow::Result<f64> {
    let began = Instant::now();
    let pushed = key.git(repo.path(), &["push", "ssh://git@host/own.git", name])?;
    let said = String::from_utf8_lossy(&pushed.stderr);
    anyhow::ensure!(pushed.status.success() && said.contains("quarterdeck: "), "{said}");
    Ok(since(began))
}

/// Milliseconds from the beginning of what announces a new tag to the first stage of its run. No engine answers: the run itself
/// waits then.
async fn first_stage(
    agent: &Agent,
    application: &str,
    tag: &str,
    announce: impl Future<Output = anyhow::Result<f64>>,
) -> anyhow::Result<f64> {
    let mut follow = Follow::begin(&agent.client()).await?;
    let is_it = |run: &RunStatus| run.application.as_str() == application && run.reference == tag;
    let began = Instant::now();
    announce.await?;
    let begun = |object: &Object| match object {
        Object::Run(run) => is_it(run) && run.stages.iter().any(|stage| stage.phase != Phase::Queued),
        _ => false,
    };
    let seen = follow.until("the first stage", begun).await?.duration_since(began).as_secs_f64() * 1000.0;
    let runs = agent.client().get::<Vec<RunStatus>>("/v1/runs").await?;
    let run = runs.iter().find(|run| is_it(run)).context("a run is there")?.id;
    let _: Accepted = agent.client().post_empty(&format!("/v1/runs/{run}/cancel")).await?;
    let ended = |object: &Object| matches!(object, Object::Run(run) if is_it(run) && run.phase.is_final());
    Follow::begin(&agent.client()).await?.until("the end of the run", ended).await?;
    Ok(seen)
}

/// The milliseconds that each of the hooks was waited for; each begins at its time, whatever became of those before it.
async fn storm(port: u16) -> anyhow::Result<Vec<f64>> {
    let began = tokio::time::Instant::now();
    let one = |number: u32| async move {
        tokio::time::sleep_until(began + EVERY * number).await;
        hook(port).await
    };
    let hooks: Vec<_> = (0..HOOKS).map(|number| tokio::spawn(one(number))).collect();
    let mut times = Vec::new();
    for hook in hooks {
        times.push(hook.await??);
    }
    Ok(times)
}

/// Sends a hook as GitLab does; milliseconds until its answer.
async fn hook(port: u16) -> anyhow::Result<f64> {
    // It names no repository, and so means any.
    let body = r#"{"object_kind": "tag_push", "ref": "refs/tags/build-1", "before": "0", "after": "1"}"#;
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-gitlab-token: {SECRET}\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "the agent answered {answer:?}");
    Ok(since(began))
}
