//! An environment in force: what the configuration says, where it runs, and the way to the worker that syncs it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSource, EnvironmentSourceName, EnvironmentSpec};
use quarterdeck_shared::protocol::ChartTest;
use quarterdeck_shared::resource::ResourceRef;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::charts::source::ChartSource;
use crate::history::Intent;
use crate::poll::Repository;
use crate::worker::Wake;
use quarterdeck_kubernetes::Cluster;

/// An environment in force.
pub struct Environment {
    /// Which.
    pub id: EnvironmentId,
    /// What the configuration says.
    pub spec: EnvironmentSpec,
    /// The repository of its manifests.
    pub repository: Arc<Repository>,
    /// Others whose files are seen beside those, in the order of the configuration.
    pub sources: Vec<Source>,
    /// The chart, where it comes from a registry or a chart repository.
    pub chart: Option<Arc<ChartSource>>,
    /// The cluster.
    pub cluster: Cluster,
    /// Pokes the worker that syncs.
    pub sync: Wake,
    /// Ends the worker that syncs.
    pub stop: CancellationToken,
    /// Held by the worker that syncs for as long as it works; handed on to the environment that a reload makes of this one.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    owed: Mutex<Owed>,
    /// What the newest run of the tests of its chart came to; when that was asked for.
    tested: Mutex<Option<(Timestamp, Vec<ChartTest>)>>,
}

/// Another source of an environment's files.
pub struct Source {
    /// What the configuration says.
    pub spec: EnvironmentSource,
    /// Its repository.
    pub repository: Arc<Repository>,
}

/// A live object that was seen to differ from what was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The first that was seen.
    pub resource: ResourceRef,
    /// The field manager that changed it, where the API server tells.
    pub manager: Option<String>,
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

impl Owed {
    fn drift(&mut self) -> Option<Drift> {
        let later = self.later.take();
        self.drift = self.drift.take().or(later);
        self.drift.clone()
    }

    fn drifted(&mut self, drift: Drift) {
        self.later.get_or_insert(drift);
        self.newest = Some(Instant::now());
    }
}

impl Environment {
    /// An environment whose worker is about to begin, without other sources.
    pub fn new(
        id: EnvironmentId,
        spec: EnvironmentSpec,
        repository: Arc<Repository>,
        chart: Option<Arc<ChartSource>>,
        cluster: Cluster,
        intent: Option<Intent>,
        end: &CancellationToken,
    ) -> Self {
        let owed = Mutex::new(Owed { intent, ..Owed::default() });
        let (sync, stop, turn) = (Wake::default(), end.child_token(), Arc::default());
        let sources = Vec::new();
        Self { id, spec, repository, sources, chart, cluster, sync, stop, turn, owed, tested: Mutex::default() }
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
        self.owed(Owed::drift)
    }

    /// A live object differs from what was applied.
    pub fn drifted(&self, drift: Drift) {
        self.owed(|owed| owed.drifted(drift));
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

    /// The tests of its chart that were asked for then came to this.
    pub fn tested(&self, at: Timestamp, tests: Vec<ChartTest>) {
        *self.tested.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, tests));
    }

    /// What the tests came to that were asked for then; nothing where that is not known any more.
    pub fn tests_of(&self, at: Timestamp) -> Vec<ChartTest> {
        let tested = self.tested.lock().unwrap_or_else(PoisonError::into_inner);
        tested.as_ref().filter(|(of, _)| *of == at).map(|(_, tests)| tests.clone()).unwrap_or_default()
    }

    /// The repository of one of its sources, or its own.
    pub fn repository_of(&self, source: Option<&EnvironmentSourceName>) -> &Repository {
        let of = |name: &EnvironmentSourceName| self.sources.iter().find(|source| source.spec.name == *name);
        source.and_then(of).map_or(&self.repository, |source| &source.repository)
    }

    /// All repositories that feed it, its own first.
    pub fn repositories(&self) -> impl Iterator<Item = &Arc<Repository>> {
        [&self.repository].into_iter().chain(self.sources.iter().map(|source| &source.repository))
    }

    /// One more pass of the worker that syncs.
    pub fn wake(&self) {
        self.sync.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_that_comes_while_another_is_looked_at_stays() {
        let mut owed = Owed::default();
        let drift =
            |name: &str| Drift { resource: ResourceRef::new("", "ConfigMap", Some("prod"), name), manager: None };
        owed.drifted(drift("a"));
        owed.drifted(drift("b"));
        assert_eq!(owed.drift(), Some(drift("a")), "the first that was seen");
        assert_eq!(owed.drift(), Some(drift("a")), "a pass that failed looks at it again");
        // The same object again, after the pass looked.
        owed.drifted(drift("a"));
        owed.drift = None;
        assert_eq!(owed.drift(), Some(drift("a")));
        owed.drift = None;
        assert_eq!(owed.drift(), None);
    }
}
