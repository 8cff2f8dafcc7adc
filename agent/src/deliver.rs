//! THE FIRST STORY: a tag becomes a built, tested, pushed, scanned and promoted image; a new commit of a branch or merge request
//! becomes a built and tested one, and of a merge request a pushed and scanned one where that is wanted.
//!
//! ```text
//! refs of the code repository --trigger (pure)--> runs owed --> checkout -> build -> test -> push -> scan -> sign -> promote (a commit in git)
//! ```
//!
//! Level-triggered: each stage first looks whether what it should bring about is already so (the history knows the
//! image and what it passed, the engine has it, the registry answers its digest and its signature, the manifests name it, the deploy branch says that it was
//! promoted before) and does the difference. A run that was cut off is queued again under a new number, in its old place,
//! and does no more than what was missing.

mod admission;
mod ask;
mod deploy_branch;
mod error;
mod execution;
mod follow;
mod image_build;
mod image_push;
mod image_scan;
mod image_sign;
mod image_test;
mod owing;
mod promotion;
mod run;
mod scan_error;
mod signature;
mod stages;
mod superseded;
mod values;

use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::snapshot::{RunGoal, RunStatus};
use quarterdeck_shared::status::{Phase, StageKind};
use tokio::sync::Notify;

pub use self::ask::{ask, retry, room};
pub use self::error::DeliverError;
use self::execution::Execution;
pub use self::follow::Follower;
pub use self::image_build::{APPLICATION_LABEL, REVISION_LABEL};
use self::owing::Owing;
use self::promotion::Promotes;
pub use self::scan_error::ScanError;
use crate::context::{Application, Codebase, Context};
use crate::journal::fact::Fact;
use crate::places::Place;
use crate::worker::{Reconciler, Requeue};
use quarterdeck_core::queue;
use quarterdeck_core::run::{again, ended, interrupted};
use quarterdeck_shared::error::chain;
use tracing::Instrument as _;

/// Why a run ended: its application left the configuration.
const LEFT: &str = "the application was removed from the configuration during the run; start it again when it is back";

/// Why a run ended: its application was configured without code.
pub const NO_CODE: &str = "the application has no [application.code] any more; start it again when it has one";

/// The delivery of one application.
pub struct Delivery {
    context: Arc<Context>,
    application: Arc<Application>,
    code: Arc<Codebase>,
    owing: Owing,
}

impl Delivery {
    /// Nothing was thought of yet.
    pub fn new(context: &Arc<Context>, application: &Arc<Application>, code: &Arc<Codebase>) -> Self {
        let (context, application, code) = (context.clone(), application.clone(), code.clone());
        Self { context, application, code, owing: Owing::default() }
    }

    /// Queues what the refs ask for, and ends what that made pointless; false where that has to be tried again.
    async fn queue_what_is_owed(&mut self) -> bool {
        let work = async {
            self.owing.queue(&self.context, &self.application, &self.code).await?;
            superseded::end(&self.context, &self.application).await
        };
        let queued = Box::pin(work).await;
        queued.inspect_err(|error| tracing::warn!(error = %chain(error), "cannot look at the refs")).is_ok()
    }
}

impl Reconciler for Delivery {
    /// What the refs ask for is queued, then the next of what is queued is done; what they ask for meanwhile is queued
    /// beside it.
    async fn reconcile(&mut self) -> Requeue {
        if !self.queue_what_is_owed().await {
            return Requeue::Retry;
        }
        let (context, application, code) = (self.context.clone(), self.application.clone(), self.code.clone());
        let Some(run) = next(&context, &application) else { return Requeue::Idle };
        // On the heap while it runs: who waits for a tag keeps none of it.
        let news = Notify::new();
        let mut work = Box::pin(deliver(&context, &application, &code, run, &news));
        let result = loop {
            tokio::select! {
                biased;
                result = &mut work => break result,
                () = application.delivery.woken() => {
                    // What cannot be queued now is queued by the next pass.
                    self.queue_what_is_owed().await;
                    news.notify_one();
                }
            }
        };
        match result {
            Ok(()) => Requeue::Now,
            Err(_) if application.delivering.is_cancelled() => Requeue::Idle,
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot record the result of a run");
                Requeue::Retry
            }
        }
    }
}

