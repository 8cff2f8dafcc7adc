//! A stand-in container engine: the Docker Engine API on a Unix socket (or loopback), with its classic builder and, where a
//! test wants it, a BuildKit that tells what the classic one does.
//!
//! ```text
//! client --HTTP--> api.rs --> build.rs (dockerfile.rs, files.rs) --> images.rs (memory, and a folder where told to)
//!    ^                |            '--> session.rs (mounts.rs: what a RUN wants of its client)
//!    '--secrets?------|-----------------'
//!                     '-----> push.rs, pull.rs --> remote.rs --HTTP--> a registry
//! ```
//!
//! It really parses Dockerfiles, copies files, makes layers, and pushes and pulls them; ids and digests are true hashes, and the
//! same build is cached and has the same id. It does NOT: run programs (see `run.rs` and `containers.rs` for the few commands that it plays), ask for logins in a session, apply `.dockerignore` (the client does; the daemon would only drop the two files themselves),
//! keep owners, times or hard links, fetch from the network (`ADD URL`, images of Docker Hub), retry or send layers in parallel,
//! have volumes or events, list images without a name, or keep more than one platform.

mod answer;
mod api;
mod build;
mod buildctl;
mod buildkit;
mod container_api;
mod containers;
mod dockerfile;
mod files;
mod images;
mod load;
mod mounts;
mod output;
mod pull;
mod push;
mod remote;
mod run;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use buildctl::{Buildctl, BuildctlCall, play_buildctl};
pub use containers::ContainerRecord;
pub use output::StreamFault;
use tokio::sync::watch;

use crate::serve::{Place, Server};
use containers::Containers;
use images::{ImageConfig, Images};
use session::Sessions;

/// How an engine is to be.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// A socket file, or a loopback port.
    pub place: Place,
    /// Keep images in this folder and read them at start. Without it all is gone when the engine is dropped.
    pub folder: Option<PathBuf>,
}

impl EngineOptions {
    /// On this socket file, in memory.
    pub fn on_socket(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Unix(path.into()), folder: None }
    }

    /// On a loopback port that the system picks, in memory.
    pub fn on_loopback() -> Self {
        Self { place: Place::loopback(0), folder: None }
    }
}

/// A running engine; gone when dropped.
pub struct Engine {
    server: Server,
    state: Arc<State>,
}

/// A build that was asked for, and how it ended.
#[derive(Debug, Clone)]
pub struct BuildRecord {
    /// Names that it was to get.
    pub tags: Vec<String>,
    /// Labels that came with the request (those of the Dockerfile are in the image).
    pub labels: BTreeMap<String, String>,
    /// Names of the build arguments; their values are nobody's business.
    pub args: Vec<String>,
    /// The platform that was asked for.
    pub platform: Option<String>,
    /// Images whose cache is to be used.
    pub cache_from: Vec<String>,
    /// Bytes of the context as it arrived.
    pub context_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// A push that was asked for, and how it ended.
#[derive(Debug, Clone)]
pub struct PushRecord {
    /// `name:tag`
    pub reference: String,
    /// How it ended; the value is the manifest's digest.
    pub outcome: Outcome,
}

/// How a build or push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is still at it.
    Running,
    /// Done now: the image id of a build, the manifest digest of a push.
    Done(String),
    /// A build of which every step was in the cache.
    Cached(String),
    /// It failed, in the words that the client got.
    Failed(String),
    /// The client went away, or a fault cut it off.
    Cut,
}

/// What all requests share. The locks are held for look-ups and for packing a layer, never across an await.
struct State {
    images: Mutex<Images>,
    plan: Mutex<Plan>,
    /// How many build steps wait for their delay now.
    held: watch::Sender<usize>,
    containers: Mutex<Containers>,
    /// Every container that was made so far.
    ran: Mutex<Vec<ContainerRecord>>,
    builds: Mutex<Vec<BuildRecord>>,
    pushes: Mutex<Vec<PushRecord>>,
    sessions: Sessions,
}

/// What the engine is to do beside its work.
#[derive(Debug, Clone, Default)]
struct Plan {
    step_delay: Duration,
    piece_delay: Duration,
    build_faults: VecDeque<StreamFault>,
    push_faults: VecDeque<StreamFault>,
    /// What `_ping` says about BuildKit: nothing of the kind, unless a test wants to see what its client then does.
    builder_version: Option<String>,
    buildkit: bool,
}

impl Engine {
    /// Starts an engine and waits until it listens.
    pub async fn start(options: EngineOptions) -> anyhow::Result<Self> {
        let state = Arc::new(State::new(options.folder)?);
        let shared = state.clone();
        let handler: crate::serve::Handler =
            Arc::new(move |request| Box::pin(api::answer(shared.clone(), request)) as _);
        let server = Server::start(options.place, handler).await?;
        Ok(Self { server, state })
    }

