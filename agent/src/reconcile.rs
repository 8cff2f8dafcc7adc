//! THE SECOND STORY: a revision becomes the state of a cluster.
//!
//! ```text
//! revision -> render -> observe and plan -> apply -> prune -> record        (health: see `monitor`)
//! ```
//!
//! Level-triggered: a pass compares what git says with what the cluster has and does the difference; whatever woke it
//! (a commit, drift, a hotkey, a restart) takes this path. What did not change costs nothing: files with the same ids
//! are not rendered, objects that are as at the last sync are not asked for.
//!
//! Invariant: a render that failed or is empty, a plan that was refused, a cluster that is away change nothing in the
//! cluster: the last good state keeps running, and the environment says why.

pub mod adopt;
pub mod deletion;
pub mod merge;
pub mod queries;
pub mod remove;
pub mod rollback;

pub mod neighbours;

mod chart;
mod chart_tests;
mod decide;
mod error;
mod execute;
mod fights;
mod kinds;
mod pending;
mod progress;
mod pull_secrets;
mod records;
mod render_commit;
mod reuse;
mod selected;
pub mod sources;
mod stop;
mod target;
mod variables;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quarterdeck_shared::event::Cause;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Progress};
use quarterdeck_shared::status::SyncStatus;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use self::decide::{Decision, Standing};
pub use self::error::ReconcileError;
use self::execute::{Outcome, Sync};
use self::fights::Fights;
use self::progress::with_progress;
use self::pull_secrets::Kept;
use self::reuse::{Asking, Made};
use self::target::Origin;
use crate::context::{Context, Environment};
use crate::history::Intent;
use crate::journal::fact::{Fact, Patch};
use crate::poll::Repository;
use crate::wanted::Inputs;
use crate::worker::{Reconciler, Requeue};
use quarterdeck_core::hooks::Wanted;
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_core::variables::Variables;
use quarterdeck_kubernetes::{ClusterError, Kinds, Options};

/// What the worker of an environment remembers between passes. All of it can be had anew: from history, git, cluster.
#[derive(Default)]
struct Remembered {
    /// What was applied, by object; read from the history when it is first watched.
    memory: Memory,
    /// The last pass that found or made everything as git says.
    synced: Option<Synced>,
    /// When the cluster was last compared with git.
    compared: Option<Instant>,
    /// Whether the pass that runs looks at the cluster only since a watch is missing.
    compares_unwatched: bool,
    /// Whether the cluster was told what to watch.
    watched: bool,
    /// Which life of the cluster all this is about.
    epoch: u64,
    /// What was reverted lately.
    fights: Fights,
    /// What its cluster pulls images with.
    pull_secrets: Kept,
}

/// A place among the syncs that run at the same time. A sync gives it up when it begins to wait for a hook, which may take
/// many minutes: some migrations of a fleet would hold up all of it.
type Place = Mutex<Option<OwnedSemaphorePermit>>;

/// What a pass depended on that found nothing to do.
struct Synced {
    revision: Revision,
    /// The files and folders that were rendered, with their ids.
    inputs: Arc<Inputs>,
}

/// Without a watch nothing tells of a change: the objects are compared this often. Each costs one dry run then.
const COMPARE_EVERY: Duration = Duration::from_secs(120);

/// The reconciliation of one environment.
pub struct Reconciliation {
    context: Arc<Context>,
    environment: Arc<Environment>,
    state: Remembered,
}

impl Reconciliation {
    /// Nothing is remembered yet.
    pub fn new(context: &Arc<Context>, environment: &Arc<Environment>) -> Self {
        let epoch = environment.cluster.epoch();
        let state = Remembered { epoch, ..Remembered::default() };
        Self { context: context.clone(), environment: environment.clone(), state }
    }

