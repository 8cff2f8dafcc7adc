//! The life of the agent: from its configuration to its last written fact.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{AgentStatus, Object};
use rustix::fs::FlockOperation;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::api::connection::Patience;
use crate::charts::Charts;
use crate::clusters::Clusters;
use crate::config::{Config, places};
use crate::configuration::{Changed, Configuration};
use crate::context::Context;
use crate::images::Images;
use crate::journal::Journal;
use crate::journal::fact::Fact;
use crate::places::Places;
use crate::poll::Repositories;
use crate::remotes::Remotes;
use crate::removals::Removals;
use crate::renderers::confinement::Confinement;
use crate::renderers::own_folder;
use crate::renderers::programs::Renderers;
use crate::renders::Renders;
use crate::sources::Sources;
use crate::telemetry::{self, Telemetry};
use crate::wanted::Wanted;
use crate::{api, connectivity, deployed_marks, forge, gc, supervise, upkeep, webhook};
use quarterdeck_shared::error::chain;
use quarterdeck_system::identity::Identity;

/// Everything ends within this time of SIGTERM; what does not is left, and taken up at the next start.
const END_WITHIN: Duration = Duration::from_secs(8);

/// Runs the agent until SIGTERM or SIGINT.
pub fn run(config_path: &Path) -> anyhow::Result<()> {
    let (configuration, config) = Configuration::open(config_path)?;
    // What the agent and the programs it starts write is for its own user, whatever library makes the file.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    // kube, gix and bollard all find this one; with several compiled in, rustls would panic at the first use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let log = telemetry::init(config.agent.log_format, &config.agent.log_level)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(live(config_path.to_owned(), configuration, config, log));
    // Git work that cannot be interrupted (a handshake) may still block a thread: it is left behind.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn live(
    config_path: PathBuf,
    mut configuration: Configuration,
    config: Config,
    log: Telemetry,
) -> anyhow::Result<()> {
    let started = Timestamp::now();
    let data_dir = places::data_dir(&config.agent)?;
    let _lock = claim(&data_dir)?;
    let mut sources = Sources::new(&data_dir);
    let socket_path = places::socket(&config.agent);
    let socket = api::socket::listen(&socket_path, config.agent.socket_group.as_deref())?;
    let in_force = supervise::names(&config).into_iter().chain(configuration.names());
    let names = in_force.chain(sources.names(&config)).collect();
    let (journal, cut_off) = Journal::open(&data_dir, &config.history, &names, started)?;
    if cut_off > 0 {
        tracing::info!(runs_and_syncs = cut_off, "the previous run ended unexpectedly; resuming unfinished work");
    }
    clear_scratch(&data_dir);
    let renderers = Arc::new(renderers(&config, &config_path, &data_dir).await);
    let stop = CancellationToken::new();
    let renders = Renders::open(&data_dir, &config);
    let images = watch::Sender::new(Arc::new(Images::new(&config, &data_dir)));
    let in_force = watch::Sender::new(Arc::new(Config::default()));
    let base = config_path.parent().unwrap_or(&config_path);
    let remotes = Remotes::new(&data_dir, base, in_force.subscribe(), images.subscribe());
    let context = Arc::new(Context {
        journal: journal.clone(),
        access: watch::Sender::new(access(&config)),
        images,
        config: in_force,
        config_path,
        wanted: Wanted::default(),
        removals: Removals::open(&data_dir, sources.news()),
        identity: Identity::load(&data_dir),
        data_dir,
        repositories: Repositories::default(),
        charts: Charts::default(),
        remotes: Arc::new(remotes),
        clusters: Clusters::default(),
        applications: RwLock::default(),
        environments: RwLock::default(),
        reload: Arc::default(),
        builds: Places::new(config.agent.max_concurrent_builds),
        syncs: Arc::new(Semaphore::new(config.agent.max_concurrent_syncs)),
        renderers,
        renders: Arc::new(renders),
        gc: watch::Sender::new(Cause::Agent),
        log,
        started,
        stop: stop.clone(),
    });
    let tasks = TaskTracker::new();
    journal.publish(vec![Fact::Seen(Object::Agent(status(&context, &config, &configuration)))]).await;
    // What was in force when the agent last ran, before anything is done.
    let config = sources.configure(&context, config).await;
    let lines = supervise::apply(&context, config, &tasks).await?;
    sources.tell(&context, &lines).await;
    configuration.follow(&context);
    tell(&context, &mut configuration).await;
    tasks.spawn(connectivity::watch(context.clone()));
    tasks.spawn(forge::watch(context.clone()));
    tasks.spawn(webhook::listen(context.clone()));
    tasks.spawn(gc::keep(context.clone()));
    tasks.spawn(deployed_marks::keep(context.clone()));
    let router = api::router(context.clone());
    let serving = tokio::spawn(api::connection::serve(socket.listener(), router, Patience::default(), stop.clone()));
    let check_now = Arc::new(Notify::new());
    tasks.spawn(upkeep::keep(context.clone(), socket, check_now.clone()));
    tracing::info!(socket = %socket_path.display(), applications = context.config().applications.len(), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    serve_signals(&context, &tasks, &check_now, (&mut configuration, &mut sources)).await?;

    tracing::info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    context.repositories.stop();
    context.charts.stop();
    context.remotes.stop();
    tasks.close();
    let ending = async {
        tasks.wait().await;
        let _ = serving.await;
    };
    if tokio::time::timeout(END_WITHIN, ending).await.is_err() {
        tracing::warn!("some tasks did not stop in time; they resume at the next start");
    }
    // Renders that did not end in time have their files there still; the next start clears it.
    if let Some(memory) = context.renderers.memory.as_ref().filter(|memory| **memory != context.scratch()) {
        let _ = std::fs::remove_dir(memory);
    }
    quarterdeck_git::mirror::hang_up(&context.data_dir.join("mirrors"));
    quarterdeck_git::mirror::hang_up(&context.remotes.mirrors());
    let event = Fact::at_large(Cause::Agent, Event::AgentStopped);
    let _ = tokio::time::timeout(Duration::from_secs(1), journal.record(vec![event])).await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT; SIGHUP reloads, and news of the configuration in git and of the sources of applications are
/// brought into force.
async fn serve_signals(
    context: &Arc<Context>,
    tasks: &TaskTracker,
    check_now: &Notify,
    (configuration, sources): (&mut Configuration, &mut Sources),
) -> anyhow::Result<()> {
    let (commits, news) = (configuration.news(), sources.news());
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let (mut term, mut int, mut hup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => {
                check_now.notify_one();
                reload(context, tasks, configuration, sources).await;
            }
            () = commits.notified() => follow(context, tasks, configuration, sources).await,
            () = news.notified() => sources.follow(context, tasks).await,
        }
    }
}

/// Brings the configuration as it is now into force, or says why not and leaves the one before.
async fn reload(context: &Arc<Context>, tasks: &TaskTracker, configuration: &mut Configuration, sources: &mut Sources) {
    let reloading =
        sd_notify::NotifyState::monotonic_usec_now().map(|now| vec![sd_notify::NotifyState::Reloading, now]);
    notify(&reloading.unwrap_or_else(|_| vec![sd_notify::NotifyState::Reloading]));
    match configuration.reload() {
        Ok(Changed { config, lines }) => {
            bring(context, tasks, (configuration, sources), config, lines).await;
            configuration.follow(context);
        }
        Err(error) => {
            let message = chain(&error);
            tracing::error!("the new configuration was rejected, the previous one stays in use: {message}");
            show(context, configuration).await;
            supervise::record_event(context, Event::ConfigurationRefused { message }).await;
        }
    }
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Brings into force what a commit of the configuration says, or says why not.
async fn follow(context: &Arc<Context>, tasks: &TaskTracker, configuration: &mut Configuration, sources: &mut Sources) {
    if let Some(Changed { config, lines }) = configuration.look(context).await {
        bring(context, tasks, (configuration, sources), config, lines).await;
    }
    tell(context, configuration).await;
}

/// Brings a configuration into force, and tells what it changes behind these lines.
async fn bring(
    context: &Arc<Context>,
    tasks: &TaskTracker,
    (configuration, sources): (&Configuration, &mut Sources),
    config: Config,
    mut told: Vec<String>,
) {
    let before = context.config();
    let config = sources.configure(context, config).await;
    let mut changes = needs_restart(&before, &config);
    context.access.send_replace(access(&config));
    if let Err(error) = context.log.set_level(&config.agent.log_level) {
        tracing::error!(error = %chain(&error), "the log level is unchanged");
    }
    if before.engine != config.engine || before.registry != config.registry {
        context.images.send_replace(Arc::new(Images::new(&config, &context.data_dir)));
        changes.push("engine or registry settings changed".to_owned());
    }
    context.journal.bounds(config.history.clone()).await;
    match supervise::apply(context, config.clone(), tasks).await {
        Ok(more) => changes.extend(more),
        Err(error) => tracing::error!(error = %chain(&error), "the configuration was applied only in part"),
    }
    supervise::look_at_pull_secrets(context);
    sources.tell(context, &changes).await;
    if changes.is_empty() {
        changes.push("nothing changed".to_owned());
    }
    told.extend(changes);
    told.iter().for_each(|line| tracing::info!("configuration: {line}"));
    show(context, configuration).await;
    supervise::record_event(context, Event::ConfigurationReloaded { changes: told }).await;
}

/// Shows the agent with its configuration.
async fn show(context: &Context, configuration: &Configuration) {
    let status = status(context, &context.config(), configuration);
    context.journal.publish(vec![Fact::Seen(Object::Agent(status))]).await;
}

/// Shows how the configuration in git is, and tells once what is wrong with it.
async fn tell(context: &Context, configuration: &mut Configuration) {
    let refused = configuration.untold();
    show(context, configuration).await;
    if let Some(message) = refused {
        tracing::error!("the configuration in git was rejected, the previous one stays in use: {message}");
        supervise::record_event(context, Event::ConfigurationRefused { message }).await;
    }
}

/// The programs that render, kept from what is the agent's.
async fn renderers(config: &Config, config_path: &Path, data_dir: &Path) -> Renderers {
    let is_wanted = config.agent.confine_renderers;
    let (scratch, own) = (data_dir.join("scratch"), [config_path.parent(), Some(data_dir)]);
    let own: Vec<PathBuf> = own.into_iter().flatten().map(Path::to_owned).collect();
    let find = move || {
        let memory = own_folder::memory(&scratch);
        let confinement = Confinement::find(is_wanted, memory.as_deref().unwrap_or(&scratch), &own);
        Renderers::find(std::env::var_os("PATH").as_deref()).confined(&confinement).in_memory(memory)
    };
    tokio::task::spawn_blocking(find).await.unwrap_or_default()
}

/// What a reload cannot change.
fn needs_restart(before: &Config, after: &Config) -> Vec<String> {
    let (before, after) = (&before.agent, &after.agent);
    let fixed = [
        ("data_dir", before.data_dir != after.data_dir),
        ("socket", before.socket != after.socket || before.socket_group != after.socket_group),
        ("log_format", before.log_format != after.log_format),
        (
            "max_concurrent_builds or max_concurrent_syncs",
            before.max_concurrent_builds != after.max_concurrent_builds
                || before.max_concurrent_syncs != after.max_concurrent_syncs,
        ),
        ("confine_renderers", before.confine_renderers != after.confine_renderers),
    ];
    fixed
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(option, _)| format!("agent.{option} takes effect after a restart"))
        .collect()
}

fn access(config: &Config) -> Access {
    let (access, unknown) = Access::new(config, rustix::process::getuid().as_raw());
    for name in unknown {
        tracing::warn!("[[access]] rule: unknown {name} on this machine");
    }
    access
}

fn status(context: &Context, config: &Config, configuration: &Configuration) -> AgentStatus {
    AgentStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        started: context.started,
        configuration: context.config_path.display().to_string(),
        configuration_error: configuration.local_error(),
        configuration_in_git: configuration.status().map(Box::new),
        // The journal knows.
        history_error: None,
        history_hint: String::new(),
        banner: config.agent.banner.clone(),
    }
}

/// What a render left when the last life of the agent was killed in the middle of it.
fn clear_scratch(data_dir: &Path) {
    let scratch = data_dir.join("scratch");
    // Not being there is as good; what cannot be made is told by the first render that needs it.
    let _ = std::fs::remove_dir_all(&scratch);
    let _ = std::fs::create_dir_all(&scratch);
}

/// Makes the data directory, 0700, and claims it: two agents on one history would do everything twice.
pub fn claim(data_dir: &Path) -> anyhow::Result<std::fs::File> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let cannot = |what: &str| {
        let dir = data_dir.display();
        format!("cannot {what} the data directory {dir}; set agent.data_dir to a folder that the agent may write")
    };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| cannot("make"))?;
    let path = data_dir.join("agent.lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| cannot("write in"))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        anyhow::anyhow!(
            "another agent works in {}; stop it first, or set agent.data_dir to another folder",
            data_dir.display()
        )
    })?;
    Ok(file)
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
