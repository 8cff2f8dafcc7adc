//! THE SECOND STORY: a revision becomes the state of a cluster.
//!
//! ```text
//! revision -> render -> observe and plan -> apply -> prune -> record        (health: see `assess`)
//! ```
//!
//! Level-triggered: a pass compares what git says with what the cluster has and does the difference; whatever woke it
//! (a commit, drift, a hotkey, a restart) takes this path. What did not change costs nothing: files with the same ids
//! are not rendered, objects that are as at the last sync are not asked for.
//!
//! Invariant: a render that failed or is empty, a plan that was refused, a cluster that is away change nothing in the
//! cluster: the last good state keeps running, and the application says why.

pub mod look;

pub mod neighbours;
pub mod wanted;

mod carry_out;
mod decide;
mod tree;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_shared::application::Destination;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::ApplicationStatus;
use quarterdeck_shared::status::SyncStatus;
use tokio::time::Instant;

use self::carry_out::Sync;
use self::decide::{Decision, Standing};
use crate::cluster::{ClusterError, Options};
use crate::context::{Application, Context, Deploy};
use crate::history::sqlite::HistoryError;
use crate::journal::NotKept;
use crate::journal::fact::{Fact, Intent, Patch};
use crate::render::{RenderError, Rendered};
use crate::source::GitError;
use crate::sync::plan::Memory;
use crate::worker::{Next, Story};

/// A pass that did not bring the cluster where git is.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The deploy branch, tag or pin has no commit here.
    #[error("cannot resolve {what}")]
    Resolve {
        /// What.
        what: String,
        /// Why.
        source: GitError,
    },
    /// The manifests are wrong.
    #[error("cannot render {revision}")]
    Render {
        /// Of which revision.
        revision: String,
        /// Why.
        source: Box<RenderError>,
    },
    /// The cluster did not do it.
    #[error("cluster {cluster}")]
    Cluster {
        /// Which.
        cluster: String,
        /// Why.
        source: ClusterError,
    },
    /// Some objects failed after others were applied.
    #[error("{0}")]
    Partly(String),
    /// What a person asked for is not there.
    #[error("{0}")]
    NoSuch(String),
    /// The history cannot be written.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl ReconcileError {
    /// What a person could do; empty where the words say it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Cluster { source, .. } => source.hint(),
            Self::Resolve { .. } => "Check application.deploy.branch, or wait until the repository is reached.",
            _ => "",
        }
    }

    /// Whether it may be otherwise without a new commit.
    fn may_pass(&self) -> bool {
        !matches!(self, Self::Render { source, .. } if !matches!(**source, RenderError::UnknownKind { .. } | RenderError::Read { .. }))
    }
}

/// What the worker of an application remembers between passes. All of it can be had anew: from history, git, cluster.
#[derive(Default)]
struct Remembered {
    /// What was applied, by object; read from the history when it is first watched.
    memory: Memory,
    /// The last pass that found or made everything as git says.
    settled: Option<Settled>,
    /// Whether the cluster was told what to watch.
    watched: bool,
    /// When drift was reverted lately.
    heals: VecDeque<Instant>,
}

/// What a pass depended on that found nothing to do.
struct Settled {
    revision: Revision,
    /// The files and folders that were rendered, with their ids.
    inputs: Arc<tree::Inputs>,
}

/// The reconciliation of one application.
pub struct Reconciliation {
    context: Arc<Context>,
    application: Arc<Application>,
    state: Remembered,
}

impl Reconciliation {
    /// Nothing is remembered yet.
    pub fn new(context: &Arc<Context>, application: &Arc<Application>) -> Self {
        Self { context: context.clone(), application: application.clone(), state: Remembered::default() }
    }
}

impl Story for Reconciliation {
    async fn pass(&mut self) -> Next {
        let Ok(_place) = self.context.syncs.clone().acquire_owned().await else { return Next::Idle };
        // On the heap while it runs, for it is some 10 KB: a thousand applications that rest, or wait for a place, keep none.
        match Box::pin(reconcile(&self.context, &self.application, &mut self.state)).await {
            Ok(next) => next,
            Err(_) if self.application.stop.is_cancelled() => Next::Idle,
            Err(error) => {
                self.state.settled = None;
                carry_out::tell_failure(&self.context, &self.application, &error).await;
                if error.may_pass() { Next::Retry } else { Next::Idle }
            }
        }
    }
}