    /// A place among the syncs that run at the same time; none where the agent ends. That it waits for one is told of an
    /// environment that was never synced: of a fleet that starts each waits, and nobody waits for it.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let (journal, name) = (&self.context.journal, &self.environment.id);
        let place = self.context.syncs.clone().acquire_owned();
        let is_first = journal.snapshot().environment(name).is_some_and(|status| status.revision.is_none());
        match is_first {
            true => with_progress(journal, name, Progress::Queued, place).await.ok(),
            false => place.await.ok(),
        }
    }

    /// When to look again where nothing is to be done.
    fn rest(&self) -> Requeue {
        let name = &self.environment.id;
        let is_blind = self.environment.cluster.unwatched(name);
        let asks = is_blind || variables::may_change(&self.environment);
        if asks { Requeue::After(COMPARE_EVERY) } else { Requeue::Idle }
    }
}

impl Reconciler for Reconciliation {
    async fn reconcile(&mut self) -> Requeue {
        if self.environment.intent().is_none()
            && let Some(wait) = self.state.fights.collects(self.environment.drifted_at(), Instant::now())
        {
            return Requeue::After(wait);
        }
        let Some(place) = self.place().await.map(|place| Mutex::new(Some(place))) else { return Requeue::Idle };
        // On the heap while it runs, for it is some 10 KB: a thousand environments that rest, or wait for a place, keep none.
        let next = match Box::pin(reconcile(&self.context, &self.environment, &mut self.state, &place)).await {
            _ if self.environment.stop.is_cancelled() => return Requeue::Idle,
            Ok(Requeue::Idle) => self.rest(),
            Ok(next) => next,
            // What is missing is told where it is missed; what was known of the environment stays.
            Err(error) if self.state.compares_unwatched && error.is_outage() => Requeue::After(COMPARE_EVERY),
            Err(error) => {
                self.state.synced = None;
                records::tell_failure(&self.context, &self.environment, &error).await;
                if error.may_pass() { Requeue::Retry } else { Requeue::Idle }
            }
        };
        self.state.pull_secrets.no_later(&self.environment, next)
    }
}

