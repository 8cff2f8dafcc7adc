//! start: an agent with 300 applications and a history of 10,000 runs, from its start to the state that it serves.
//!
//! Its cluster does not answer, so that nothing but the start is measured: what a console waits for does not wait for it.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::agent::Agent;
use harness::git::Forge;
use jiff::Timestamp;
use quarterdeck_agent::history::sqlite::{self, Writer, prefix};
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::protocol::VersionAnswer;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{Object, RunGoal, RunId, RunStatus};
use quarterdeck_shared::status::{Phase, Stage, StageKind};

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::measure::{Process, since};

const APPLICATIONS: usize = 300;
const RUNS: usize = 10_000;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), Duration::from_secs(60))?;
        let forge = Forge::start().await?;
        forge.repo("ops/deploy").commit("main", &[("README.md", "Nothing yet\n")], "First");
        configure(&agent, &forge, APPLICATIONS)?;
        past(&agent.path("data"), APPLICATIONS, RUNS)?;
        let [mut served, mut memory, mut bytes] = [const { Vec::new() }; 3];
        for _ in 0..options.runs {
            let began = Instant::now();
            let mut command = agent.agent_command();
            let log = std::fs::File::create(agent.path("agent.log"))?;
            let mut process = command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
            let answered = first_state(&agent).await;
            served.push(since(began));
            let state = answered.inspect_err(|_| drop(process.kill()))?;
            let applications = state.objects.values().filter(|object| matches!(object, Object::Application(_))).count();
            anyhow::ensure!(applications == APPLICATIONS, "the first state has {applications} applications");
            let answer: VersionAnswer = agent.client().get(routes::VERSION.path()).await?;
            memory.push(Process(answer.pid).peak()?);
            bytes.push(serde_json::to_vec(&state)?.len() as f64);
            process.kill()?;
            process.wait()?;
        }
        agent.kill_agent();
        Ok(vec![
            Figure::new("300 applications, 10,000 past runs: start to state served", Unit::Milliseconds, served)
                .goal(Goal::AtMost(300.0)),
            Figure::new("memory then", Unit::Mebibytes, memory),
            Figure::new("that state", Unit::Bytes, bytes),
        ])
    }
    .boxed()
}

/// Asks until there is an answer.
pub(crate) async fn first_state(agent: &Agent) -> anyhow::Result<quarterdeck_shared::protocol::State> {
    let asking = async {
        loop {
            if let Ok(state) = agent.state().await {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.context("the agent does not answer")
}

pub(crate) fn name(number: usize) -> String {
    format!("app-{number:04}")
}

/// So many applications, in a cluster that does not answer.
pub(crate) fn configure(agent: &Agent, forge: &Forge, applications: usize) -> anyhow::Result<()> {
    let (data, socket) = (agent.path("data"), agent.socket());
    // Nothing listens on this port of loopback: it is answered at once, by a refusal.
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "away",
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "away", "user": {}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "away"}}],
    });
    std::fs::write(agent.path("kubeconfig"), kubeconfig.to_string())?;
    let mut text = format!(
        "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n\n[[cluster]]\nname = \"away\"\nkubeconfig = \"kubeconfig\"\n",
        data.display(),
        socket.display(),
    );
    for number in 0..applications {
        let name = name(number);
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n[[application]]\nname = \"{name}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{}\"\nbranch = \"main\"\npath = \"apps/{name}\"\n\
             cluster = \"away\"\nnamespace = \"{name}\"\n",
            forge.path("ops/deploy").display(),
        );
    }
    agent.configure(&text)
}

/// Writes the runs of the past, as the journal writes them.
pub(crate) fn past(data: &std::path::Path, applications: usize, runs: usize) -> anyhow::Result<()> {
    let names = (0..applications).map(|number| name(number).parse()).collect::<Result<Vec<ApplicationName>, _>>()?;
    std::fs::create_dir_all(data)?;
    let mut history = sqlite::open(&data.join("history.db"))?;
    let transaction = history.transaction()?;
    let history = prefix::draw();
    let writer = Writer { transaction: &transaction, history };
    let now = Timestamp::now();
    for number in 1..=runs {
        writer.run(&run(RunId::new(history, number as u64), &names[number % names.len()], now)?)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A run that succeeded.
pub(crate) fn run(id: RunId, application: &ApplicationName, now: Timestamp) -> anyhow::Result<RunStatus> {
    let stage = |kind| Stage {
        phase: Phase::Succeeded,
        started: Some(now),
        finished: Some(now),
        message: "done as it was to be done".to_owned(),
        ..Stage::queued(kind)
    };
    Ok(RunStatus {
        id,
        application: application.clone(),
        resumes: None,
        behind: None,
        goal: RunGoal::Push,
        rebuild: false,
        permission: None,
        cause: Cause::Agent,
        reference: format!("push-1.{}.0", id.number),
        commit: "1f3c2a9000000000000000000000000000000000".parse()?,
        subject: "A commit that somebody made".to_owned(),
        phase: Phase::Succeeded,
        stages: [StageKind::Checkout, StageKind::Build, StageKind::Push].map(stage).to_vec(),
        queued: now,
        started: Some(now),
        finished: Some(now),
        message: "pushed".to_owned(),
        hint: String::new(),
        artifact: None,
        tests: Vec::new(),
        scans: Vec::new(),
        promoted: Default::default(),
    })
}
