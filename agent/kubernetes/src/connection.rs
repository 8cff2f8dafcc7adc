//! The connection to one cluster: the client, made from what [`access`] finds, and how long it is good.
//!
//! The client is made when it is first needed and made anew when a file that it came from changes, when its credential is
//! about to end, when the server does not take its credentials any more, and when it cannot connect (a certificate may
//! have been renewed). One caller at a time makes it, since a credential program (EKS, GKE, AKS) may take seconds; while
//! the credential in hand is good nobody waits for the next one. Dead credentials are not hammered: between two attempts
//! at least [`REBUILD_PAUSE`] passes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{Client, Config};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::access::{self, Access};
use crate::config::ClusterConfig;
use crate::kubeconfig::Seen;
use crate::problem::{ApiProblem, Class};

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
    /// Never held over an await.
    state: Mutex<State>,
    /// One builder at a time. How the last one failed, and when.
    building: tokio::sync::Mutex<Option<(Instant, ApiProblem)>>,
    /// Counts the times that the way in began to lead elsewhere.
    elsewhere: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    built: Option<Built>,
    /// When a client was last given up because it failed.
    given_up: Option<Instant>,
    /// Where the last client leads.
    leads_to: Option<LeadsTo>,
}

/// What says which cluster a client reaches; a credential does not.
#[derive(Debug, PartialEq, Eq)]
struct LeadsTo {
    server: String,
    name: Option<String>,
    proxy: Option<String>,
    authority: Option<Vec<Vec<u8>>>,
}

impl LeadsTo {
    fn of(made: &Config) -> Self {
        Self {
            server: made.cluster_url.to_string(),
            name: made.tls_server_name.clone(),
            proxy: made.proxy_url.as_ref().map(ToString::to_string),
            authority: made.root_cert.clone(),
        }
    }
}

/// A client on loan. Who is refused says by which, since there may be another meanwhile.
#[derive(Clone)]
pub(super) struct Lent {
    pub(super) client: Client,
    made: Instant,
}

struct Built {
    lent: Lent,
    checked: Instant,
    files: Vec<Seen>,
    /// When to make another, and until when this one is good: its credential ends.
    ends: Option<(Instant, Instant)>,
    failed: Option<Class>,
}

/// The client in hand.
enum InHand {
    Fresh(Lent),
    /// Its credential is about to end, and good until then.
    Ending(Lent),
}

impl Connection {
    /// The name of the cluster.
    pub(super) fn cluster(&self) -> &str {
        &self.config.name
    }

