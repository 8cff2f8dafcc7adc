//! The execution of one run: which stage it is in, told to the journal and to its log as it goes.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use quarterdeck_shared::application::EnvironmentName;
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DeliverError;
use crate::history::logs::RunLog;
use crate::journal::Journal;
use crate::journal::fact::{Batch, Fact};
use quarterdeck_core::queue::{self, Way};
use quarterdeck_core::run;
use quarterdeck_shared::error::{Failure, chain, hint_line};

/// The waits between tries of a stage that meets an outage.
const AGAIN: ExponentialBuilder = ExponentialBuilder::new().with_max_delay(TRY_MAX).without_max_times();
/// As above, at the longest.
const TRY_MAX: Duration = Duration::from_secs(30);

/// Progress is told this often at most: a person sees no more, and each telling is a change for every console.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// A run gives way to a newer one only after it waited this long: a registry or forge that restarts is back within
/// seconds, and costs no version.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(5);

/// A run under way.
pub(super) struct Execution<'n> {
    pub(super) run: RunStatus,
    pub(super) cancel: CancellationToken,
    journal: Journal,
    log: Option<RunLog>,
    /// The stage that it is in.
    now: usize,
    published: Instant,
    /// Something of it was not published, since other things were just before.
    untold: bool,
    /// Notified when the queue may have changed.
    news: &'n Notify,
}

/// What a stage came to.
pub(super) enum Outcome<T> {
    /// It was done: the result, and a line for people.
    Done(T, String),
    /// There was nothing to do, for this reason.
    Skipped(T, String),
}

/// What a run or a stage is that ended so.
fn phase_of(error: &DeliverError) -> Phase {
    match error {
        DeliverError::Cancelled | DeliverError::Superseded { .. } | DeliverError::Outdated { .. } => Phase::Cancelled,
        DeliverError::GaveWay { .. } => Phase::Interrupted,
        _ => Phase::Failed,
    }
}

/// A stage that can be tried again.
pub(super) trait Step<T> {
    /// Whether an attempt looks itself whether the run is cancelled, since it may not be dropped in the middle.
    const MINDS_CANCEL: bool = false;

    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<T>, DeliverError>;
}

impl<'n> Execution<'n> {
    /// Begins a queued run.
    pub(super) async fn begin(
        journal: &Journal,
        mut run: RunStatus,
        cancel: CancellationToken,
        news: &'n Notify,
    ) -> Result<Self, DeliverError> {
        run.phase = Phase::Running;
        (run.behind, run.message) = (None, String::new());
        run.started = Some(Timestamp::now());
        // A log that cannot be written costs the log, not the run.
        let log = journal
            .logs()
            .writer(run.id)
            .inspect_err(|error| tracing::warn!(run = %run.id, %error, "cannot write the log of the run"))
            .ok();
        let execution =
            Self { run, cancel, journal: journal.clone(), log, now: 0, published: Instant::now(), untold: false, news };
        execution.record(Vec::new()).await?;
        Ok(execution)
    }

    /// Does one stage: tells its beginning and its end, and tries again for as long as `timeout` where something is
    /// merely away. Whatever it comes to is in the history when this returns.
    pub(super) async fn stage<T, S: Step<T>>(
        &mut self,
        kind: StageKind,
        environment: Option<&EnvironmentName>,
        timeout: Duration,
        mut step: S,
    ) -> Result<T, DeliverError> {
        let is_it = |stage: &Stage| stage.kind == kind && stage.environment.as_ref() == environment;
        self.now = self.run.stages.iter().position(is_it).unwrap_or_else(|| {
            // A run that was queued before the environment, or the tests, came.
            let place = self.run.stages.partition_point(|stage| stage.kind <= kind);
            self.run.stages.insert(place, Stage { environment: environment.cloned(), ..Stage::queued(kind) });
            place
        });
        self.change(|stage| {
            stage.phase = Phase::Running;
            stage.started = Some(Timestamp::now());
        });
        self.record(self.event(Phase::Running, String::new())).await?;
        let begun = Instant::now();
        let mut waits = AGAIN.build();
        let result = loop {
            let cancel = self.cancel.clone();
            let attempt = tokio::select! {
                biased;
                () = cancel.cancelled(), if !S::MINDS_CANCEL => Err(DeliverError::Cancelled),
                attempt = step.attempt(self) => attempt,
            };
            match attempt {
                Err(error) if error.is_outage() && begun.elapsed() < timeout => {
                    // A registry that asks for a pause is not asked before.
                    let wait = waits.next().unwrap_or(TRY_MAX).max(error.retry_after().unwrap_or_default());
                    // First what happens next: a row of the console ends before long words do.
                    let Failure { message, hint } = Failure::of(&error);
                    let text = format!("trying again in {} s: {message}", wait.as_secs());
                    tracing::warn!(stage = %kind, hint, "{text}");
                    self.say(&text);
                    self.hint(hint);
                    self.progress(None, Some(&text));
                    self.publish();
                    if let Err(error) = self.wait(wait, begun, &error).await {
                        break Err(error);
                    }
                }
                Err(error) if error.is_outage() => {
                    break Err(DeliverError::GaveUp { timeout, source: Box::new(error) });
                }
                other => break other,
            }
        };
        self.run.hint.clear();
        let (phase, message) = match &result {
            Ok(Outcome::Done(_, message)) => (Phase::Succeeded, message.clone()),
            Ok(Outcome::Skipped(_, message)) => (Phase::Skipped, message.clone()),
            Err(error) => (phase_of(error), chain(error)),
        };
        // With the word that programs use, so that who reads the log finds it.
        self.say(&if phase == Phase::Failed { format!("error: {message}") } else { message.clone() });
        self.change(|stage| {
            stage.phase = phase;
            stage.finished = Some(Timestamp::now());
            stage.percent = None;
            stage.message = message.clone();
        });
        self.record(self.event(phase, message)).await?;
        match result? {
            Outcome::Done(value, _) | Outcome::Skipped(value, _) => Ok(value),
        }
    }