/// The story, straight down.
async fn reconcile(
    context: &Arc<Context>,
    environment: &Arc<Environment>,
    state: &mut Remembered,
    place: &Place,
) -> Result<Requeue, ReconcileError> {
    let name = &environment.id;
    let Some(status) = context.journal.snapshot().environment(name) else { return Ok(Requeue::Idle) };
    let intent = environment.intent();
    let drift = environment.drift();
    state.compares_unwatched = false;

    if state.epoch != environment.cluster.epoch() {
        forget(context, environment, state).await?;
    }
    // Before anything that may fail for what is in git: what runs is seen and told, whatever git says.
    let watched = begin(context, environment, state).await;
    note_ended(context, environment, &mut state.memory).await?;
    if let Some(intent) = intent.as_ref().filter(|intent| intent.adoption.is_some()) {
        state.synced = None;
        return adopt::adopt(context, environment, &state.memory, intent).await;
    }
    if let Some(deletion) = status.deletion.as_deref().filter(|deletion| !deletion.phase.is_final()) {
        place.lock().unwrap_or_else(PoisonError::into_inner).take();
        state.synced = None;
        return deletion::run(context, environment, &status, &mut state.memory, deletion.clone()).await;
    }
    if let Some(tests) = status.tests.as_deref().filter(|tests| !tests.phase.is_final()) {
        // They may take long, and write nothing.
        place.lock().unwrap_or_else(PoisonError::into_inner).take();
        return chart_tests::run(context, environment, &status, tests.clone()).await;
    }
    let has_work = intent.is_some() || drift.is_some() || state.synced.is_none();
    state.pull_secrets.keep_due(context, environment, has_work).await;
    let revision = match resolve(context, environment, &status).await {
        // The repository was not asked yet, and no earlier life of the agent mirrored it: its first news wake us.
        Err(_) if environment.repository.refs().borrow().is_none() => return Ok(Requeue::Idle),
        // The same of another source.
        Err(ReconcileError::Source { .. }) if !sources::were_asked(environment) => return Ok(Requeue::Idle),
        // The same of its chart.
        Err(ReconcileError::ChartAwaited { .. }) => return Ok(Requeue::Idle),
        resolved => resolved?,
    };
    // An object is written for its kind as it was served then.
    let synced = !environment.cluster.kinds_differ(name) && is_synced(state, environment, &revision).await;
    let is_known = synced && watched.is_ok() && intent.is_none() && drift.is_none();
    state.compares_unwatched =
        is_known && is_due(state.compared, Instant::now()) && environment.cluster.unwatched(name);
    let rests = is_known && !state.compares_unwatched;
    let mut noted = Vec::new();
    if status.target.as_ref() != Some(&revision) {
        let rewritten = is_rewritten(environment, status.target.as_ref(), &revision).await;
        if rewritten {
            tracing::warn!(revision = %revision.short(), "its history was rewritten; git is followed");
        }
        noted.push(Patch::Target { revision: revision.clone(), rewritten });
    }
    // A commit that changed nothing here: the cluster runs it already. Told in one, for so it is of all but one of a thousand
    // environments of a repository.
    if rests && status.revision.as_ref() != Some(&revision) {
        noted.push(Patch::Deployed { revision: revision.clone(), images: status.images.clone() });
    }
    if !noted.is_empty() {
        context.journal.record(noted.into_iter().map(|patch| Fact::patch(name, patch)).collect()).await?;
    }
    let pending = pending::pending(environment, &status, state.synced.as_ref()).await;
    if status.pending != pending {
        context.journal.record(vec![Fact::patch(name, Patch::Pending(pending))]).await?;
    }
    watched?;
    if rests {
        state.synced.iter_mut().for_each(|synced| synced.revision = revision.clone());
        return Ok(Requeue::Idle);
    }
    let journal = &context.journal;
    // Before they are rendered: what changes meanwhile differs from this at the next pass.
    let digest = variables::digest(environment).await?;
    let is_full = intent.as_ref().is_some_and(|intent| intent.request.full);
    let rendering = kinds::render(context, environment, &revision, intent.is_some(), is_full);
    let made = Arc::new(with_progress(journal, name, Progress::Rendering, rendering).await?);
    let (rendered, from) = (&made.rendered, made.from);
    if status.rendered != Some(from) {
        journal.publish(vec![Fact::patch(name, Patch::Rendered(from))]).await;
    }
    let inputs = render_commit::inputs(environment, &revision, &rendered.inputs).await;
    let inputs = Inputs { variables: digest, ..inputs };
    let inputs = neighbours::publish(context, environment, &revision, inputs, &rendered.manifests);

    let memory = &mut state.memory;
    let is_new = status.revision.as_ref() != Some(&revision);
    let hooks = hooks(rendered, &revision, intent.as_ref());
    let pull_secrets = state.pull_secrets.wanted();
    let options = Options { fresh: is_new && !synced, hooks, pull_secrets, ..options(environment, intent.as_ref()) };
    let wanted = selected::select(rendered, &revision, intent.as_ref())?;
    let planning = neighbours::plan(context, environment, &wanted, memory, options);
    let planned = with_progress(journal, name, Progress::Planning { objects: wanted.len() as u32 }, planning).await;
    let planned = planned.map_err(|source| cluster_error(environment, source))?;
    state.compared = Some(Instant::now());
    records::tell_other_agent(context, name, environment.cluster.other_agent(name, &environment.spec.namespace))
        .await?;

    let again = selected::applied_before(&planned, memory);
    let differing = selected::differing(&planned, &again);
    let standing = Standing {
        status: &status,
        policy: &environment.spec.sync,
        intent: intent.as_ref(),
        drift: drift.as_ref(),
        revision: &revision,
        differing: &differing,
        hooks: planned.runs_hooks(),
        fights: &state.fights,
    };
    // Nothing has to be done now; what is left to be deleted later is a person's to decide where nothing is automatic.
    let may_wait = !is_new || environment.spec.sync.automatic || intent.is_some();
    let nothing = planned.is_nothing() && (may_wait || !planned.undone.may_delete_later());
    let decision = decide::decide(&standing, nothing, !planned.refusals.is_empty(), Instant::now());
    let changed: Vec<ResourceRef> = differing.iter().map(|one| one.change.resource.clone()).collect();
    let (intent, status, revision) = (intent.as_ref(), &status, &revision);
    let sync = Sync { context, environment, status, revision, rendered, from, intent, planned, place };
    // What a person can go back to: a sync, or what was applied by one before anything was kept.
    let is_release = match &decision {
        Decision::Sync { .. } => true,
        Decision::Nothing => {
            intent.is_some() || status.last_sync.as_ref().is_some_and(|last| last.revision.is_same_content(revision))
        }
        Decision::Hold { .. } => false,
    };
    // Before it is applied, so that whatever the history says was applied is kept.
    if is_release {
        reuse::keep_applied(context, name, revision, made.clone()).await;
    }
    let ((outcome, undone), retry_after) = match decision {
        Decision::Nothing => (sync.nothing_to_do(memory).await?, None),
        Decision::Hold { message, retry_after } => {
            // Once, and not with each edit of who goes on editing.
            let news = drift.filter(|_| status.known().sync != SyncStatus::OutOfSync);
            let was_refused = !sync.planned.refusals.is_empty();
            sync.hold(message, news, memory).await?;
            environment.drift_done();
            state.synced = None;
            return Ok(match retry_after {
                Some(wait) => Requeue::After(wait),
                // No news tell that the cluster would answer otherwise by now.
                None if was_refused => Requeue::Retry,
                None => Requeue::Idle,
            });
        }
        // Not a sync that began and failed: told once, whatever the number of tries.
        Decision::Sync { .. } if !sync.planned.refusals.is_empty() => {
            let refusals = sync.planned.refusals;
            // Where an environment has what is wanted here, its letting go of it is worth a look, whatever the next try is due.
            context.wanted.awaits(name, refusals.iter().map(|refusal| refusal.resource.clone()).collect());
            return Err(cluster_error(environment, ClusterError::Refused { environment: name.clone(), refusals }));
        }
        Decision::Sync { cause, held } => {
            let is_revert = matches!(cause, Cause::Drift { .. } | Cause::Agent);
            let is_commit = matches!(cause, Cause::Commit { .. });
            let outcome = sync.execute(cause, &held, memory).await?;
            state.pull_secrets.keep_after_sync(context, environment).await;
            if is_commit {
                state.fights.forget();
            }
            let reverted = changed.iter().filter(|one| is_revert && !held.objects.contains(*one));
            reverted.for_each(|one| state.fights.healed(one, Instant::now()));
            (outcome, held.retry_after)
        }
    };
    // A sync of some objects says nothing of the others.
    let is_whole = outcome == Outcome::Whole && undone.is_final();
    state.synced = is_whole.then(|| Synced { revision: revision.clone(), inputs });
    if outcome == Outcome::Stopped {
        return Ok(Requeue::Now);
    }
    context.wanted.awaits(name, undone.handed.iter().chain(&undone.held).cloned().collect());
    neighbours::brought(context, name);
    environment.intent_done(intent);
    environment.drift_done();
    match retry_after {
        Some(wait) => Ok(Requeue::After(wait)),
        None if outcome == Outcome::Part && intent.is_some() => Ok(Requeue::Now),
        // What could not be seen, or is not gone, is looked at again.
        None if undone.differing() > 0 => Ok(Requeue::Retry),
        None => Ok(Requeue::Idle),
    }
}

