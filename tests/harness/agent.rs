//! The agent under test: a process of its own with a folder of its own, so that it can be killed and started again.
//!
//! What it talks to is not here: [`crate::world`] puts stand-ins beside it, the playground's real story real parts.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Key, Object, Progress, RunStatus};
use quarterdeck_tui::client::Client;

/// The environment variable that says at which step the tests' agent dies: the step's number, or its name.
pub const DIES_AT: &str = "QD_TEST_DIES_AT";

/// The environment variable that names the file in which the tests' agent lists the steps it came to.
pub const STEPS: &str = "QD_TEST_STEPS";

/// An agent and its folder. Both end when it is dropped.
pub struct Agent {
    /// The process, if it runs.
    process: Option<std::process::Child>,
    /// How it is started: a program, and the words before `run`.
    program: (PathBuf, Vec<String>),
    /// What its environment has besides.
    environment: Vec<(&'static str, PathBuf)>,
    /// How long a state is waited for before it is missing.
    patience: Duration,
    folder: tempfile::TempDir,
}

impl Agent {
    /// A folder for an agent that does not run yet. `program` runs the agent's command line: a program, and the words
    /// that go first. `patience` is how long a state is waited for: far above what any takes, so that a busy machine passes.
    pub fn new(program: (PathBuf, Vec<String>), patience: Duration) -> anyhow::Result<Self> {
        // Short, since a Unix socket's path is bounded.
        let folder = tempfile::Builder::new().prefix("qd-").tempdir()?;
        Ok(Self { process: None, program, environment: Vec::new(), patience, folder })
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the agent listens.
    pub fn socket(&self) -> PathBuf {
        self.path("run/agent.sock")
    }

    /// A variable of its environment from its next start on: the place of something.
    pub fn set(&mut self, variable: &'static str, place: PathBuf) {
        self.environment.push((variable, place));
    }

    /// Writes the configuration, at once as an editor does: an agent that reads it meanwhile reads the one or the other.
    pub fn configure(&self, text: &str) -> anyhow::Result<()> {
        std::fs::write(self.path("config.toml.new"), text)?;
        Ok(std::fs::rename(self.path("config.toml.new"), self.path("config.toml"))?)
    }

    /// The command line of the agent.
    pub fn agent_command(&self) -> Command {
        let mut command = Command::new(&self.program.0);
        command.args(&self.program.1).env("QD_CONFIG", self.path("config.toml")).env_remove("QD_LOG");
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs(self.environment.iter().map(|(variable, place)| (variable, place)));
        command
    }

    fn spawn_agent(&mut self, environment: &[(&str, std::ffi::OsString)]) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("agent.log"))?;
        let mut command = self.agent_command();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().context("cannot start the agent")?);
        Ok(())
    }

    /// Runs an agent that dies at the step of this number, or at the first of this name, if it comes to it before all is as
    /// wanted. The answer is the name of the step; an agent that did not die goes on.
    pub async fn die_at(
        &mut self,
        step: &str,
        mut wanted: impl FnMut(&State) -> bool,
    ) -> anyhow::Result<Option<String>> {
        let steps = self.path("steps");
        std::fs::write(&steps, "")?;
        self.spawn_agent(&[(STEPS, steps.clone().into()), (DIES_AT, step.into())])?;
        let started = Instant::now();
        while started.elapsed() < self.patience {
            if let Some(status) = self.process.as_mut().map(std::process::Child::try_wait).transpose()?.flatten() {
                self.process = None;
                anyhow::ensure!(
                    status.signal() == Some(rustix::process::Signal::KILL.as_raw()),
                    "the agent ended ({status}):\n{}",
                    self.log()
                );
                let steps = std::fs::read_to_string(&steps)?;
                let name = match step.parse::<usize>() {
                    Ok(number) => steps.lines().nth(number - 1),
                    Err(_) => steps.lines().find(|name| *name == step),
                };
                return name.map(str::to_owned).context("the agent was killed, and not at a step").map(Some);
            }
            if self.state().await.is_ok_and(|state| wanted(&state)) {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("neither died at step {step} nor came to the end:\n{}", self.log())
    }

    /// Starts the agent and waits until it answers.
    pub async fn start_agent(&mut self) -> anyhow::Result<()> {
        self.start_agent_with(&[]).await
    }

    /// The same, with more in its environment.
    pub async fn start_agent_with(&mut self, environment: &[(&str, std::ffi::OsString)]) -> anyhow::Result<()> {
        self.spawn_agent(environment)?;
        let started = Instant::now();
        while self.client().state().await.is_err() {
            if let Some(status) = self.process.as_mut().map(std::process::Child::try_wait).transpose()?.flatten() {
                anyhow::bail!("the agent ended ({status}):\n{}", self.log());
            }
            anyhow::ensure!(started.elapsed() < self.patience, "the agent does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends the agent as a power cut would.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.process.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// Asks the agent to end, and waits for it.
    pub fn stop_agent(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let mut agent = self.process.take().context("the agent does not run")?;
        self.signal_process(&agent, rustix::process::Signal::TERM);
        Ok(agent.wait()?)
    }

    /// The process id of the agent, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(std::process::Child::id)
    }

    /// What the agent holds in memory, in KiB, see [`memory_kib`].
    pub fn memory_kib(&self, line: &str) -> anyhow::Result<u64> {
        memory_kib(self.pid().context("the agent does not run")?, line)
    }

    /// Makes the agent read its configuration again.
    pub fn reload_agent(&self) {
        if let Some(agent) = &self.process {
            self.signal_process(agent, rustix::process::Signal::HUP);
        }
    }

    /// Stops the process where it is, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        if let Some(agent) = &self.process {
            self.signal_process(agent, signal);
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
        while started.elapsed() < self.patience {
            if let Ok(state) = self.state().await {
                if let Some(found) = wanted(&state) {
                    return Ok(found);
                }
                last = Some(state);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let seen: Vec<String> = last.iter().flat_map(|state| state.objects.values()).filter_map(brief).collect();
        anyhow::bail!(
            "waited for {what} for {} s, and saw:\n{}\n{}",
            self.patience.as_secs(),
            seen.join("\n"),
            self.log()
        )
    }

    /// Waits until an application is as wanted.
    pub async fn wait_for(
        &self,
        what: &str,
        name: &str,
        wanted: impl Fn(&EnvironmentStatus) -> bool,
    ) -> anyhow::Result<EnvironmentStatus> {
        self.wait(what, |state| environment(state, name).filter(|status| wanted(status)).cloned()).await
    }

    /// Waits until a run is as wanted.
    pub async fn wait_run(&self, what: &str, wanted: impl Fn(&RunStatus) -> bool) -> anyhow::Result<RunStatus> {
        self.wait(what, |state| runs(state).find(|run| wanted(run)).cloned()).await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill_agent();
    }
}

/// What a process holds in memory, in KiB, by a line of `/proc/PID/status`: `VmRSS` now, `VmHWM` at most so far, `RssAnon` now
/// and without mapped files.
pub fn memory_kib(pid: u32, line: &str) -> anyhow::Result<u64> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} ended"))?;
    let value = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let value = value.with_context(|| format!("no {line} of process {pid}"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// An environment of a state: `shop/qa`, or `shop` for its `prod`, which is what the tests call the only one.
pub fn environment<'a>(state: &'a State, name: &str) -> Option<&'a EnvironmentStatus> {
    let id = if name.contains('/') { name.to_owned() } else { format!("{name}/prod") };
    match state.objects.get(&Key(format!("environment/{id}").into()))? {
        Object::Environment(status) => Some(status),
        _ => None,
    }
}

/// Whether an application is at a commit.
pub fn is_at(status: &EnvironmentStatus, commit: &str) -> bool {
    status.revision.as_ref().is_some_and(|revision| revision.commit.as_str() == commit)
}

/// The digest of the only image that a run pushed.
pub fn digest(run: &RunStatus) -> Option<String> {
    run.artifact.as_ref()?.images.first()?.digest.clone()
}

/// The commit by which a run was promoted to the only environment.
pub fn promotion(run: &RunStatus) -> Option<&CommitId> {
    run.promoted.values().next()
}

/// The runs of a state.
pub fn runs(state: &State) -> impl Iterator<Item = &RunStatus> {
    state.objects.values().filter_map(|object| if let Object::Run(run) = object { Some(&**run) } else { None })
}

fn brief(object: &Object) -> Option<String> {
    match object {
        Object::Environment(a) => Some(format!(
            "  {}: {} {} {} {:?} {} {}",
            a.environment,
            a.sync,
            a.health,
            a.revision.as_ref().map_or("-".to_owned(), |r| r.short()),
            a.images,
            a.message,
            a.progress.as_ref().map(Progress::describe).unwrap_or_default()
        )),
        Object::Run(run) => {
            Some(format!("  run {} {} {}: {} {}", run.id, run.reference, run.goal.word(), run.phase, run.message))
        }
        Object::Pod(pod) => Some(format!("  pod {}: {} {}", pod.name, pod.status, pod.message)),
        Object::Connection(c) => Some(format!("  {} {}: {:?}", c.to.word(), c.name, c.error)),
        Object::Repository(r) => r.error.as_ref().map(|error| format!("  repository {}: {error}", r.address)),
        Object::ApplicationSource(s) => Some(format!("  source {}: {:?} {:?}", s.name, s.commit, s.error)),
        Object::FollowedImage(f) => Some(format!("  image {}: {:?} {}", f.image, f.tag, f.line())),
        Object::Agent(_) | Object::Application(_) | Object::Resource(_) => None,
    }
}
