//! An application in force: what the configuration says, and the way to the worker that delivers it.

use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_shared::application::{ApplicationSpec, DeliverySpec, EnvironmentName, EnvironmentSpec};
use quarterdeck_shared::revision::CommitId;
use quarterdeck_shared::snapshot::RunId;
use tokio_util::sync::CancellationToken;

use crate::poll::Repository;
use crate::worker::Wake;

/// An application in force.
pub struct Application {
    /// What the configuration says.
    pub spec: ApplicationSpec,
    /// What it is built from; none where it is only deployed.
    pub code: Option<Arc<Codebase>>,
    /// Where what it builds is promoted to, in the order of its environments.
    pub destinations: Vec<Destination>,
    /// Pokes the worker that delivers.
    pub delivery: Wake,
    /// Pokes the worker that follows images.
    pub following: Wake,
    /// Ends what tells about it, and the worker that follows images; the worker that delivers has its own end.
    pub stop: CancellationToken,
    /// Ends the worker that delivers. It outlives a reload that leaves the code, the images and the deploy branches as they
    /// are: see [`Application::inherit_delivery`].
    pub delivering: CancellationToken,
    /// Held by the worker that delivers for as long as it works; handed on to the application that a reload makes of this
    /// one, so that the last pass of the old worker and the first of the new never overlap.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    running: Arc<Mutex<Option<(RunId, CancellationToken)>>>,
}

/// The code of an application.
pub struct Codebase {
    /// What the configuration says of it and of its images.
    pub spec: DeliverySpec,
    /// Its repository.
    pub repository: Arc<Repository>,
}

/// An environment that artifacts are promoted to.
pub struct Destination {
    /// What the configuration says of it.
    pub spec: EnvironmentSpec,
    /// The repository that names its images: that of its manifests, or that of one of its sources.
    pub repository: Arc<Repository>,
}

impl Destination {
    /// The branch that promotions go to, where one is named.
    pub fn branch(&self) -> Option<&str> {
        self.spec.promoted_follow().branch()
    }

    /// What a commit of a promotion is called: `1f3c2a9`, or `1f3c2a9 of source values`.
    pub fn commit(&self, commit: &CommitId) -> String {
        format!("{}{}", commit.short(), self.of_source())
    }

    /// ` of source values`, behind what names a commit; nothing of the environment's own repository.
    pub fn of_source(&self) -> String {
        self.spec.promoted_source().map(|source| format!(" of source {}", source.name)).unwrap_or_default()
    }

    /// The repository as messages call it.
    pub fn describe(&self) -> String {
        match self.spec.promoted_source() {
            Some(source) => format!("source {} ({})", source.name, self.repository.address()),
            None => "the deploy repository".to_owned(),
        }
    }
}

impl Application {
    /// An application whose worker is about to begin.
    pub fn new(
        spec: ApplicationSpec,
        code: Option<Arc<Codebase>>,
        destinations: Vec<Destination>,
        end: &CancellationToken,
    ) -> Self {
        Self {
            spec,
            code,
            destinations,
            delivery: Wake::default(),
            following: Wake::default(),
            stop: end.child_token(),
            delivering: end.child_token(),
            turn: Arc::default(),
            running: Arc::default(),
        }
    }

    /// Whether what delivers `before` may go on for this one: a run that is under way would do the same from its
    /// beginning.
    pub fn delivers_as(&self, before: &Self) -> bool {
        let same_code = match (&self.code, &before.code) {
            (Some(one), Some(other)) => one.spec == other.spec && Arc::ptr_eq(&one.repository, &other.repository),
            (one, other) => one.is_none() && other.is_none(),
        };
        let same = |(one, other): (&Destination, &Destination)| {
            let way = |to: &Destination| {
                let EnvironmentSpec { name, repository, follow, sources, path, render, promote, .. } = &to.spec;
                let place = (repository.clone(), follow.clone(), sources.clone(), path.clone());
                (name.clone(), place, *render, promote.clone())
            };
            way(one) == way(other) && Arc::ptr_eq(&one.repository, &other.repository)
        };
        self.spec.name == before.spec.name
            && same_code
            && self.destinations.len() == before.destinations.len()
            && self.destinations.iter().zip(&before.destinations).all(same)
    }

    /// Takes over the worker that delivers `before`, with the run that it does.
    pub fn inherit_delivery(&mut self, before: &Self) {
        self.delivery = before.delivery.clone();
        self.delivering = before.delivering.clone();
        self.running = before.running.clone();
    }

    /// One of the places that it is promoted to.
    pub fn destination(&self, name: &EnvironmentName) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.spec.name == *name)
    }

    /// One more pass of the worker that delivers.
    pub fn wake_delivery(&self) {
        self.delivery.wake();
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