/// The pin, or what the branch or tag is at, with the version of the chart that is wanted.
async fn resolve(
    context: &Context,
    environment: &Environment,
    status: &EnvironmentStatus,
) -> Result<Revision, ReconcileError> {
    let in_git = match (resolve_files(environment, status).await, &status.pin) {
        // The mirror is gone and the forge is unreachable: what was kept of the pinned commit needs neither.
        (Err(_), Some(pin)) if context.renders.has_sync(&environment.id, &pin.revision) => pin.revision.clone(),
        (resolved, _) => resolved?,
    };
    Ok(in_git.with_chart(chart::in_force(environment, status)?))
}

/// The same of the environment's own repository and its other sources.
async fn resolve_files(environment: &Environment, status: &EnvironmentStatus) -> Result<Revision, ReconcileError> {
    let own = resolve_in_git(environment, status).await?;
    let others = sources::in_force(environment, status).await?;
    Ok(sources::joined(environment, own, others).await)
}

/// The pin, or what the branch or tag is at. The mirror answers also where the remote is away.
async fn resolve_in_git(environment: &Environment, status: &EnvironmentStatus) -> Result<Revision, ReconcileError> {
    let asked = target::in_force(environment, status).await?;
    target::revision(Origin::own(environment), asked).await
}

/// Whether a branch or tag left the history that it was at, be it of another source. Where that cannot be said nothing is told.
async fn is_rewritten(environment: &Environment, before: Option<&Revision>, now: &Revision) -> bool {
    for source in sources::apart(environment) {
        let of = |revision: &Revision| revision.source(&source.spec.name).cloned();
        let (before, Some(now)) = (before.and_then(of), of(now)) else { continue };
        if is_rewritten_in(&source.repository, before.as_ref(), &now).await {
            return true;
        }
    }
    is_rewritten_in(&environment.repository, before, now).await
}