/// The story, straight down.
async fn reconcile(
    context: &Arc<Context>,
    application: &Arc<Application>,
    state: &mut Remembered,
) -> Result<Next, ReconcileError> {
    let (Some(deploy), Some(destination)) = (&application.deploy, &application.spec.deploy) else {
        return Ok(Next::Idle);
    };
    let name = &application.spec.name;
    let Some(status) = context.journal.snapshot().application(name) else { return Ok(Next::Idle) };
    let intent = application.intent();
    let drift = application.drift();

    // Before anything that may fail for what is in git: what runs is seen and told, whatever git says.
    let watched = begin(context, application, deploy, destination, state).await;
    let revision = match resolve(deploy, destination, &status).await {
        // The repository was not asked yet, and no earlier life of the agent mirrored it: its first news poke us.
        Err(_) if deploy.repository.refs().borrow().is_none() => return Ok(Next::Idle),
        resolved => resolved?,
    };
    let settled = is_settled(state, deploy, &revision).await;
    let rests = settled && watched.is_ok() && intent.is_none() && drift.is_none();
    let mut noted = Vec::new();
    if status.target.as_ref() != Some(&revision) {
        let rewritten = is_rewritten(deploy, status.target.as_ref(), &revision).await;
        if rewritten {
            tracing::warn!(application = %name, revision = %revision.short(), "its history was rewritten; git is followed");
        }
        noted.push(Patch::Target { revision: revision.clone(), rewritten });
    }
    // A commit that changed nothing here: the cluster runs it already. Told in one, for so it is of all but one of a thousand
    // applications of a repository.
    if rests && status.revision.as_ref() != Some(&revision) {
        noted.push(Patch::Deployed { revision: revision.clone(), images: status.images.clone() });
    }
    if !noted.is_empty() {
        context.journal.record(noted.into_iter().map(|patch| Fact::patch(name, patch)).collect()).await?;
    }
    watched?;
    if rests {
        state.settled.iter_mut().for_each(|settled| settled.revision = revision.clone());
        return Ok(Next::Idle);
    }
    let rendered = Arc::new(render(context, application, deploy, destination, &revision).await?);
    let inputs = tree::inputs(&deploy.repository, &revision.commit, &rendered.inputs).await;
    let inputs = neighbours::publish(context, name, destination, &revision.commit, inputs, &rendered.manifests);

    let memory = &mut state.memory;
    let is_new = status.revision.as_ref() != Some(&revision);
    let options = Options { fresh: is_new && !settled, ..options(application, destination, intent.as_ref()) };
    let wanted = select(&rendered, intent.as_ref());
    let planned = neighbours::plan(context, application, deploy, &wanted, memory, options).await;
    let planned = planned.map_err(|source| of(deploy, source))?;
    carry_out::tell_other_agent(context, name, deploy.cluster.other_agent(name, &destination.namespace)).await?;

    let standing = Standing {
        status: &status,
        policy: &application.spec.sync,
        intent: intent.as_ref(),
        drift: drift.as_ref(),
        revision: &revision,
        heals: state.heals.make_contiguous(),
    };
    let sync = Sync { context, application, deploy, revision: &revision, rendered: &rendered, planned };
    // Nothing has to be done now; what is left to be deleted later is a person's to decide where nothing is automatic.
    let may_wait = !is_new || application.spec.sync.automatic || intent.is_some();
    let nothing = sync.planned.is_nothing() && (may_wait || !sync.planned.undone.may_delete_later());
    let decision = decide::decide(&standing, nothing, !sync.planned.refusals.is_empty(), Instant::now());
    let undone = match decision {
        Decision::Nothing => sync.nothing_to_do(&status, memory).await?,
        Decision::Hold { message, look_again } => {
            // Once, and not with each edit of who goes on editing.
            let news = drift.filter(|_| status.known().sync != SyncStatus::OutOfSync);
            sync.hold(message, news, memory).await?;
            application.drift_done();
            return Ok(look_again.map_or(Next::Idle, Next::After));
        }
        // Not a sync that began and failed: told once, whatever the number of tries.
        Decision::Sync(_) if !sync.planned.refusals.is_empty() => {
            let (application, refusals) = (name.clone(), sync.planned.refusals);
            return Err(of(deploy, ClusterError::Refused { application, refusals }));
        }
        Decision::Sync(cause) => {
            if matches!(cause, Cause::Drift { .. }) {
                decide::note_heal(&mut state.heals, Instant::now());
            }
            sync.execute(cause, intent.is_some(), memory).await?
        }
    };
    context.wanted.awaits(name, undone.handed.iter().chain(&undone.held).cloned().collect());
    neighbours::brought(context, name);
    application.intent_done(intent.as_ref());
    application.drift_done();
    // A sync of some objects says nothing of the others.
    let whole = intent.is_none_or(|intent| intent.request.only.is_empty());
    state.settled = (whole && undone.is_settled()).then_some(Settled { revision, inputs });
    // What could not be seen, or is not gone, is looked at again.
    Ok(if undone.open.is_empty() { Next::Idle } else { Next::Retry })
}