    pub(super) fn new(config: ClusterConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
            building: tokio::sync::Mutex::new(None),
            elsewhere: watch::Sender::new(0),
        }
    }

    /// Changes whenever the way in begins to lead elsewhere: what was known may be of another cluster.
    pub(super) fn elsewhere(&self) -> watch::Receiver<u64> {
        self.elsewhere.subscribe()
    }

    /// Looks at the files that the client came from, for a cluster that is asked nothing else: a person who lets the
    /// kubeconfig point elsewhere expects it to count. Costs no request unless one changed.
    pub(super) async fn check_files(self: &Arc<Self>) {
        if self.state().built.is_some() {
            let _ = self.client().await;
        }
    }

    /// A client that is as new as the files it came from.
    ///
    /// # Errors
    /// Where the kubeconfig, the context or the credential program do not do; told again to everyone until it is tried
    /// again after a pause or a change.
    pub(super) async fn client(self: &Arc<Self>) -> Result<Lent, ApiProblem> {
        match self.in_hand() {
            Some(InHand::Fresh(lent)) => return Ok(lent),
            Some(InHand::Ending(lent)) => {
                // It comes to its end by itself: a program has its time.
                let connection = self.clone();
                let renewal = async move {
                    if let Ok(mut last) = connection.building.try_lock() {
                        let _ = connection.renew(&mut last).await;
                    }
                };
                tokio::spawn(renewal.in_current_span());
                return Ok(lent);
            }
            None => {}
        }
        let mut last = self.building.lock().await;
        self.renew(&mut last).await
    }

    /// Makes a client, unless somebody just did or failed to.
    async fn renew(&self, last: &mut Option<(Instant, ApiProblem)>) -> Result<Lent, ApiProblem> {
        if let Some(InHand::Fresh(lent)) = self.in_hand() {
            return Ok(lent);
        }
        if let Some((at, problem)) = &*last
            && at.elapsed() < FILES_PAUSE
        {
            return Err(problem.clone());
        }
        match build(&self.config).await {
            Ok((built, leads_to)) => {
                let lent = built.lent.clone();
                let mut state = self.state();
                state.built = Some(built);
                let before = state.leads_to.replace(leads_to);
                let moved = before.is_some() && before != state.leads_to;
                drop(state);
                if moved {
                    tracing::info!(cluster = %self.config.name, "the way in leads elsewhere");
                    self.elsewhere.send_modify(|count| *count += 1);
                }
                *last = None;
                Ok(lent)
            }
            Err(problem) => {
                if let Some(lent) = self.still_good() {
                    tracing::warn!(%problem, "cannot renew the credentials yet; the previous ones are still valid");
                    return Ok(lent);
                }
                *last = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// Tells that a client got this; where another one could do better, the next call gives one.
    /// True where it is worth trying at once.
    pub(super) fn failed(&self, lent: &Lent, class: Class) -> bool {
        if !matches!(class, Class::Unauthorized | Class::Away) {
            return false;
        }
        let at_once = class == Class::Unauthorized;
        let mut state = self.state();
        let State { built, given_up, leads_to: _ } = &mut *state;
        // There is another already, or there is to be one.
        let Some(now) = built.as_mut().filter(|built| built.lent.made == lent.made) else { return at_once };
        if now.has_changed(&self.config) {
            *built = None;
            return at_once;
        }
        if now.failed.is_none() {
            if given_up.is_some_and(|at| at.elapsed() < REBUILD_PAUSE) {
                return false;
            }
            *given_up = Some(Instant::now());
        }
        if now.failed != Some(Class::Unauthorized) {
            now.failed = Some(class);
        }
        at_once
    }

    /// The client in hand, unless it failed, its credential has ended or one of its files changed.
    fn in_hand(&self) -> Option<InHand> {
        let mut state = self.state();
        let built = state.built.as_mut().filter(|built| built.failed.is_none())?;
        if built.checked.elapsed() >= FILES_PAUSE && built.has_changed(&self.config) {
            state.built = None;
            return None;
        }
        let (lent, now) = (built.lent.clone(), Instant::now());
        match built.ends {
            Some((renew, until)) if renew <= now => (now < until).then_some(InHand::Ending(lent)),
            _ => Some(InHand::Fresh(lent)),
        }
    }

    /// The client in hand where another cannot be made, unless its credential has ended or was rejected: it serves for a
    /// while more.
    fn still_good(&self) -> Option<Lent> {
        let mut state = self.state();
        let built = state.built.as_mut().filter(|built| built.failed != Some(Class::Unauthorized))?;
        let soon = Instant::now() + FILES_PAUSE;
        if let Some((renew, until)) = &mut built.ends {
            if *until <= soon {
                return None;
            }
            *renew = soon.max(*renew);
        }
        built.failed = None;
        Some(built.lent.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Built {
    /// What is gone has not changed: tokens are taken away after they were read, and files replaced in two steps.
    fn has_changed(&mut self, config: &ClusterConfig) -> bool {
        self.checked = Instant::now();
        let changed = self.files.iter().any(Seen::has_changed);
        if changed {
            tracing::info!(cluster = %config.name, "the connection settings changed: reconnecting");
        }
        changed
    }
}

async fn build(config: &ClusterConfig) -> Result<(Built, LeadsTo), ApiProblem> {
    let doing = format!("connect to cluster {}", config.name);
    let Access { config: mut made, files, until } =
        access::find(config).await.map_err(|words| ApiProblem::new(Class::Configuration, &*doing, words))?;
    made.connect_timeout = Some(CONNECT_TIMEOUT);
    // Retries are ours: they end with the deadline of the call, and tell the last answer of the server.
    made.default_retry = false;
    let leads_to = LeadsTo::of(&made);
    let client = Client::try_from(made).map_err(|error| ApiProblem::unanswered(&*doing, &error))?;
    let now = Instant::now();
    let ends = until.map(|until| {
        let lasts = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        let renew = lasts.saturating_sub(RENEW_BEFORE).max(lasts / 2).max(RENEW_PAUSE);
        (now + renew, now + lasts)
    });
    Ok((Built { lent: Lent { client, made: now }, checked: now, files, ends, failed: None }, leads_to))
}
