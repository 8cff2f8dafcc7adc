//! What every story works with: the journal, the repositories, clusters and the engine, and the applications and environments in force.
//!
//! One [`Context`] lives as long as the agent. What the configuration can change at a reload hangs behind a `watch` or
//! is replaced whole by `supervise`; a story takes what it needs at its start and keeps it for its pass.

mod application;
mod environment;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::event::Cause;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use self::application::{Application, Codebase, Destination};
pub use self::environment::{Drift, Environment, Source};
use crate::access::Access;
use crate::charts::Charts;
use crate::clusters::Clusters;
use crate::config::Config;
use crate::images::Images;
use crate::journal::Journal;
use crate::places::Places;
use crate::poll::Repositories;
use crate::remotes::Remotes;
use crate::removals::Removals;
use crate::renderers::programs::Renderers;
use crate::renders::Renders;
use crate::telemetry::Telemetry;
use crate::wanted::Wanted;
use quarterdeck_container::scanner::Programs;
use quarterdeck_system::identity::Identity;

/// What every story works with.
pub struct Context {
    /// Where facts go, and where the snapshot and history are.
    pub journal: Journal,
    /// The configuration in force.
    pub config: watch::Sender<Arc<Config>>,
    /// Who may do what.
    pub access: watch::Sender<Access>,
    /// Where the configuration is; relative paths in it begin at its folder.
    pub config_path: PathBuf,
    /// Mirrors, history and logs.
    pub data_dir: PathBuf,
    /// Every repository that is polled.
    pub repositories: Repositories,
    /// Every chart that comes from a registry or a chart repository.
    pub charts: Charts,
    /// What kustomizations take from elsewhere.
    pub remotes: Arc<Remotes>,
    /// Every cluster that is deployed to.
    pub clusters: Clusters,
    /// The engine that builds and pushes, and the registries.
    pub images: watch::Sender<Arc<Images>>,
    /// What each environment wants in its cluster, as it was last rendered.
    pub wanted: Wanted,
    /// Environments that left a source, and whose objects are to be deleted.
    pub removals: Removals,
    /// Which agent this is.
    pub identity: Identity,
    /// The applications in force.
    pub applications: RwLock<BTreeMap<ApplicationName, Arc<Application>>>,
    /// The environments in force.
    pub environments: RwLock<BTreeMap<EnvironmentId, Arc<Environment>>>,
    /// Held whole by a reload, and shared by each command: one that comes meanwhile waits for the application that the
    /// reload makes, instead of waking a worker that is about to end.
    pub reload: Arc<tokio::sync::RwLock<()>>,
    /// Places for runs.
    pub builds: Arc<Places>,
    /// Places for syncs.
    pub syncs: Arc<Semaphore>,
    /// The programs that render.
    pub renderers: Arc<Renderers>,
    /// What they made before.
    pub renders: Arc<Renders>,
    /// Who asked last for what nobody needs to be deleted.
    pub gc: watch::Sender<Cause>,
    /// The agent's own log.
    pub log: Telemetry,
    /// When the agent began.
    pub started: Timestamp,
    /// The agent is to end.
    pub stop: CancellationToken,
}

impl Context {
    /// An environment by its address.
    pub fn environment(&self, id: &EnvironmentId) -> Option<Arc<Environment>> {
        self.environments.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// An application by its name.
    pub fn application(&self, name: &ApplicationName) -> Option<Arc<Application>> {
        self.applications.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A folder for files that a rendering program needs; cleared at the start.
    pub fn scratch(&self) -> PathBuf {
        self.data_dir.join("scratch")
    }

    /// The programs that look for vulnerabilities, with a folder for their databases.
    pub fn scanners(&self) -> Programs {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        Programs { search_path, folder: self.data_dir.join("scanners") }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    /// The engine and registries in force.
    pub fn images(&self) -> Arc<Images> {
        self.images.borrow().clone()
    }
}