    /// Ends the run.
    pub(super) async fn end(mut self, result: Result<String, DeliverError>) -> Result<(), DeliverError> {
        let (phase, told) = match result {
            Ok(message) => (Phase::Succeeded, Failure::text(message)),
            Err(error) => (phase_of(&error), Failure::of(&error)),
        };
        self.hint(told.hint.clone());
        let message = told.message.clone();
        // Its end is on disk before the run is ended: who follows the log reads it whole.
        self.log = None;
        let now = Timestamp::now();
        self.run = run::ended(self.run, phase, told, now);
        let name = &self.run.application;
        let what = self.run.goal.word();
        let facts = vec![
            Fact::happened(name, &self.run.cause, Event::RunFinished { run: self.run.id, phase, message }),
            Fact::delivered(name, what, phase, now),
        ];
        self.record(facts).await
    }

    /// Waits before the next try, unless the run is cancelled or gives way to one that is queued.
    async fn wait(&self, wait: Duration, begun: Instant, met: &DeliverError) -> Result<(), DeliverError> {
        let until = Instant::now() + wait;
        loop {
            let snapshot = self.journal.snapshot();
            let way = snapshot.with_runs(&self.run.application, |runs| queue::gives_way(&self.run, runs));
            let waited_for = || chain(met);
            match way.filter(|_| begun.elapsed() >= GIVES_WAY_AFTER) {
                Some(Way::Superseded(by)) => return Err(DeliverError::Superseded { by, waited_for: waited_for() }),
                Some(Way::Behind(to)) => return Err(DeliverError::GaveWay { to, waited_for: waited_for() }),
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = self.cancel.cancelled() => return Err(DeliverError::Cancelled),
                () = self.news.notified() => {}
            }
        }
    }

    /// Keeps an artifact and what happened to it, with the run. What is made of a fork's code stays with its run alone: what
    /// is pushed one day of the same commit is built with all that belongs to it.
    pub(super) async fn keep(&mut self, artifact: &Artifact, event: Option<Event>) -> Result<(), DeliverError> {
        self.run.artifact = Some(artifact.clone());
        let happened = event.map(|event| Fact::happened(&self.run.application, &self.run.cause, event));
        let artifact = self.run.permission.is_none().then(|| Fact::Artifact(artifact.clone()));
        self.record(artifact.into_iter().chain(happened).collect()).await
    }

    /// Keeps facts together with the run as it is now.
    pub(super) async fn record(&self, mut facts: Batch) -> Result<(), DeliverError> {
        facts.push(Fact::Run(Box::new(self.run.clone())));
        Ok(self.journal.record(facts).await?)
    }

    /// A line of output.
    pub(super) fn say(&mut self, text: &str) {
        if !text.is_empty() {
            let from = self.run.stages.get(self.now).map_or("", |stage| stage.kind.word());
            self.write(LogRecord::Line { at: Some(Timestamp::now()), from: from.into(), text: text.into() });
        }
    }

    /// What a person could do while it is tried again, or now that it has failed.
    fn hint(&mut self, hint: String) {
        if !hint.is_empty() && hint != self.run.hint {
            self.write(LogRecord::Notice { text: hint_line(&hint).into() });
        }
        self.run.hint = hint;
    }

    fn write(&mut self, record: LogRecord) {
        if let Some(log) = &mut self.log {
            log.write(&record);
        }
    }

    /// Where a stage stands, for those who look.
    pub(super) fn progress(&mut self, percent: Option<u8>, message: Option<&str>) {
        self.change(|stage| {
            stage.percent = percent.or(stage.percent);
            if let Some(message) = message {
                stage.message = message.chars().take(200).collect();
            }
        });
        self.untold = true;
        if self.published.elapsed() >= PUBLISH_EVERY {
            self.publish();
        }
    }

    /// Waits until what was not published may be, and publishes it: the last words before a long silence. Never where
    /// nothing waits.
    pub(super) async fn tell_the_rest(&mut self) {
        if !self.untold {
            return std::future::pending().await;
        }
        tokio::time::sleep_until(self.published + PUBLISH_EVERY).await;
        self.publish();
    }

    fn publish(&mut self) {
        (self.published, self.untold) = (Instant::now(), false);
        self.journal.try_publish(Fact::RunProgress(Box::new(self.run.clone())));
    }

    fn change(&mut self, change: impl FnOnce(&mut Stage)) {
        if let Some(stage) = self.run.stages.get_mut(self.now) {
            change(stage);
        }
    }

    fn event(&self, phase: Phase, message: String) -> Batch {
        let Some(Stage { kind, environment, .. }) = self.run.stages.get(self.now) else { return Batch::new() };
        let (run, stage, environment) = (self.run.id, *kind, environment.clone());
        let event = Event::StageChanged { run, stage, environment, phase, message };
        vec![Fact::happened(&self.run.application, &self.run.cause, event)]
    }
}
