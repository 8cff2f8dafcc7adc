//! What every story works with: the journal, the repositories, clusters and the engine, and the applications in force.
//!
//! One [`Context`] lives as long as the agent. What the configuration can change at a reload hangs behind a `watch` or
//! is replaced whole by `supervise`; a story takes what it needs at its start and keeps it for its pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::RunId;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::cluster::Cluster;
use crate::clusters::Clusters;
use crate::config::Config;
use crate::history::Intent;
use crate::identity::Identity;
use crate::images::Images;
use crate::journal::Journal;
use crate::kustomize::renderers::Renderers;
use crate::poll::{Repositories, Repository};
use crate::telemetry::Telemetry;
use crate::wanted::Wanted;
use crate::worker::Poke;

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
    /// Every cluster that is deployed to.
    pub clusters: Clusters,
    /// The engine that builds and pushes, and the registries.
    pub images: watch::Sender<Arc<Images>>,
    /// What each application wants in its cluster, as it was last rendered.
    pub wanted: Wanted,
    /// Which agent this is.
    pub identity: Identity,
    /// The applications in force.
    pub applications: RwLock<BTreeMap<ApplicationName, Arc<Application>>>,
    /// Held whole by a reload, and shared by each command: one that comes meanwhile waits for the application that the
    /// reload makes, instead of waking a worker that is about to end.
    pub reload: Arc<tokio::sync::RwLock<()>>,
    /// Places for builds.
    pub builds: Arc<Semaphore>,
    /// Places for syncs.
    pub syncs: Arc<Semaphore>,
    /// The programs that render.
    pub renderers: Arc<Renderers>,
    /// The agent's own log.
    pub log: Telemetry,
    /// When the agent began.
    pub started: Timestamp,
    /// The agent is to end.
    pub stop: CancellationToken,
}

impl Context {
    /// An application by its name.
    pub fn application(&self, name: &ApplicationName) -> Option<Arc<Application>> {
        self.applications.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A folder for files that a rendering program needs; cleared at the start.
    pub fn scratch(&self) -> PathBuf {
        self.data_dir.join("scratch")
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

/// An application in force: what the configuration says, and the way to its workers.
pub struct Application {
    /// What the configuration says.
    pub spec: ApplicationSpec,
    /// Its code repository.
    pub code: Option<Arc<Repository>>,
    /// Where its manifests are and where they go.
    pub deploy: Option<Deploy>,
    /// Pokes the worker that syncs.
    pub sync: Poke,
    /// Pokes the worker that delivers.
    pub delivery: Poke,
    /// Ends the worker that syncs.
    pub stop: CancellationToken,
    /// Ends the worker that delivers. It outlives a reload that leaves the code, the build and the deploy branch as they
    /// are: see [`Application::inherit_delivery`].
    pub delivering: CancellationToken,
    /// Whose turn it is to work on it: one worker a story, also over a reload.
    pub turns: Turns,
    running: Arc<Mutex<Option<(RunId, CancellationToken)>>>,
    owed: Mutex<Owed>,
}

/// Held by a worker for as long as it works; handed on from an application to the one that a reload makes of it, so that
/// the last pass of the old worker and the first of the new never overlap.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    /// The worker that syncs.
    pub sync: Arc<tokio::sync::Mutex<()>>,
    /// The worker that delivers.
    pub delivery: Arc<tokio::sync::Mutex<()>>,
}

/// What the worker that syncs is still to look at.
#[derive(Default)]
struct Owed {
    intent: Option<Intent>,
    /// What a pass looks at.
    drift: Option<Drift>,
    /// What was seen since that pass began: it may not have been there for it to see.
    later: Option<Drift>,
    /// When drift was last seen.
    newest: Option<Instant>,
}

/// A live object that was seen to differ from what was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The first that was seen.
    pub resource: ResourceRef,
    /// The field manager that changed it, where the API server tells.
    pub manager: Option<String>,
}

/// Where the manifests of an application are and where they go.
pub struct Deploy {
    /// The deploy repository.
    pub repository: Arc<Repository>,
    /// The cluster.
    pub cluster: Cluster,
}

impl Application {
    /// An application whose workers are about to begin.
    pub fn new(
        spec: ApplicationSpec,
        code: Option<Arc<Repository>>,
        deploy: Option<Deploy>,
        intent: Option<Intent>,
        end: &CancellationToken,
    ) -> Self {
        let owed = Mutex::new(Owed { intent, ..Owed::default() });
        Self {
            spec,
            code,
            deploy,
            sync: Poke::default(),
            delivery: Poke::default(),
            stop: end.child_token(),
            delivering: end.child_token(),
            turns: Turns::default(),
            running: Arc::default(),
            owed,
        }
    }