/// The pin, or what the branch or tag is at. The mirror answers also where the remote is away.
async fn resolve(
    deploy: &Deploy,
    destination: &Destination,
    status: &ApplicationStatus,
) -> Result<Revision, ReconcileError> {
    let default = deploy.repository.refs().borrow().as_ref().and_then(|refs| refs.default_branch.clone());
    let target = look::target(destination, status);
    let named = look::reference(&target, default.as_deref());
    let what = target.to_string();
    let commit = deploy.repository.work(move |mirror| mirror.resolve(&target, default.as_deref())).await;
    Ok(Revision::new(named, commit.map_err(|source| ReconcileError::Resolve { what, source })?))
}

/// Whether a branch or tag left the history that it was at. Where that cannot be said nothing is told.
async fn is_rewritten(deploy: &Deploy, before: Option<&Revision>, now: &Revision) -> bool {
    let Some(before) = before.filter(|before| before.reference == now.reference && now.reference != Revision::PIN)
    else {
        return false;
    };
    let (before, now) = (before.commit.clone(), now.commit.clone());
    matches!(deploy.repository.work(move |mirror| mirror.contains(&now, &before)).await, Ok(Some(false)))
}

async fn is_settled(state: &Remembered, deploy: &Deploy, revision: &Revision) -> bool {
    let Some(settled) = &state.settled else { return false };
    settled.revision.commit == revision.commit || settled.inputs.are_same_in(&deploy.repository, &revision.commit).await
}

async fn render(
    context: &Context,
    application: &Application,
    deploy: &Deploy,
    destination: &Destination,
    revision: &Revision,
) -> Result<Rendered, ReconcileError> {
    let kinds = deploy.cluster.kinds().await.map_err(|problem| of(deploy, problem.into()))?;
    tracing::debug!(application = %application.spec.name, revision = %revision.short(), "rendering");
    tree::render(context, application, deploy, destination, &revision.commit, kinds)
        .await
        .map_err(|source| ReconcileError::Render { revision: revision.short(), source: Box::new(source) })
}

/// Begins to watch what was applied by an earlier life, once, and waits a moment for its state: what is known to be as it
/// was costs no request.
async fn begin(
    context: &Context,
    application: &Application,
    deploy: &Deploy,
    destination: &Destination,
    state: &mut Remembered,
) -> Result<(), ReconcileError> {
    if state.watched {
        return Ok(());
    }
    let name = &application.spec.name;
    let asked = name.clone();
    state.memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let inventory =
        deploy.cluster.inventory(name, &destination.namespace).await.map_err(|problem| of(deploy, problem.into()))?;
    deploy.cluster.watch(name, &inventory, &state.memory);
    state.watched = true;
    if inventory.items.is_empty() {
        return Ok(());
    }
    // A watch that is slow to come costs a dry run an object, no more.
    let _ = tokio::time::timeout(WATCH_WITHIN, deploy.cluster.synced(name)).await;
    Ok(())
}

/// The first lists of a cluster that is well take well under a second.
const WATCH_WITHIN: Duration = Duration::from_secs(3);

fn of(deploy: &Deploy, source: ClusterError) -> ReconcileError {
    ReconcileError::Cluster { cluster: deploy.cluster.name().to_owned(), source }
}

fn options(application: &Application, destination: &Destination, intent: Option<&Intent>) -> Options {
    let request = intent.map(|intent| &intent.request);
    Options {
        namespace: destination.namespace.clone(),
        create_namespace: destination.create_namespace,
        prune: application.spec.sync.prune || request.is_some_and(|request| request.prune),
        force: request.is_some_and(|request| request.force),
        partial: request.is_some_and(|request| !request.only.is_empty()),
        prune_anyway: request.map(|request| request.prune_anyway.clone()).unwrap_or_default(),
        ..Options::default()
    }
}

/// All manifests, or those that a person named.
fn select(rendered: &Rendered, intent: Option<&Intent>) -> Vec<crate::sync::manifest::Manifest> {
    let only = intent.map(|intent| intent.request.only.as_slice()).unwrap_or_default();
    rendered.manifests.iter().filter(|manifest| only.is_empty() || only.contains(&manifest.resource)).cloned().collect()
}

/// A drift that was reverted this often within [`HEALS_WITHIN`] is fought over: we wait, and say with whom.
const HEALS: usize = 5;
/// As above.
const HEALS_WITHIN: Duration = Duration::from_secs(60);
