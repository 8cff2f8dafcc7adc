//! sources: 5,000 applications that a source in git defines, in a file each, and a commit that changes one of them.
//!
//! They only build, and nothing is tagged: what is measured is what the source costs, and no sync.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::Forge;
use quarterdeck_shared::protocol::{Accepted, VersionAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::Object;

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::follow::Follow;
use crate::measure::{Process, since};
use crate::start::{first_state, name};

const APPLICATIONS: usize = 5_000;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
        let forge = Forge::start().await?;
        forge.repo("ops/code").commit("main", &[("README.md", "Code\n")], "First");
        configure(&agent, &forge)?;
        let fleet = forge.repo("ops/fleet");
        let all = |fleet: &harness::git::Repo| {
            let change = (0..APPLICATIONS).fold(fleet.change("main"), |change, number| {
                change.write(format!("applications/{}.toml", name(number)), defined(&forge, number, 0))
            });
            change.commit("All of them")
        };
        let commit = all(&fleet);
        let began = Instant::now();
        agent.start_agent().await?;
        let mut follow = Follow::begin(&agent.client()).await?;
        follow.until("the source", |object| is_at(object, &commit)).await?;
        let first = since(began);
        let process = Process(agent.client().get::<VersionAnswer>(routes::VERSION.path()).await?.pid);
        let [mut one, mut cpu, mut again] = [const { Vec::new() }; 3];
        for run in 0..options.runs {
            let number = run * 31 % APPLICATIONS;
            let text = defined(&forge, number, run + 1);
            let file = format!("applications/{}.toml", name(number));
            let commit = fleet.commit("main", &[(&*file, &*text)], "Another image");
            let (before, began) = (process.cpu()?, Instant::now());
            let wake = routes::REFRESH.of(&name(number).parse()?);
            let _: Accepted = agent.client().post(&wake, &serde_json::json!({})).await?;
            let at = follow.until("the commit", |object| is_at(object, &commit)).await?;
            one.push(at.duration_since(began).as_secs_f64() * 1_000.0);
            cpu.push(process.cpu()? - before);
        }
        for _ in 0..options.runs {
            agent.stop_agent()?;
            let began = Instant::now();
            agent.start_agent().await?;
            first_state(&agent).await?;
            again.push(since(began));
        }
        agent.kill_agent();
        let ms = |what: &str, runs| Figure::new(what, Unit::Milliseconds, runs);
        Ok(vec![
            ms("5,000 applications of a source, start to in force", vec![first]),
            ms("a commit that changes one of them, wake to in force", one).goal(Goal::AtMost(500.0)),
            Figure::new("processor time of it", Unit::CpuSeconds, cpu).goal(Goal::AtMost(0.5)),
            ms("start with all of them, to state served", again),
        ])
    }
    .boxed()
}

fn is_at(object: &Object, commit: &str) -> bool {
    matches!(object, Object::ApplicationSource(source) if source.commit.as_ref().is_some_and(|at| at.as_str() == commit))
}

/// What a file of the source says of an application.
fn defined(forge: &Forge, number: usize, version: usize) -> String {
    let mut text = format!("[[application]]\nname = \"{}\"\n", name(number));
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "[application.code]\nrepository = \"{}\"\n[[application.image]]\nname = \"registry.example/ops/v{version}-{number}\"\n",
        forge.path("ops/code").display()
    );
    text
}

fn configure(agent: &Agent, forge: &Forge) -> anyhow::Result<()> {
    agent.configure(&format!(
        "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\npoll_interval = \"1h\"\n\n[[cluster]]\nname = \"none\"\n\n\
         [[application_source]]\nname = \"fleet\"\nrepository = \"{}\"\npath = \"applications\"\nclusters = [\"none\"]\nnamespaces = [\"*\"]\n\
         repositories = [\"{}\"]\nimages = [\"*\"]\n",
        agent.path("data").display(),
        agent.socket().display(),
        forge.path("ops/fleet").display(),
        forge.path("ops/code").display(),
    ))
}