    /// Whether what delivers `before` may go on for this one: a run that is under way would do the same from its
    /// beginning.
    pub fn delivers_as(&self, before: &Self) -> bool {
        let same = |one: Option<&Arc<Repository>>, other: Option<&Arc<Repository>>| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let way = |application: &Self| {
            let ApplicationSpec { name, code, build, deploy, promote, .. } = &application.spec;
            let to = deploy
                .as_ref()
                .map(|deploy| (deploy.repository.clone(), deploy.branch.clone(), deploy.path.clone(), deploy.render));
            (name.clone(), code.clone(), build.clone(), promote.clone(), to)
        };
        let deploys = |application: &'_ Self| application.deploy.as_ref().map(|deploy| deploy.repository.clone());
        way(self) == way(before)
            && same(self.code.as_ref(), before.code.as_ref())
            && same(deploys(self).as_ref(), deploys(before).as_ref())
    }

    /// Takes over the worker that delivers `before`, with the run that it does.
    pub fn inherit_delivery(&mut self, before: &Self) {
        self.delivery = before.delivery.clone();
        self.delivering = before.delivering.clone();
        self.running = before.running.clone();
    }

    fn owed<T>(&self, with: impl FnOnce(&mut Owed) -> T) -> T {
        with(&mut self.owed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sync that a person asked for and is still owed.
    pub fn intent(&self) -> Option<Intent> {
        self.owed(|owed| owed.intent.clone())
    }

    /// A person asks for a sync; it is in the history already.
    pub fn ask(&self, intent: Intent) {
        self.owed(|owed| owed.intent = Some(intent));
        self.wake();
    }

    /// That intent is done; one that came meanwhile stays.
    pub fn intent_done(&self, done: Option<&Intent>) {
        self.owed(|owed| {
            if owed.intent.as_ref() == done {
                owed.intent = None;
            }
        });
    }

    /// The drift that is still to be looked at, for a pass that begins.
    pub fn drift(&self) -> Option<Drift> {
        self.owed(|owed| {
            let later = owed.later.take();
            owed.drift = owed.drift.take().or(later);
            owed.drift.clone()
        })
    }

    /// A live object differs from what was applied.
    pub fn drifted(&self, drift: Drift) {
        self.owed(|owed| {
            owed.later.get_or_insert(drift);
            owed.newest = Some(Instant::now());
        });
        self.wake();
    }

    /// When drift was last seen, where some is still to be looked at.
    pub fn drifted_at(&self) -> Option<Instant> {
        self.owed(|owed| owed.newest.filter(|_| owed.drift.is_some() || owed.later.is_some()))
    }

    /// What the pass began with was looked at; what was seen meanwhile stays, be it of the same object.
    pub fn drift_done(&self) {
        self.owed(|owed| owed.drift = None);
    }

    /// One more pass of the worker that syncs.
    pub fn wake(&self) {
        self.sync.poke();
    }

    /// One more pass of the worker that delivers.
    pub fn wake_delivery(&self) {
        self.delivery.poke();
    }

    /// Its repositories are asked now, and both workers look again.
    pub fn refresh(&self) {
        let repositories = self.code.iter().chain(self.deploy.iter().map(|deploy| &deploy.repository));
        repositories.for_each(|repository| repository.wake());
        self.wake();
        self.wake_delivery();
    }

    /// Says which run is being done; the token ends it.
    pub fn running(&self, run: Option<(RunId, CancellationToken)>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }

    /// Ends a run that is being done; false where it is another or none.
    pub fn cancel(&self, run: RunId) -> bool {
        match &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((id, token)) if *id == run => {
                token.cancel();
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_that_comes_while_another_is_looked_at_stays() {
        let spec: ApplicationSpec = serde_json::from_value(serde_json::json!({ "name": "shop" })).unwrap();
        let application = Application::new(spec, None, None, None, &CancellationToken::new());
        let drift =
            |name: &str| Drift { resource: ResourceRef::new("", "ConfigMap", Some("prod"), name), manager: None };
        application.drifted(drift("a"));
        application.drifted(drift("b"));
        assert_eq!(application.drift(), Some(drift("a")), "the first that was seen");
        assert_eq!(application.drift(), Some(drift("a")), "a pass that failed looks at it again");
        // The same object again, after the pass looked.
        application.drifted(drift("a"));
        application.drift_done();
        assert_eq!(application.drift(), Some(drift("a")));
        application.drift_done();
        assert_eq!(application.drift(), None);
    }
}
