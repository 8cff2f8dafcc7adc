//! Tells each forge what became of its commits: what it knows of a run is compared with what is so, and the rest is owed.
//!
//! Both are kept with the run, so that a forge that is away, and an agent that is killed, cost no status: at worst one is
//! sent twice. A run that leaves the history takes what is owed of it along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_core::backoff::doubled;
use quarterdeck_core::commit_status::statuses;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::{Object, RunStatus};
use tokio::time::Instant;

use super::api::Status;
use super::{Forge, ForgeError};
use crate::config::Config;
use crate::context::Context;
use crate::history::CommitStatuses;
use crate::journal::fact::Fact;
use crate::journal::snapshots::Changes;

/// Statuses are compared this often at most: a run says more in a second than a forge has to know.
const PACE: Duration = Duration::from_millis(300);

/// The first wait after a failure, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// The wait after a refusal: some forges ban an address for many of them.
const REFUSED: Duration = Duration::from_secs(600);

/// A forge, and the applications whose code it has.
struct Reporter {
    forge: Forge,
    /// By application what it calls its repository.
    projects: BTreeMap<ApplicationName, String>,
    /// Those whose runs it may not know as they are.
    behind: BTreeSet<ApplicationName>,
    failures: u32,
    not_before: Option<Instant>,
    /// The words of the last failure, which are logged once.
    warned: String,
}

/// By application and number of the run what the forge knows, and what it does not.
type All = BTreeMap<ApplicationName, BTreeMap<u64, CommitStatuses>>;

/// Tells until the agent ends.
pub async fn watch(context: Arc<Context>) {
    let snapshot = context.journal.snapshot();
    let (mut changes, mut configuration) = (snapshot.subscribe(), context.config.subscribe());
    let Some(mut reported) = recorded(&context).await else { return };
    let mut seen = *changes.borrow_and_update();
    let mut reporters = reporters_of(&configuration.borrow_and_update().clone(), &context);
    loop {
        for reporter in &mut reporters {
            // What is sent and not recorded when the agent ends is sent once more by the next life.
            tokio::select! {
                () = reporter.round(&context, &mut reported) => {}
                () = context.stop.cancelled() => return,
            }
        }
        let again = reporters.iter().filter_map(|reporter| reporter.not_before).min();
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = context.stop.cancelled() => return,
        }
        tokio::select! {
            changed = changes.changed(), if !reporters.is_empty() => {
                if changed.is_err() {
                    return;
                }
                let changed = context.journal.snapshot().since(seen).ok();
                seen = changed.as_ref().map_or_else(|| *changes.borrow(), |changed| changed.revision);
                reporters.iter_mut().for_each(|reporter| reporter.falls_behind(changed.as_ref()));
            }
            changed = configuration.changed() => {
                if changed.is_err() {
                    return;
                }
                reporters = reporters_of(&configuration.borrow_and_update().clone(), &context);
            }
            () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            () = context.stop.cancelled() => return,
        }
    }
}

/// What the lives before reported; nothing where the agent ends meanwhile.
async fn recorded(context: &Context) -> Option<All> {
    loop {
        match context.journal.ask(|history| history.commit_statuses()).await {
            Ok(reported) => return Some(reported),
            Err(error) => tracing::warn!(error = %chain(&error), "cannot read which commit statuses were sent"),
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT.0) => {}
            () = context.stop.cancelled() => return None,
        }
    }
}

/// The forges of the configuration that have code of ours. Each is behind with all of it.
fn reporters_of(config: &Config, context: &Context) -> Vec<Reporter> {
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let one = |forge: Forge| {
        let projects = config.applications.iter().filter_map(|application| {
            let address = RepositoryUrl::parse(&application.delivery.as_ref()?.code.repository, base).ok()?;
            Some((application.name.clone(), forge.project(&address)?))
        });
        let projects: BTreeMap<_, _> = projects.collect();
        let behind = projects.keys().cloned().collect();
        Reporter { projects, behind, forge, failures: 0, not_before: None, warned: String::new() }
    };
    let reporters = config.forge.iter().filter_map(Forge::new).map(one);
    reporters.filter(|one| !one.projects.is_empty()).collect()
}

impl Reporter {
    /// Takes note of what changed; of everything where more did than is kept.
    fn falls_behind(&mut self, changed: Option<&Changes>) {
        let Some(changed) = changed else {
            self.behind = self.projects.keys().cloned().collect();
            return;
        };
        for (_, object) in &changed.keys {
            if let Some(Object::Run(run)) = object.as_deref()
                && self.projects.contains_key(&run.application)
            {
                self.behind.insert(run.application.clone());
            }
        }
    }

