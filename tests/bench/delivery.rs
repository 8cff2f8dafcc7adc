//! delivery: what a queue of 10,000 runs costs whoever decides which is next, and a history of 200,000 runs whoever looks into it.
//!
//! No application has 10,000 runs in its queue: a thousand is what may wait. The decision is measured with all of them in one queue
//! all the same, and as the agent makes it with ten queues that are full. The history is asked over the socket, as by `qd runs`.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::Forge;
use jiff::Timestamp;
use quarterdeck_agent::config::HistoryConfig;
use quarterdeck_agent::journal::Journal;
use quarterdeck_agent::journal::fact::Fact;
use quarterdeck_core::queue;
use quarterdeck_core::queue::bound::{self, WAITING_MAX};
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::id::{Prefix, RunId};
use quarterdeck_shared::protocol::VersionAnswer;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::measure::{Process, since};
use crate::start::{configure, first_state, name, past, run};

const QUEUED: usize = 10_000;
const APPLICATIONS: usize = 200;
const RUNS: usize = 200_000;

/// Each thing is done so often in a run, and what counts is the median.
const TIMES: usize = 21;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let mut figures = decisions(options)?;
        figures.extend(full_queues(options).await?);
        figures.extend(history(options).await?);
        Ok(figures)
    }
    .boxed()
}

/// A run that waits: of a branch, every tenth of them.
fn queued(id: RunId, application: &ApplicationName) -> anyhow::Result<RunStatus> {
    let run = run(id, application, Timestamp::now())?;
    let (branch, commit) = (format!("branch-{}", id.number), run.commit.clone());
    let cause = if id.number.is_multiple_of(10) { Cause::Branch { branch, commit } } else { run.cause };
    Ok(RunStatus { phase: Phase::Queued, cause, finished: None, ..run })
}

/// The median of what something takes, in milliseconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        work();
        times.push(since(began));
    }
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}

/// What is decided of one queue, each part by itself.
fn decisions(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let shop: ApplicationName = "shop".parse()?;
    let id = |number: usize| RunId::new(Prefix::of(1), number as u64);
    let runs = (1..=QUEUED).map(|number| queued(id(number), &shop)).collect::<anyhow::Result<Vec<RunStatus>>>()?;
    let [mut next, mut room] = [const { Vec::new() }; 2];
    for _ in 0..options.runs {
        next.push(median(|| {
            black_box(queue::next(&runs));
        }));
        room.push(median(|| {
            black_box((
                queue::superseded(&runs),
                queue::crowded_out(&runs),
                bound::dropped(&runs, QUEUED),
                bound::refused(&runs, |run| run.id.number > 9_990, QUEUED),
            ));
        }));
    }
    Ok(vec![
        Figure::new("one queue of 10,000 runs: which is next", Unit::Milliseconds, next).goal(Goal::AtMost(1.0)),
        Figure::new("the same: which are superseded, dropped or refused", Unit::Milliseconds, room),
    ])
}

/// What the agent decides and writes where as many runs wait as may, in ten queues.
async fn full_queues(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let names: BTreeSet<ApplicationName> =
        (0..QUEUED / WAITING_MAX).map(|number| name(number).parse()).collect::<Result<_, _>>()?;
    let (journal, _) = Journal::open(data.path(), &HistoryConfig::default(), &names, Timestamp::now())?;
    for name in &names {
        let runs = (0..WAITING_MAX).map(|_| Ok(Fact::Run(Box::new(queued(journal.next_run(), name)?))));
        journal.record(runs.collect::<anyhow::Result<_>>()?).await?;
    }
    let shop: ApplicationName = name(0).parse()?;
    let [mut next, mut ends] = [const { Vec::new() }; 2];
    for _ in 0..options.runs {
        next.push(median(|| {
            black_box(journal.snapshot().with_runs(&shop, |runs| queue::next(runs).cloned()));
        }));
        let Some(run) = journal.snapshot().with_runs(&shop, |runs| queue::next(runs).cloned()) else {
            anyhow::bail!("nothing waits");
        };
        let over = RunStatus { phase: Phase::Succeeded, ..run };
        let began = Instant::now();
        journal.record(vec![Fact::Run(Box::new(over))]).await?;
        ends.push(since(began));
    }
    Ok(vec![
        Figure::new("10,000 queued runs of ten applications: the next one of an application", Unit::Milliseconds, next)
            .goal(Goal::AtMost(1.0)),
        Figure::new("the end of that one, recorded, with who waits behind whom", Unit::Milliseconds, ends),
    ])
}

/// What is asked of a long history, from the question to all of its answer.
async fn history(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
    let forge = Forge::start().await?;
    forge.repo("ops/deploy").commit("main", &[("README.md", "Nothing yet\n")], "First");
    configure(&agent, &forge, APPLICATIONS)?;
    past(&agent.path("data"), APPLICATIONS, RUNS)?;
    let mut command = agent.agent_command();
    let log = std::fs::File::create(agent.path("agent.log"))?;
    let began = Instant::now();
    let mut process = command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    let asked = async {
        first_state(&agent).await?;
        let started = since(began);
        let [mut list, mut filter, mut open] = [const { Vec::new() }; 3];
        for _ in 0..options.runs {
            list.push(asked::<Vec<RunStatus>>(&agent, "/v1/runs?limit=100").await?);
            let of_one = format!("/v1/runs?application={}&limit=100", name(7));
            filter.push(asked::<Vec<RunStatus>>(&agent, &of_one).await?);
            open.push(asked::<RunStatus>(&agent, "/v1/runs/1").await?);
        }
        let answer: VersionAnswer = agent.client().get(routes::VERSION.path()).await?;
        let memory = Process(answer.pid).peak()?;
        Ok::<_, anyhow::Error>((started, list, filter, open, memory))
    };
    let asked = asked.await;
    process.kill()?;
    process.wait()?;
    agent.kill_agent();
    let (started, list, filter, open, memory) = asked?;
    let figure = |what: &str, times| Figure::new(what, Unit::Milliseconds, times).goal(Goal::AtMost(50.0));
    Ok(vec![
        figure("200,000 past runs: the newest 100", list),
        figure("the same: the newest 100 of one of 200 applications", filter),
        figure("the same: the oldest of all, opened", open),
        Figure::new("the same: start to state served", Unit::Milliseconds, vec![started]),
        Figure::new("memory then", Unit::Mebibytes, vec![memory]),
    ])
}

/// Milliseconds until a question is answered.
async fn asked<T: serde::de::DeserializeOwned>(agent: &Agent, path: &str) -> anyhow::Result<f64> {
    let client = agent.client();
    let began = Instant::now();
    let _: T = client.get(path).await?;
    Ok(since(began))
}
