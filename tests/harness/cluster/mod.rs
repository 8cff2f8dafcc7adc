//! A stand-in Kubernetes API, for hermetic tests and for the playground.
//!
//! It speaks the real API over HTTP on a loopback port, plain or with a certificate that a test gives it, well enough that every line of the agent runs against it
//! and that `kubectl` can be used to look: discovery, create, read, list, watch, the four patches, server-side apply
//! with managed fields and conflicts, dry runs, strict decoding, defaults, the refusals that people meet, deletion with
//! finalizers and propagation; and controllers enough to make pods of Deployments, StatefulSets, DaemonSets and Jobs on
//! one node that pretends to run them, with their logs and events.
//!
//! ```text
//! request -> answer -> faults, counts -> read | watch | write | delete | log
//!                                                              |          ^
//! fields (apply), schema, defaults, validate (pure)  <-  write -> store --+-> watches
//!                                                                   ^ v dirty keys
//!                                                          controllers, kubelet
//! ```
//!
//! It can be set back as etcd is from a backup, and be another cluster behind the same address ([`Cluster::restore`], [`Cluster::recreate`]).
//!
//! What it does not do, so that nobody takes it for the real thing: it runs no container and routes no traffic; of its own kinds it
//! knows one API version, of definitions all that they serve, and it converts nothing; no RBAC, quotas, admission webhooks or policies (a `Fault` plays
//! their refusals); no exec, attach, port-forward, protobuf, tables for `kubectl get`; lists with `limit` continue on
//! the present state, not on a snapshot; quantities are not brought into canonical form; ControllerRevisions,
//! EndpointSlices, PersistentVolumes and schedules of CronJobs are not made; custom resources are not checked by
//! patterns, bounds and CEL. State lives in memory and ends with it.
//!
//! How it decides is held by a table that a real API server is asked as well (`conformance`); what it does not do stands
//! there too, row by row, as far as one request can show it. Where the two differ, the stand-in is mended.

pub mod clock;
pub mod ids;

pub mod kinds;

pub mod schema;

pub mod store;

pub mod fields;

pub mod patch;

pub mod write;

pub mod defaults;

pub mod assign;

pub mod validate;

pub mod delete;

pub mod select;

pub mod view;

pub mod discovery;

pub mod events;

pub mod kubelet;

pub mod controllers;

pub mod failure;

pub mod faults;

mod route;

mod answer;

mod direct;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::clock::Clock;
use self::controllers::{Manager, Next};
use self::discovery::Stale;
use self::faults::{Counts, Faults};
use self::kubelet::images::{self, Pull};
use self::store::State;
use crate::serve::{Handler, Place, Server};

/// How fast things happen on the node and around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// From a pod's making to its node.
    pub schedule: Duration,
    /// Pulling an image.
    pub pull: Duration,
    /// From running to ready.
    pub ready: Duration,
    /// From the wish to stop to the end.
    pub stop: Duration,
    /// The shortest time that any state of a container lasts.
    pub tick: Duration,
    /// The first delay before a crashed container is started again, or an image pulled again; it doubles each time.
    pub backoff: Duration,
    /// The longest such delay.
    pub backoff_max: Duration,
    /// How often something that is missing is looked for again.
    pub retry: Duration,
}

impl Default for Pace {
    /// For tests: nearly at once.
    fn default() -> Pace {
        let ms = Duration::from_millis;
        Pace {
            schedule: ms(0),
            pull: ms(0),
            ready: ms(0),
            stop: ms(0),
            tick: ms(2),
            backoff: ms(100),
            backoff_max: ms(5_000),
            retry: ms(50),
        }
    }
}

impl Pace {
    /// For people: slow enough to watch.
    pub fn demo() -> Pace {
        let ms = Duration::from_millis;
        Pace {
            schedule: ms(150),
            pull: ms(400),
            ready: ms(300),
            stop: ms(300),
            tick: ms(150),
            backoff: ms(2_000),
            backoff_max: ms(60_000),
            retry: ms(1_000),
        }
    }
}