/// The run that is done next.
fn next(context: &Context, application: &Application) -> Option<RunStatus> {
    context.journal.snapshot().with_runs(&application.spec.name, |runs| queue::next(runs).cloned())
}

/// The story of one run, straight down, from its place among the builds to its recorded end.
async fn deliver(
    context: &Arc<Context>,
    application: &Arc<Application>,
    code: &Codebase,
    run: RunStatus,
    news: &Notify,
) -> Result<(), DeliverError> {
    let Some(_place) = place(context, application, &run, news).await? else { return Ok(()) };
    if application.delivering.is_cancelled() {
        // While we waited for a place the application became another's: so did the run.
        return Err(DeliverError::Cancelled);
    }
    // Who waited for a place may have been cancelled there, or something older may have been queued.
    if next(context, application).map(|next| next.id) != Some(run.id) {
        return Ok(());
    }
    let cancel = application.delivering.child_token();
    application.running(Some((run.id, cancel.clone())));
    // Who cancelled it until here found it waiting, and ended it; from here on it is ended by its token.
    let waits = |one: &RunStatus| one.id == run.id && one.phase == Phase::Queued;
    if !context.journal.snapshot().with_runs(&application.spec.name, |runs| runs.iter().copied().any(waits)) {
        application.running(None);
        return Ok(());
    }
    let mut execution = Execution::begin(&context.journal, run, cancel, news).await?;
    let span = tracing::error_span!("run", run = %execution.run.id);
    let result = steps(context, application, code, &mut execution).instrument(span).await;
    application.running(None);
    match result {
        // Where the agent ends the run stays as it is, and is taken up at the next start.
        Err(DeliverError::Cancelled) if context.stop.is_cancelled() => Err(DeliverError::Cancelled),
        Err(DeliverError::Cancelled) if application.delivering.is_cancelled() => {
            hand_over(context, &execution.run).await?;
            Err(DeliverError::Cancelled)
        }
        Err(error @ DeliverError::GaveWay { .. }) => step_aside(context, &execution.run, &error).await,
        Err(DeliverError::Cancelled) => {
            let snapshot = context.journal.snapshot();
            let by = snapshot.with_runs(&application.spec.name, |runs| queue::superseded_by(&execution.run, runs));
            let newer = by.map(|by| DeliverError::Outdated { by });
            execution.end(Err(newer.unwrap_or(DeliverError::Cancelled))).await
        }
        result => execution.end(result).await,
    }
}

/// Waits for a place on the engine, and says so; nothing where another run of the application is to be done before it by now.
async fn place(
    context: &Arc<Context>,
    application: &Arc<Application>,
    run: &RunStatus,
    news: &Notify,
) -> Result<Option<Place>, DeliverError> {
    let mut place = std::pin::pin!(context.builds.take(run.is_check()));
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            place = &mut place => return Ok(Some(place)),
            () = application.delivering.cancelled() => return Err(DeliverError::Cancelled),
            () = news.notified() => {}
            () = std::future::ready(()), if !is_told => {
                is_told = true;
                let message = format!("waiting for a place: max_concurrent_builds is {}", context.builds.count());
                context.journal.try_publish(Fact::RunProgress(Box::new(RunStatus { message, ..run.clone() })));
            }
        }
        if next(context, application).map(|next| next.id) != Some(run.id) {
            return Ok(None);
        }
    }
}

/// The configuration made the application another in the middle of a run: its next worker takes the run up.
async fn hand_over(context: &Context, run: &RunStatus) -> Result<(), DeliverError> {
    let (name, now) = (&run.application, Timestamp::now());
    let over = match context.config().applications.iter().find(|spec| spec.name == *name) {
        None => Some(LEFT),
        Some(spec) if spec.delivery.is_none() => Some(NO_CODE),
        Some(_) => None,
    };
    if let Some(why) = over {
        // Nobody's work any more: it ends here, and is not taken up where the application comes back one day.
        let over = ended(run.clone(), Phase::Interrupted, why.to_owned(), now);
        return Ok(context.journal.record(vec![Fact::Run(Box::new(over))]).await?);
    }
    let successor = again(run, context.journal.next_run(), now);
    take_up(context, run, successor, "the configuration changed during the run").await
}