async fn is_rewritten_in(repository: &Repository, before: Option<&Revision>, now: &Revision) -> bool {
    let is_moving = !matches!(&*now.reference, Revision::PIN | Revision::COMMIT) && now.artifact.is_none();
    let Some(before) = before.filter(|before| is_moving && before.reference == now.reference) else { return false };
    let (before, now) = (before.commit.clone(), now.commit.clone());
    matches!(repository.work(move |mirror| mirror.contains(&now, &before)).await, Ok(Some(false)))
}

async fn is_synced(state: &Remembered, environment: &Environment, revision: &Revision) -> bool {
    let Some(synced) = &state.synced else { return false };
    if !variables::are_same(environment, synced.inputs.variables).await {
        return false;
    }
    synced.revision.is_same_content(revision) || render_commit::are_same_in(&synced.inputs, environment, revision).await
}

async fn render(context: &Context, environment: &Environment, revision: &Revision) -> Result<Rendered, ReconcileError> {
    Ok(make(context, environment, revision).await?.rendered)
}

/// The manifests of a revision, and where they came from.
async fn make(context: &Context, environment: &Environment, revision: &Revision) -> Result<Made, ReconcileError> {
    let kinds = environment.cluster.kinds().await.map_err(|problem| cluster_error(environment, problem.into()))?;
    render_by(context, environment, revision, kinds, false).await
}

async fn render_by(
    context: &Context,
    environment: &Environment,
    revision: &Revision,
    kinds: Arc<Kinds>,
    anew: bool,
) -> Result<Made, ReconcileError> {
    tracing::debug!(revision = %revision.short(), "rendering");
    let variables = variables::read(environment).await?;
    let digest = variables.as_ref().map(Variables::digest);
    let sources = sources::trees(environment, revision).await?;
    let asking = Arc::new(Asking::new(context, environment, (revision, sources), kinds, digest));
    let made = match chart::files(environment, revision).await {
        Ok(chart) => {
            let (asking, commit) = (asking.clone(), &revision.commit);
            let made = render_commit::render(context, environment, commit, chart, asking, variables, anew).await;
            made.map_err(|source| ReconcileError::Render { revision: revision.short(), source: Box::new(source) })
        }
        Err(error) => Err(error),
    };
    let is_away = |error: &ReconcileError| match error {
        // A key that is gone is a person's doing: what it decrypted is not applied without it.
        ReconcileError::Render { source, .. } => source.is_outage(),
        ReconcileError::Chart { .. } => true,
        _ => false,
    };
    match made {
        Err(error) if is_away(&error) => {
            let before = context.wanted.last_rendered(&environment.id).0.and_then(|rendered| rendered.confidential);
            let kept = tokio::task::spawn_blocking(move || asking.kept(before.as_deref())).await;
            let kept = kept.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
            kept.inspect(|_| {
                let error = quarterdeck_shared::error::chain(&error);
                tracing::info!(revision = %revision.short(), error, "using the manifests that were kept of an earlier render");
            })
            .ok_or(error)
        }
        made => made,
    }
}

