//! A whole world for one agent: a real forge folder, an engine, a registry and a cluster that stand in, a configuration,
//! and the agent itself as a process of its own, so that it can be killed.
//!
//! ```text
//! World::start ─► Forge (real git) · Registry (token login) · Engine · Cluster  ─► config.toml ─► agent (process)
//! tests and the playground ─► World::client (the Unix socket) · World::qd (the command line, captured)
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{ApplicationStatus, Key, Object, RunStatus};
use quarterdeck_tui::client::Client;

use crate::cluster::kubelet::images;
use crate::cluster::{Cluster, Options, Pace};
use crate::engine::{Engine, EngineOptions};
use crate::git::Forge;
use crate::registry::{Auth, Registry, RegistryOptions, User};

/// What the agent logs in to the registry with.
const LOGIN: (&str, &str) = ("robot", "robot-secret-4711");

/// How long a state is waited for before it is missing. Far above what any takes, so that a busy machine passes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A world. Everything in it ends when it is dropped.
pub struct World {
    /// The agent, if it runs. First, so that it ends before what it talks to.
    agent: Option<std::process::Child>,
    /// Real git repositories.
    pub forge: Forge,
    /// The container engine that stands in.
    pub engine: Engine,
    /// The registry that stands in.
    pub registry: Registry,
    /// The cluster that stands in.
    pub cluster: Cluster,
    /// How the agent is started: a program, and the words before `run`.
    program: (PathBuf, Vec<String>),
    folder: tempfile::TempDir,
}

impl World {
    /// Starts everything but the agent. `program` runs the agent's command line: a program, and the words that go first.
    pub async fn start(pace: Pace, program: (PathBuf, Vec<String>)) -> anyhow::Result<Self> {
        // Short, since a Unix socket's path is bounded.
        let folder = tempfile::Builder::new().prefix("qd-").tempdir()?;
        let login = User::new(LOGIN.0, LOGIN.1);
        let registry =
            Registry::start(RegistryOptions { auth: Auth::Token(vec![login]), ..RegistryOptions::default() }).await?;
        let engine = Engine::start(EngineOptions::on_socket(folder.path().join("engine.sock"))).await?;
        engine.add_image("busybox:1", &[("bin/sh", "a stand-in for busybox")])?;
        let pull = images::from_registry(Some((LOGIN.0.to_owned(), LOGIN.1.to_owned())));
        let cluster = Cluster::start_with(Options { pace, pull, ..Options::default() }).await?;
        cluster.kubeconfig(&folder.path().join("kubeconfig"))?;
        let world = Self { agent: None, forge: Forge::start().await?, engine, registry, cluster, program, folder };
        std::fs::write(world.path("registry-password"), LOGIN.1)?;
        Ok(world)
    }

    /// A path in the world's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the agent listens.
    pub fn socket(&self) -> PathBuf {
        self.path("run/agent.sock")
    }

    /// The name of an image in the world's registry.
    pub fn image(&self, name: &str) -> String {
        self.registry.image(name)
    }

    /// The part of a configuration that is the same in every world: polls fast, and knows this engine, registry, cluster.
    pub fn config_head(&self, notice: &str) -> String {
        format!(
            "[agent]\npoll_interval = \"500ms\"\ndata_dir = \"{data}\"\nsocket = \"{socket}\"\nnotice = \"{notice}\"\npatience = \"60s\"\n\n\
             [engine]\naddress = \"{engine}\"\n\n\
             [[registry]]\nhost = \"{registry}\"\nusername = \"{user}\"\npassword_file = \"registry-password\"\n\n\
             [[cluster]]\nname = \"demo\"\nkubeconfig = \"kubeconfig\"\ncontext = \"standin\"\n",
            data = self.path("data").display(),
            socket = self.socket().display(),
            engine = self.engine.host(),
            registry = self.registry.address(),
            user = LOGIN.0,
        )
    }