/// What a cluster is started with.
#[derive(Clone)]
pub struct Options {
    /// How fast things happen.
    pub pace: Pace,
    /// Which images can be pulled.
    pub pull: Pull,
    /// The bearer token that every request has to bring.
    pub token: String,
    /// Requests without any token are let in too: `kubectl` sends none over plain HTTP.
    pub anonymous: bool,
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Options {
        let token = "standin-token".to_owned();
        Options { pace: Pace::default(), pull: images::everything(), token, anonymous: false, port: 0 }
    }
}

/// A running stand-in. It ends when this is dropped.
pub struct Cluster {
    shared: Arc<Shared>,
    server: Server,
    controllers: JoinHandle<()>,
}

impl Cluster {
    /// Starts one with everything at its default.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Cluster> {
        Cluster::start_with(Options::default()).await
    }

    /// Starts one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_with(options: Options) -> std::io::Result<Cluster> {
        let port = options.port;
        let shared = Arc::new(Shared::new(options));
        let requests = shared.clone();
        let handler: Handler =
            Arc::new(move |request| Box::pin(answer::respond(requests.clone(), request.map(Body::new))));
        let server = Server::start(Place::loopback(port), handler).await?;
        let controllers = tokio::spawn(run_controllers(shared.clone()));
        Ok(Cluster { shared, server, controllers })
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// The same API as a router, to be served by somebody else. A connection that a fault cuts is answered with 502 there.
    pub fn router(&self) -> Router {
        let shared = self.shared.clone();
        Router::new().fallback(move |request: Request| {
            let answer = answer::respond(shared.clone(), request);
            async move {
                let answer = answer.await.unwrap_or_else(|_| http::StatusCode::BAD_GATEWAY.into_response());
                Ok::<Response, Infallible>(answer)
            }
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.controllers.abort();
    }
}

/// What requests and controllers share.
pub(crate) struct Shared {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    counts: Mutex<Counts>,
    /// Counts up to end all running watches.
    cut: watch::Sender<u64>,
    /// Wakes the controllers.
    changed: Notify,
    pace: Pace,
    pull: Pull,
    /// APIs of other servers that do not answer.
    stale: Mutex<Stale>,
    /// Those that lead in.
    tokens: Mutex<Vec<String>>,
    anonymous: bool,
}

/// Everything that is so.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) manager: Manager,
}

impl World {
    /// A cluster as it is on its first day, and another than any before it in this process.
    fn new() -> World {
        static BORN: AtomicU64 = AtomicU64::new(0);
        let mut world = World { state: State::new(BORN.fetch_add(1, Ordering::Relaxed)), manager: Manager::default() };
        direct::furnish(&mut world.state, &Clock::read());
        world
    }
}

impl Shared {
    fn new(Options { pace, pull, token, anonymous, port: _ }: Options) -> Shared {
        Shared {
            world: Mutex::new(World::new()),
            faults: Mutex::default(),
            counts: Mutex::default(),
            cut: watch::Sender::new(0),
            changed: Notify::new(),
            pace,
            pull,
            stale: Mutex::default(),
            tokens: Mutex::new(vec![token]),
            anonymous,
        }
    }

    /// The lock. Whoever changed something wakes the controllers when done.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stale(&self) -> MutexGuard<'_, Stale> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<String>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world and wakes the controllers if that changed it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let out = act(&mut world);
        if world.state.is_dirty() {
            self.changed.notify_one();
        }
        out
    }
}

async fn run_controllers(shared: Arc<Shared>) {
    loop {
        let (next, wanted) = {
            let mut world = shared.world();
            let World { state, manager } = &mut *world;
            let next = manager.turn(state, &Clock::read(), &shared.pace);
            (next, manager.kubelet.take_wanted())
        };
        for request in wanted {
            tokio::spawn(pull(shared.clone(), request));
        }
        match next {
            Next::Now => tokio::task::yield_now().await,
            Next::Change => shared.changed.notified().await,
            Next::At(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = shared.changed.notified() => {}
                }
            }
        }
    }
}

async fn pull(shared: Arc<Shared>, request: images::PullRequest) {
    let image = request.image.clone();
    let pulled = (shared.pull)(request).await;
    tokio::time::sleep(shared.pace.pull).await;
    shared.with(|World { state, manager }| manager.kubelet.pulled(state, &image, pulled));
}