    /// As `DOCKER_HOST` has it: `unix:///…` or `tcp://127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        match self.server.place() {
            Place::Unix(path) => format!("unix://{}", path.display()),
            Place::Tcp(address) => format!("tcp://{address}"),
        }
    }

    /// Every build asked for so far.
    pub fn builds(&self) -> Vec<BuildRecord> {
        locked(&self.state.builds).clone()
    }

    /// Builds whose request had the label `key=value`, as `org.opencontainers.image.revision` of a commit.
    pub fn builds_labelled(&self, key: &str, value: &str) -> Vec<BuildRecord> {
        self.builds().into_iter().filter(|build| build.labels.get(key).is_some_and(|of| of == value)).collect()
    }

    /// Every push asked for so far.
    pub fn pushes(&self) -> Vec<PushRecord> {
        locked(&self.state.pushes).clone()
    }

    /// Every container made so far, those that are gone included.
    pub fn ran(&self) -> Vec<ContainerRecord> {
        locked(&self.state.ran).clone()
    }

    /// The names of the containers and networks that are there now.
    pub fn left(&self) -> Vec<String> {
        let containers = locked(&self.state.containers);
        let networks = containers.networks.values().map(|network| network.name.clone());
        containers.all.values().map(|container| container.name.clone()).chain(networks).collect()
    }

    /// The id of the image that has this name, if any.
    pub fn image_id(&self, name: &str) -> Option<String> {
        self.state.images().find(name).map(|(id, _)| id.to_owned())
    }

    /// Gives an image another name, as a person does.
    pub fn name(&self, image: &str, name: &str) {
        let id = self.image_id(image).unwrap_or_else(|| panic!("there is no image {image}"));
        self.state.images().tag(&id, name);
    }

    /// The labels of an image.
    pub fn labels(&self, name: &str) -> BTreeMap<String, String> {
        self.state.images().find(name).map(|(_, image)| image.config.config.labels.clone()).unwrap_or_default()
    }

    /// What the steps of an image were, as its history tells them.
    pub fn history(&self, name: &str) -> Vec<String> {
        let images = self.state.images();
        let steps = images.find(name).map(|(_, image)| &image.config.history);
        steps.into_iter().flatten().map(|step| step.created_by.clone()).collect()
    }

    /// Waits until no client of BuildKit can be asked for anything.
    pub async fn no_sessions(&self) {
        // It fails without a sender alone, and `self` has it.
        let _ = self.state.sessions.subscribe().wait_for(|sessions| sessions.is_empty()).await;
    }

    /// The text of a file in an image.
    pub fn file(&self, name: &str, path: &str) -> Option<String> {
        let images = self.state.images();
        let (_, image) = images.find(name)?;
        match images.root(&image.layers).remove(path.trim_start_matches('/'))? {
            files::Node::File { bytes, .. } => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        }
    }

    /// Puts an image with these files into the engine, as if it had been pulled: a base for `FROM`.
    pub fn add_image(&self, name: &str, files: &[(&str, &str)]) -> anyhow::Result<String> {
        add_image(&mut self.state.images(), name, files)
    }

    /// Every build step that begins from now on takes this long, so that progress can be watched.
    pub fn set_step_delay(&self, delay: Duration) {
        self.state.plan().step_delay = delay;
    }

    /// Waits until a build step takes its time. That one goes on doing so; those that begin from now on take none.
    pub async fn hold_no_more(&self) {
        // It fails without a sender alone, and `self` has it.
        let _ = self.state.held.subscribe().wait_for(|steps| *steps > 0).await;
        self.set_step_delay(Duration::ZERO);
    }

    /// Every eighth of a layer takes this long to push from now on.
    pub fn set_push_delay(&self, delay: Duration) {
        self.state.plan().piece_delay = delay;
    }

    /// The next build goes wrong like this.
    pub fn fail_build(&self, fault: StreamFault) {
        self.state.plan().build_faults.push_back(fault);
    }

    /// The next push goes wrong like this.
    pub fn fail_push(&self, fault: StreamFault) {
        self.state.plan().push_faults.push_back(fault);
    }

    /// Has BuildKit from now on, and says so.
    pub fn have_buildkit(&self) {
        let mut plan = self.state.plan();
        plan.buildkit = true;
        plan.builder_version = Some("2".to_owned());
    }

    /// Claims another builder in `_ping` (`2` is BuildKit), whether it has it or not.
    pub fn claim_builder(&self, version: &str) {
        self.state.plan().builder_version = Some(version.to_owned());
    }

    /// Nothing listens any more, and every connection is cut. Images stay.
    pub async fn away(&self) {
        self.server.away().await;
    }

    /// Listens again at the same place.
    pub async fn back(&self) -> anyhow::Result<()> {
        Ok(self.server.back().await?)
    }
}

/// An image with these files, as if it had been pulled.
fn add_image(images: &mut Images, name: &str, files: &[(&str, &str)]) -> anyhow::Result<String> {
    let packed = files::pack(&build::tree_of(files))?;
    let layer = images.add_layer(packed);
    let mut config = ImageConfig::scratch();
    config.rootfs.diff_ids.push(layer.diff_id.clone());
    let id = images.add(config, vec![layer]);
    images.tag(&id, name);
    Ok(id)
}

impl State {
    fn new(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        Ok(Self {
            images: Mutex::new(Images::open(folder)?),
            plan: Mutex::default(),
            held: watch::Sender::default(),
            containers: Mutex::default(),
            ran: Mutex::default(),
            builds: Mutex::default(),
            pushes: Mutex::default(),
            sessions: Sessions::default(),
        })
    }

    fn images(&self) -> MutexGuard<'_, Images> {
        locked(&self.images)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.plan)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