    /// Notes what it is yet to be told, and tells it, the oldest run first; what fails ends the round.
    async fn round(&mut self, context: &Context, all: &mut All) {
        while let Some(name) = self.behind.pop_first() {
            let runs = context.journal.snapshot().runs(&name);
            let reported = all.entry(name).or_default();
            let first = reported.keys().next().copied();
            reported.retain(|number, one| !one.owed.is_empty() || runs.iter().any(|run| run.id.number == *number));
            for run in &runs {
                let before = reported.get(&run.id.number);
                // What ended before this life began, and before the first that was noted, is of a time without this forge. What
                // is newer than that was missed by an agent that was killed in the moment.
                let is_missed = first.is_some_and(|first| first < run.id.number);
                if before.is_none() && !is_missed && run.queued < context.started && run.phase.is_final() {
                    continue;
                }
                let now = self.noted(run, &runs, before);
                if before != Some(&now) {
                    record(context, run.id.number, &now).await;
                    reported.insert(run.id.number, now);
                }
            }
        }
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.not_before = None;
        for (name, project) in &self.projects {
            for (number, one) in all.get_mut(name).into_iter().flatten().filter(|(_, one)| !one.owed.is_empty()) {
                let owed = one.owed.len();
                let result = self.send(project, one).await;
                if one.owed.len() < owed {
                    record(context, *number, one).await;
                }
                if let Err(error) = result {
                    return self.failed(&error);
                }
            }
        }
        if self.failures > 0 {
            tracing::info!(forge = %self.forge.config.url, "the forge accepts commit statuses again");
        }
        (self.failures, self.warned) = (0, String::new());
    }

    /// What it knows of a run, and what it is yet to be told as the run is now.
    fn noted(&self, run: &RunStatus, runs: &[RunStatus], before: Option<&CommitStatuses>) -> CommitStatuses {
        let is_taken_up = runs.iter().any(|other| other.resumes == Some(run.place()) && other.id > run.id);
        let known = before.map(|before| before.known.clone()).unwrap_or_default();
        let owed = statuses(run, is_taken_up).into_iter().map(|status| {
            let word = self.forge.config.kind.word(status.state);
            (status.context, (word.to_owned(), status.description))
        });
        let owed = owed.filter(|(context, (word, _))| known.get(context) != Some(word)).collect();
        CommitStatuses { commit: run.commit.clone(), reference: reference(run).map(str::to_owned), known, owed }
    }

    /// Tells what is owed of one run, and notes what it knows then.
    async fn send(&self, project: &str, statuses: &mut CommitStatuses) -> Result<(), ForgeError> {
        while let Some((context, (state, description))) = statuses.owed.first_key_value() {
            let status = Status { context, state, description };
            match self.forge.post(project, &statuses.commit, statuses.reference.as_deref(), status).await {
                Err(error @ ForgeError::Rejected { .. }) => {
                    tracing::warn!(commit = %statuses.commit, %context, error = %chain(&error), "a commit status was rejected");
                }
                result => result?,
            }
            if let Some((context, (state, _))) = statuses.owed.pop_first() {
                statuses.known.insert(context, state);
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: &ForgeError) {
        let Failure { message, hint } = Failure::of(error);
        self.failures += 1;
        let wait = match error {
            ForgeError::Refused { .. } => REFUSED,
            _ => doubled(WAIT.0, self.failures, WAIT.1),
        };
        self.not_before = Some(Instant::now() + wait);
        if self.warned != message {
            tracing::warn!(error = %message, %hint, "commit statuses wait");
        }
        self.warned = message;
    }
}

/// Keeps it for the next life. What cannot be kept is sent twice at worst.
async fn record(context: &Context, run: u64, statuses: &CommitStatuses) {
    let fact = Fact::CommitStatuses { run, statuses: statuses.clone() };
    if let Err(error) = context.journal.record(vec![fact]).await {
        tracing::debug!(error = %chain(&error), "which commit statuses were sent is not recorded");
    }
}

/// The tag or branch that a run is of, where the forge has one of that name.
fn reference(run: &RunStatus) -> Option<&str> {
    match &run.cause {
        Cause::Tag { tag, .. } => Some(tag),
        Cause::Branch { branch, .. } => Some(branch),
        _ => None,
    }
}
