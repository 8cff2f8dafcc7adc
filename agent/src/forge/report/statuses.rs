//! Commit statuses: what a forge knows of a run is compared with what is so, and the rest is owed.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_core::commit_status::statuses;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::error::chain;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::RunStatus;

use super::patience::Patience;
use super::{Projects, record};
use crate::config::forge::ForgeKind;
use crate::context::Context;
use crate::forge::api::Status;
use crate::forge::{Forge, ForgeError};
use crate::history::CommitStatuses;
use crate::journal::fact::Fact;

/// What they are called in the log.
const WHAT: &str = "commit statuses";

/// By application and number of the run what the forge knows, and what it does not.
pub(super) type Reported = BTreeMap<ApplicationName, BTreeMap<u64, CommitStatuses>>;

/// Notes what a forge is yet to be told of these applications.
pub(super) async fn note(context: &Context, kind: ForgeKind, behind: &BTreeSet<ApplicationName>, all: &mut Reported) {
    for name in behind {
        let runs = context.journal.snapshot().runs(name);
        let reported = all.entry(name.clone()).or_default();
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
            let now = noted(kind, run, &runs, before);
            if before != Some(&now) {
                keep(context, run.id.number, &now).await;
                reported.insert(run.id.number, now);
            }
        }
    }
}

/// Tells what is owed, the oldest run first; what fails ends the round.
pub(super) async fn send(
    context: &Context,
    forge: &Forge,
    projects: &Projects,
    all: &mut Reported,
    patience: &mut Patience,
) {
    if patience.is_waiting() {
        return;
    }
    for (name, project) in projects {
        for (number, one) in all.get_mut(name).into_iter().flatten().filter(|(_, one)| !one.owed.is_empty()) {
            let owed = one.owed.len();
            let result = send_of(forge, project, one).await;
            if one.owed.len() < owed {
                keep(context, *number, one).await;
            }
            if let Err(error) = result {
                return patience.failed(&error, WHAT);
            }
        }
    }
    patience.good(&forge.config.url, WHAT);
}

/// What it knows of a run, and what it is yet to be told as the run is now.
fn noted(kind: ForgeKind, run: &RunStatus, runs: &[RunStatus], before: Option<&CommitStatuses>) -> CommitStatuses {
    let is_taken_up = runs.iter().any(|other| other.resumes == Some(run.place()) && other.id > run.id);
    let known = before.map(|before| before.known.clone()).unwrap_or_default();
    let owed = statuses(run, is_taken_up)
        .into_iter()
        .map(|status| (status.context, (kind.word(status.state).to_owned(), status.description)));
    let owed = owed.filter(|(context, (word, _))| known.get(context) != Some(word)).collect();
    CommitStatuses { commit: run.commit.clone(), reference: reference(run).map(str::to_owned), known, owed }
}

/// Tells what is owed of one run, and notes what it knows then.
async fn send_of(forge: &Forge, project: &str, statuses: &mut CommitStatuses) -> Result<(), ForgeError> {
    while let Some((context, (state, description))) = statuses.owed.first_key_value() {
        let status = Status { context, state, description };
        match forge.post(project, &statuses.commit, statuses.reference.as_deref(), status).await {
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

/// Keeps it for the next life. What cannot be kept is sent twice at worst.
async fn keep(context: &Context, run: u64, statuses: &CommitStatuses) {
    record(context, Fact::CommitStatuses { run, statuses: statuses.clone() }).await;
}

/// The tag or branch that a run is of, where the forge has one of that name: a commit that is on no branch is known to GitLab by
/// its tag alone.
fn reference(run: &RunStatus) -> Option<&str> {
    match &run.cause {
        Cause::Tag { tag, .. } => Some(tag),
        Cause::Branch { branch, .. } => Some(branch),
        // What a person names is a tag, a branch or a commit; a run that is queued once more has the name of the first.
        Cause::Person { .. } => named(run),
        _ => None,
    }
}

/// The name of a run that is no commit, no merge request, and not whatever is newest.
fn named(run: &RunStatus) -> Option<&str> {
    let is_commit = run.commit.as_str().starts_with(&run.reference.to_ascii_lowercase());
    (!is_commit && run.reference != "HEAD" && run.merge_request().is_none()).then_some(&*run.reference)
}