/// A run that waits for something gives way: it is queued again, behind all that wait now.
async fn step_aside(context: &Context, run: &RunStatus, why: &DeliverError) -> Result<(), DeliverError> {
    let successor = RunStatus { resumes: None, ..again(run, context.journal.next_run(), Timestamp::now()) };
    take_up(context, run, successor, &why.to_string()).await
}

/// Records in one step that a run was cut off and that another takes it up.
async fn take_up(context: &Context, run: &RunStatus, successor: RunStatus, why: &str) -> Result<(), DeliverError> {
    let cut_off = interrupted(run, successor.id, why, Timestamp::now());
    context.journal.record(vec![Fact::Run(Box::new(cut_off)), Fact::Run(Box::new(successor))]).await?;
    // A worker that looked before looks again; one that is yet to begin looks anyway.
    if let Some(application) = context.application(&run.application) {
        application.wake_delivery();
    }
    Ok(())
}

async fn steps(
    context: &Arc<Context>,
    application: &Arc<Application>,
    code: &Codebase,
    execution: &mut Execution<'_>,
) -> Result<String, DeliverError> {
    let timeout = context.config().agent.retry_timeout.0;
    let checkout = execution.stage(StageKind::Checkout, None, timeout, stages::Checkout { context, code }).await?;
    let is_of_fork = execution.run.permission.is_some();
    let commit = image_build::Commit { context, application, code, checkout, is_of_fork };
    let build = image_build::Build { commit: commit.clone() };
    let mut built = execution.stage(StageKind::Build, None, timeout, build).await?;
    if !code.spec.tests.is_empty() {
        built = execution.stage(StageKind::Test, None, timeout, image_test::Test { commit, built }).await?;
    }
    let goal = execution.run.goal;
    if goal == RunGoal::Build {
        return Ok(format!("built {}", built.tagged()));
    }
    let push = image_push::Push { context, built };
    let pushed = execution.stage(StageKind::Push, None, timeout, push).await?;
    if let Some(spec) = &code.spec.scan {
        execution.stage(StageKind::Scan, None, timeout, image_scan::Scan::new(context, spec, &pushed)).await?;
    }
    if goal == RunGoal::Preview {
        return Ok(format!("pushed {}", pushed.tagged()));
    }
    if let Some(spec) = &code.spec.sign {
        let sign = image_sign::Sign { context, code, spec, pushed: &pushed };
        execution.stage(StageKind::Sign, None, timeout, sign).await?;
    }
    let promoted = promote(context, application, code, execution, &pushed).await?;
    let by_person = execution.cancel.is_cancelled() && !application.delivering.is_cancelled();
    let late = if by_person { "; the cancellation came too late" } else { "" };
    Ok(format!("pushed {}{promoted}{late}", pushed.tagged()))
}

/// Every environment follows: what one refuses does not keep the artifact from the others.
async fn promote(
    context: &Arc<Context>,
    application: &Arc<Application>,
    code: &Codebase,
    execution: &mut Execution<'_>,
    pushed: &Artifact,
) -> Result<String, DeliverError> {
    let timeout = context.config().agent.retry_timeout.0;
    let (mut told, mut refused) = (String::new(), None);
    for to in &application.destinations {
        let promote = promotion::Promote { context, application, code, to, pushed };
        match execution.stage(StageKind::Promote, Some(&to.spec.name), timeout, promote).await {
            Ok(promoted) => {
                let of = if promoted == Promotes::Nothing { String::new() } else { to.of_source() };
                match application.destinations.len() {
                    1 => told = format!("{promoted}{of}"),
                    _ => told.push_str(&format!("; {}{promoted}{of}", to.spec.name)),
                }
            }
            Err(error) if error.is_of_promotion() => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(told), Err)
}