/// The cluster is another, or was set back: what was done to the one before is not remembered of this one.
async fn forget(context: &Context, environment: &Environment, state: &mut Remembered) -> Result<(), ReconcileError> {
    let epoch = environment.cluster.epoch();
    let (name, asked) = (environment.id.clone(), environment.id.clone());
    let memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let gone = memory.into_keys().collect();
    context.journal.record(vec![Fact::Applied { environment: name, applied: Vec::new(), gone }]).await?;
    *state = Remembered { epoch, fights: std::mem::take(&mut state.fights), ..Remembered::default() };
    Ok(())
}

/// Whether the objects of an environment that no watch covers are to be compared again.
fn is_due(compared: Option<Instant>, now: Instant) -> bool {
    compared.is_none_or(|compared| now.duration_since(compared) >= COMPARE_EVERY)
}

/// Remembers which Jobs ended, also over a restart: such a one is done when it is gone.
async fn note_ended(context: &Context, environment: &Environment, memory: &mut Memory) -> Result<(), ReconcileError> {
    let name = &environment.id;
    let mut applied = Vec::new();
    for (resource, ended) in environment.cluster.ended(name) {
        if let Some(known) = memory.get_mut(&resource).filter(|known| known.ended != Some(ended)) {
            known.ended = Some(ended);
            applied.push((resource, *known));
        }
    }
    if !applied.is_empty() {
        let fact = Fact::Applied { environment: name.clone(), applied, gone: Vec::new() };
        context.journal.record(vec![fact]).await?;
    }
    Ok(())
}

/// Begins to watch what was applied by an earlier life, once, and waits a moment for its state: what is known to be as it
/// was costs no request.
async fn begin(context: &Context, environment: &Environment, state: &mut Remembered) -> Result<(), ReconcileError> {
    if state.watched {
        return Ok(());
    }
    let name = &environment.id;
    let asked = name.clone();
    state.memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let inventory = environment.cluster.inventory(name, &environment.spec.namespace, &state.memory).await;
    let inventory = inventory.map_err(|problem| {
        environment.cluster.not_watched(name, &problem);
        cluster_error(environment, problem.into())
    })?;
    environment.cluster.watch(name, &inventory, &state.memory);
    state.watched = true;
    if inventory.items.is_empty() {
        return Ok(());
    }
    // A watch that is slow to come costs a dry run an object, no more.
    let _ = tokio::time::timeout(WATCH_WITHIN, environment.cluster.synced(name)).await;
    Ok(())
}

/// The first lists of a cluster that is well take well under a second.
const WATCH_WITHIN: Duration = Duration::from_secs(3);

fn cluster_error(environment: &Environment, source: ClusterError) -> ReconcileError {
    ReconcileError::Cluster { cluster: environment.cluster.name().to_owned(), source }
}

/// The hooks of a revision; none where only some objects of it are synced.
fn hooks(rendered: &Rendered, revision: &Revision, intent: Option<&Intent>) -> Option<Arc<Wanted>> {
    let is_whole = intent.is_none_or(|intent| intent.request.only.is_empty());
    let wanted = || Wanted {
        hooks: rendered.hooks.clone(),
        content: execute::content(rendered),
        rollback: revision.reference == Revision::PIN,
        deletion: None,
    };
    is_whole.then(|| Arc::new(wanted()))
}

fn options(environment: &Environment, intent: Option<&Intent>) -> Options {
    let request = intent.map(|intent| &intent.request);
    Options {
        namespace: environment.spec.namespace.clone(),
        create_namespace: environment.spec.create_namespace,
        prune: environment.spec.sync.prune || request.is_some_and(|request| request.prune),
        full: request.is_some_and(|request| request.full),
        partial: request.is_some_and(|request| !request.only.is_empty()),
        prune_anyway: request.map(|request| request.prune_anyway.clone()).unwrap_or_default(),
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_watch_covers_is_compared_every_two_minutes() {
        let start = Instant::now();
        for (compared, after, expected) in [
            (None, Duration::ZERO, true),
            (Some(start), Duration::from_secs(119), false),
            (Some(start), COMPARE_EVERY, true),
        ] {
            assert_eq!(is_due(compared, start + after), expected, "{after:?}");
        }
    }
}