    /// An application with code in `ops/NAME` and manifests in `apps/NAME` of `ops/deploy`.
    pub fn application(&self, name: &str, more: &str) -> String {
        format!(
            "\n[[application]]\nname = \"{name}\"\n[application.source]\nrepository = \"{source}\"\n[application.build]\nimage = \"{image}\"\n\
             [application.deploy]\nrepository = \"{deploy}\"\nbranch = \"main\"\npath = \"apps/{name}\"\ncluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n{more}",
            source = self.forge.path(&format!("ops/{name}")).display(),
            image = self.image(&format!("ops/{name}")),
            deploy = self.forge.path("ops/deploy").display(),
        )
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.path("config.toml"), text)?)
    }

    /// The command line of the agent.
    pub fn agent_command(&self) -> Command {
        let mut command = Command::new(&self.program.0);
        command.args(&self.program.1).env("QD_CONFIG", self.path("config.toml")).env_remove("QD_LOG");
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0");
        command
    }

    /// Starts the agent and waits until it answers.
    pub async fn start_agent(&mut self) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("agent.log"))?;
        let mut command = self.agent_command();
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.spawn().context("cannot start the agent")?);
        let started = Instant::now();
        while self.client().state().await.is_err() {
            if let Some(status) = self.agent.as_mut().map(std::process::Child::try_wait).transpose()?.flatten() {
                anyhow::bail!("the agent ended ({status}):\n{}", self.log());
            }
            anyhow::ensure!(started.elapsed() < PATIENCE, "the agent does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends the agent as a power cut would.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// Asks the agent to end, and waits for it.
    pub fn stop_agent(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let mut agent = self.agent.take().context("the agent does not run")?;
        self.signal_process(&agent, rustix::process::Signal::TERM);
        Ok(agent.wait()?)
    }

    /// Makes the agent read its configuration again.
    pub fn reload_agent(&self) {
        if let Some(agent) = &self.agent {
            self.signal_process(agent, rustix::process::Signal::HUP);
        }
    }

    fn signal_process(&self, process: &std::process::Child, signal: rustix::process::Signal) {
        if let Some(pid) = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// The agent's log, its end.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.path("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A client of the agent.
    pub fn client(&self) -> Client {
        Client::new(vec![self.socket()])
    }

    /// The state as the agent tells it.
    pub async fn state(&self) -> anyhow::Result<State> {
        Ok(self.client().state().await?)
    }

    /// Waits until the state is as wanted; what was seen last is in the error.
    pub async fn wait<T>(&self, what: &str, mut wanted: impl FnMut(&State) -> Option<T>) -> anyhow::Result<T> {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < PATIENCE {
            if let Ok(state) = self.state().await {
                if let Some(found) = wanted(&state) {
                    return Ok(found);
                }
                last = Some(state);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let seen: Vec<String> = last.iter().flat_map(|state| state.objects.values()).filter_map(brief).collect();
        anyhow::bail!("waited for {what} for {} s, and saw:\n{}\n{}", PATIENCE.as_secs(), seen.join("\n"), self.log())
    }

    /// Waits until an application is as wanted.
    pub async fn wait_for(
        &self,
        what: &str,
        name: &str,
        wanted: impl Fn(&ApplicationStatus) -> bool,
    ) -> anyhow::Result<ApplicationStatus> {
        self.wait(what, |state| application(state, name).filter(|status| wanted(status)).cloned()).await
    }

    /// Waits until a run is as wanted.
    pub async fn wait_run(&self, what: &str, wanted: impl Fn(&RunStatus) -> bool) -> anyhow::Result<RunStatus> {
        self.wait(what, |state| runs(state).find(|run| wanted(run)).cloned()).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_agent();
    }
}

/// An application of a state.
pub fn application<'a>(state: &'a State, name: &str) -> Option<&'a ApplicationStatus> {
    match state.objects.get(&Key(format!("application/{name}").into()))? {
        Object::Application(status) => Some(status),
        _ => None,
    }
}

/// The runs of a state.
pub fn runs(state: &State) -> impl Iterator<Item = &RunStatus> {
    state.objects.values().filter_map(|object| if let Object::Run(run) = object { Some(&**run) } else { None })
}

fn brief(object: &Object) -> Option<String> {
    match object {
        Object::Application(a) => Some(format!(
            "  {}: {} {} {} {:?} {}",
            a.name,
            a.sync,
            a.health,
            a.revision.as_ref().map_or("-".to_owned(), |r| r.short()),
            a.images,
            a.message
        )),
        Object::Run(run) => {
            Some(format!("  run {} {} {}: {} {}", run.id, run.reference, run.goal.word(), run.phase, run.message))
        }
        Object::Pod(pod) => Some(format!("  pod {}: {} {}", pod.name, pod.status, pod.message)),
        Object::Connection(c) => Some(format!("  {} {}: {:?}", c.to.word(), c.name, c.error)),
        Object::Repository(r) => r.error.as_ref().map(|error| format!("  repository {}: {error}", r.address)),
        Object::Agent(_) | Object::Resource(_) => None,
    }
}

/// The manifests of an application that runs one image.
pub fn manifests(name: &str, image: &str) -> Vec<(String, String)> {
    let file = |file: &str, text: String| (format!("apps/{name}/{file}"), text);
    vec![
        file(
            "deployment.yaml",
            format!(
                "# The image is written by Quarterdeck's promotion.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n  \
                 selector:\n    matchLabels: {{ app: {name} }}\n  template:\n    metadata:\n      labels: {{ app: {name} }}\n    spec:\n      containers:\n      - name: {name}\n        \
                 image: {image}   # promoted\n        ports:\n        - containerPort: 8080\n        env:\n        - {{ name: GREETING, valueFrom: {{ configMapKeyRef: {{ name: {name}, key: greeting }} }} }}\n"
            ),
        ),
        file(
            "service.yaml",
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{ app: {name} }}\n  ports:\n  - port: 80\n    targetPort: 8080\n"
            ),
        ),
        file(
            "config.yaml",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  greeting: hello\n"),
        ),
    ]
}

/// The code of an application: enough to be built.
pub fn code(name: &str, version: &str) -> Vec<(String, String)> {
    vec![
        (
            "Dockerfile".to_owned(),
            format!(
                "FROM busybox:1\nCOPY app.txt /srv/app.txt\nRUN echo built {name}\nLABEL standin.quarterdeck.dev/log=\"{name} {version} listening on :8080\"\nLABEL standin.quarterdeck.dev/log-every-ms=\"1500\"\nLABEL standin.quarterdeck.dev/line=\"GET / 200 {version}\"\nCMD [\"/bin/sh\"]\n"
            ),
        ),
        ("app.txt".to_owned(), format!("{name} {version}\n")),
        (".dockerignore".to_owned(), "*.md\n".to_owned()),
        ("README.md".to_owned(), format!("# {name}\n")),
    ]
}

/// Files as the repository builder takes them.
pub fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// A working clone for a person.
pub fn clone(repository: &Path, into: &Path) -> anyhow::Result<()> {
    let status =
        Command::new("git").args(["clone", "--quiet"]).arg(repository).arg(into).status().context("cannot run git")?;
    anyhow::ensure!(status.success(), "git clone failed");
    Ok(())
}
