//! The agent under measurement on the world's cluster, with one repository of manifests on this machine.
//!
//! Its configuration is the default one: an address, a name and a place for each application, and nothing else.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harness::agent::Agent;
use harness::git::{Forge, Repo};
use quarterdeck_shared::protocol::{Accepted, VersionAnswer};
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Object};
use quarterdeck_shared::status::SyncStatus;

use crate::Options;
use crate::follow::Follow;
use crate::gate::Gate;
use crate::measure::{Process, since};

/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that runs, and what it works on. All of it ends when it is dropped; what is in the cluster stays.
pub(crate) struct Subject {
    pub(crate) agent: Agent,
    pub(crate) repo: Repo,
    /// Of all applications; none where each has one of its own name.
    namespace: Option<String>,
    forge: Forge,
    /// Of the kubeconfig.
    context: String,
    names: Vec<String>,
}

impl Subject {
    /// An agent that runs and operates nothing yet. Where there is a gate, its way to the cluster is through that.
    pub(crate) async fn start(options: &Options, namespace: Option<&str>, gate: Option<&Gate>) -> anyhow::Result<Self> {
        let parts = options.parts()?;
        let mut agent = Agent::new((options.agent.clone(), Vec::new()), PATIENCE)?;
        agent.set("PATH", parts.path_with_programs()?);
        let forge = Forge::start().await?;
        let repo = forge.repo("ops/deploy");
        let context = parts.get("KUBE_CONTEXT").to_owned();
        match gate {
            Some(gate) => gate.kubeconfig(&agent.path("kubeconfig"), &context)?,
            None => drop(std::fs::copy(parts.get("KUBECONFIG"), agent.path("kubeconfig"))?),
        }
        let mut subject =
            Self { agent, repo, namespace: namespace.map(str::to_owned), forge, context, names: Vec::new() };
        subject.configure()?;
        subject.agent.start_agent().await?;
        Ok(subject)
    }

    /// Puts applications under its care, each with its manifests in `apps/NAME`, and waits until all are recorded as
    /// synced. Milliseconds from the reload of the configuration.
    pub(crate) async fn operate(&mut self, names: &[String]) -> anyhow::Result<f64> {
        self.names.extend(names.iter().cloned());
        self.configure()?;
        let mut follow = self.follow().await?;
        let began = Instant::now();
        self.agent.reload_agent();
        let head = self.repo.rev("main");
        let done = follow.until("the first syncs", all_at(&self.names, &head)).await;
        let done = done.with_context(|| self.agent.log())?;
        Ok(done.duration_since(began).as_secs_f64() * 1000.0)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let Self { agent, names, namespace, forge, context, .. } = self;
        let mut text = format!(
            "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n\n[[cluster]]\nname = \"world\"\nkubeconfig = \"kubeconfig\"\ncontext = \"{context}\"\n",
            agent.path("data").display(),
            agent.socket().display(),
        );
        for name in names {
            let namespace = namespace.as_ref().unwrap_or(name);
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                "\n[[application]]\nname = \"{name}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{}\"\nbranch = \"main\"\n\
                 path = \"apps/{name}\"\ncluster = \"world\"\nnamespace = \"{namespace}\"\n",
                forge.path("ops/deploy").display(),
            );
        }
        agent.configure(&text)
    }

    /// The state, followed from now on.
    pub(crate) async fn follow(&self) -> anyhow::Result<Follow> {
        Follow::begin(&self.agent.client()).await
    }

    /// Polls the repository at once, as `qd refresh` does, and waits until these applications are recorded as synced to
    /// its newest commit. Milliseconds from the wake.
    pub(crate) async fn wake(&self, names: &[String]) -> anyhow::Result<f64> {
        let head = self.repo.rev("main");
        let mut follow = self.follow().await?;
        let is_so = all_at(names, &head);
        let began = Instant::now();
        self.refresh().await?;
        let done = follow.until("the new commit", is_so).await.with_context(|| self.agent.log())?;
        Ok(done.duration_since(began).as_secs_f64() * 1000.0)
    }

    /// Polls the repository at once and waits until that is told.
    pub(crate) async fn poll(&self) -> anyhow::Result<()> {
        let polled = |object: &Object| if let Object::Repository(status) = object { status.polled } else { None };
        let mut follow = self.follow().await?;
        let mut before = None;
        follow
            .until("the last poll", |object| {
                before = before.or(polled(object));
                before.is_some()
            })
            .await?;
        self.refresh().await?;
        follow.until("a poll", |object| polled(object) > before).await.map(drop)
    }

    async fn refresh(&self) -> anyhow::Result<()> {
        let first = self.names.first().map(|name| name.parse()).transpose()?;
        let path = first.map(|name| routes::REFRESH.of(&name)).unwrap_or_default();
        Ok(self.agent.client().post_empty::<Accepted>(&path).await.map(drop)?)
    }

    /// Asks for a sync that compares every object with the cluster, and waits for its record. Milliseconds.
    pub(crate) async fn force(&self, name: &str) -> anyhow::Result<f64> {
        let request = quarterdeck_shared::protocol::SyncRequest { full: true, ..Default::default() };
        let mut follow = self.follow().await?;
        let began = Instant::now();
        let path = routes::SYNC.of(&name.parse()?);
        let accepted: Accepted = self.agent.client().post(&path, &request).await?;
        let asked = accepted.after_sync;
        follow
            .until("the sync that was asked for", |object| {
                let last = environment(object).filter(|status| status.environment.application.as_str() == name);
                last.and_then(|status| status.last_sync.as_ref())
                    .is_some_and(|sync| Some(sync.id) > asked && sync.finished.is_some())
            })
            .await?;
        Ok(since(began))
    }

    /// Returns when the agent has been at rest for half a second: it used no processor time.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let process = self.process().await?;
        let mut before = process.cpu()?;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = process.cpu()?;
            if now <= before {
                return Ok(());
            }
            before = now;
        }
    }

    /// Its process.
    pub(crate) async fn process(&self) -> anyhow::Result<Process> {
        let answer: VersionAnswer = self.agent.client().get(routes::VERSION.path()).await?;
        Ok(Process(answer.pid))
    }
}

/// The environment that an object of the state is.
pub(crate) fn environment(object: &Object) -> Option<&EnvironmentStatus> {
    if let Object::Environment(status) = object { Some(status) } else { None }
}

/// Becomes true when each of these applications was seen synced to a commit.
fn all_at(names: &[String], commit: &str) -> impl FnMut(&Object) -> bool {
    let mut left: std::collections::BTreeSet<String> = names.iter().cloned().collect();
    move |object| {
        if let Some(status) = environment(object)
            && status.sync == SyncStatus::Synced
            && harness::agent::is_at(status, commit)
        {
            left.remove(status.environment.application.as_str());
        }
        left.is_empty()
    }
}
