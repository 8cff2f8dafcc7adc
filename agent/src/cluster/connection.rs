//! The connection to one cluster: the client, made from what [`access`] finds, and how long it is good.
//!
//! The client is made when it is first needed and made anew when a file that it came from changes, when its credential is
//! about to end, when the server does not take its credentials any more, and when it cannot connect (a certificate may
//! have been renewed). One caller at a time makes it, since a credential program (EKS, GKE, AKS) may take seconds. Dead
//! credentials are not hammered: between two attempts at least [`REBUILD_PAUSE`] passes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use kube::Client;

use crate::cluster::access::{self, Access};
use crate::cluster::config::ClusterConfig;
use crate::cluster::problem::{ApiProblem, Class};

/// Files are looked at this often: a person who renews a login expects it to count at once.
const FILES_PAUSE: Duration = Duration::from_secs(2);

/// Between two clients that are made because the last one failed.
const REBUILD_PAUSE: Duration = Duration::from_secs(10);

/// A TCP and TLS handshake; what takes longer is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential is renewed this long before its end, so that no request meets it; half-way where it lasts but shortly.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// A program that hands out what has ended already is not asked more often.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// The connection.
pub(super) struct Connection {
    config: ClusterConfig,
    /// Copied in and out, never held over an await.
    built: Mutex<Option<Built>>,
    /// One builder at a time.
    building: tokio::sync::Mutex<Option<(Instant, ApiProblem)>>,
}

#[derive(Clone)]
struct Built {
    client: Client,
    made: Instant,
    looked: Instant,
    files: Arc<[(PathBuf, Stamp)]>,
    /// When to make another, and until when this one is good: its credential ends.
    ends: Option<(Instant, Instant)>,
    failed: bool,
}

type Stamp = Option<(SystemTime, u64)>;

impl Connection {
    pub(super) fn new(config: ClusterConfig) -> Self {
        Self { config, built: Mutex::new(None), building: tokio::sync::Mutex::new(None) }
    }

    /// A client that is as new as the files it came from.
    ///
    /// # Errors
    /// Where the kubeconfig, the context or the credential program do not do; told again to everyone until it is tried
    /// again after a pause or a change.
    pub(super) async fn client(&self) -> Result<Client, ApiProblem> {
        if let Some(client) = self.fresh() {
            return Ok(client);
        }
        let mut last = self.building.lock().await;
        if let Some(client) = self.fresh() {
            return Ok(client);
        }
        if let Some((at, problem)) = &*last
            && at.elapsed() < FILES_PAUSE
        {
            return Err(problem.clone());
        }
        match build(&self.config).await {
            Ok(built) => {
                let client = built.client.clone();
                *self.built.lock().unwrap_or_else(PoisonError::into_inner) = Some(built);
                *last = None;
                Ok(client)
            }
            Err(problem) => {
                if let Some(client) = self.still_good() {
                    tracing::warn!(%problem, "the credential is not renewed yet");
                    return Ok(client);
                }
                *last = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// Tells that the present client got this; where another one could do better, the next call makes one.
    /// True where it is worth trying at once.
    pub(super) fn failed(&self, class: Class) -> bool {
        if !matches!(class, Class::Unauthorized | Class::Away) {
            return false;
        }
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(built) = built.as_mut().filter(|built| built.made.elapsed() >= REBUILD_PAUSE) else { return false };
        built.failed = true;
        class == Class::Unauthorized
    }

    /// The present client, unless it failed, its credential ends or one of its files changed.
    fn fresh(&self) -> Option<Client> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let now = built.as_mut().filter(|built| !built.failed)?;
        if now.ends.is_some_and(|(renew, _)| renew <= Instant::now()) {
            return None;
        }
        if now.looked.elapsed() >= FILES_PAUSE {
            now.looked = Instant::now();
            // What is gone has not changed: tokens are taken away after they were read, and files replaced in two steps.
            if now.files.iter().any(|(path, before)| stamp_of(path).is_some_and(|stamp| Some(stamp) != *before)) {
                tracing::info!(cluster = %self.config.name, "the way in changed: connecting anew");
                *built = None;
                return None;
            }
        }
        Some(now.client.clone())
    }

    /// The present client where its credential should be renewed and has not ended yet; it serves for a while more.
    fn still_good(&self) -> Option<Client> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let now = built.as_mut().filter(|built| !built.failed)?;
        let (renew, until) = now.ends.as_mut()?;
        let soon = Instant::now() + FILES_PAUSE;
        (soon < *until).then(|| {
            *renew = soon;
            now.client.clone()
        })
    }
}

async fn build(config: &ClusterConfig) -> Result<Built, ApiProblem> {
    let doing = format!("connect to cluster {}", config.name);
    let Access { config: mut made, files, until } =
        access::find(config).await.map_err(|words| ApiProblem::new(Class::Configuration, &*doing, words))?;
    let files = files.into_iter().map(|path| (stamp_of(&path), path)).map(|(stamp, path)| (path, stamp)).collect();
    made.connect_timeout = Some(CONNECT_TIMEOUT);
    // Retries are ours: they end with the deadline of the call, and tell the last answer of the server.
    made.default_retry = false;
    let client = Client::try_from(made).map_err(|error| ApiProblem::unanswered(&*doing, &error))?;
    let now = Instant::now();
    let ends = until.map(|until| {
        let lasts = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        let renew = lasts.saturating_sub(RENEW_BEFORE).max(lasts / 2).max(RENEW_PAUSE);
        (now + renew, now + lasts)
    });
    Ok(Built { client, made: now, looked: now, files, ends, failed: false })
}

fn stamp_of(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}
