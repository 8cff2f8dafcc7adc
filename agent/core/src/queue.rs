//! The order of the runs of one application: which is next, which waits behind which, and which gives way. Pure.
//!
//! Runs are done one at a time, by their place ([`RunStatus::place`]): the number of the first run of their trigger. Tags
//! are queued in the order of their times, so production ends on the newest; what a restart, a reload or kill -9 cut off
//! is taken up under a new number and in its old place. What tags and people ask for is done before what new commits of
//! branches and merge requests ask for; of these the newest commit counts, and what it supersedes is ended.

pub mod bound;

use std::borrow::Borrow;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::snapshot::{RunGoal, RunId, RunStatus};
use quarterdeck_shared::status::Phase;

/// Tags that are seen within this time of one another may be of one push. A forge shows them piece by piece, by their names:
/// Gitea needs a third of a second a tag, and was seen to need two seconds where the machine was busy, which is longer than
/// its tags are listed again for. Nobody pushes an older tag so soon after a newer one, and wants the older one to run.
const TOGETHER: SignedDuration = SignedDuration::from_secs(10);

/// What comes first: tags and people before checks, then by place, and of one place (there is one such run that is not
/// ended) by number.
fn order(run: &RunStatus) -> (bool, RunId, RunId) {
    (run.is_check(), run.place(), run.id)
}

/// The runs, which may be the caller's or only lent to it.
fn each<R: Borrow<RunStatus>>(runs: &[R]) -> impl Iterator<Item = &RunStatus> {
    runs.iter().map(Borrow::<RunStatus>::borrow)
}

/// Whether a run waits for its turn, and for nothing else.
fn waits(run: &RunStatus) -> bool {
    run.phase == Phase::Queued && !run.awaits_permission()
}

/// The run that is done next.
pub fn next<R: Borrow<RunStatus>>(runs: &[R]) -> Option<&RunStatus> {
    each(runs).filter(|run| waits(run)).min_by_key(|run| order(run))
}

/// The runs whose `behind` is no longer so, as they are now: each that waits is behind the one before it, the first behind
/// the one that runs. `runs` are all that are not ended; others do not matter.
pub fn retold<R: Borrow<RunStatus>>(runs: &[R]) -> Vec<RunStatus> {
    let mut waiting: Vec<&RunStatus> = each(runs).filter(|run| waits(run)).collect();
    waiting.sort_by_key(|run| order(run));
    let mut before = each(runs).find(|run| run.phase == Phase::Running).map(|run| run.id);
    let mut changed = Vec::new();
    for run in waiting {
        if run.behind != before {
            changed.push(RunStatus { behind: before, ..run.clone() });
        }
        before = Some(run.id);
    }
    changed
}

/// Whether the tags of two runs may be of one push. `runs` are those of the application: a run that takes up one that was cut
/// off is of the time of that one.
pub fn are_together(one: &RunStatus, other: &RunStatus, runs: &[RunStatus]) -> bool {
    let seen = |run: &RunStatus| runs.iter().find(|first| first.id == run.place()).unwrap_or(run).queued;
    let by_tag = |run: &RunStatus| matches!(run.cause, Cause::Tag { .. });
    by_tag(one) && by_tag(other) && seen(one).duration_since(seen(other)).abs() <= TOGETHER
}

/// How a run that does nothing but wait for something that is away gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It ends: this newer run takes its place.
    Superseded(RunId),
    /// It goes behind this run, which does not have to wait for it.
    Behind(RunId),
}

/// Whether a run that waits for something that is away gives way to one that is queued behind it.
///
/// | waits | behind it | so |
/// | --- | --- | --- |
/// | push | a push | superseded by the newest of them: production goes there, and what it waits for may be of its own commit |
/// | build, preview | a push | goes behind the first of them: its image is wanted all the same, and holds no release back |
/// | build, preview | builds | waits: each image is wanted for itself, and none is more urgent |
/// | push | builds | waits: a release outranks them |
pub fn gives_way<R: Borrow<RunStatus>>(waits: &RunStatus, runs: &[R]) -> Option<Way> {
    // A check that runs was the first when it began: what came before it since then is behind it all the same.
    let comes_later = |run: &RunStatus| order(run) > order(waits) || waits.is_check() && !run.is_check();
    let is_behind = |run: &&RunStatus| run.phase == Phase::Queued && comes_later(run);
    let pushes = each(runs).filter(is_behind).filter(|run| run.goal == RunGoal::Push);
    match waits.goal {
        RunGoal::Push => pushes.max_by_key(|run| order(run)).map(|run| Way::Superseded(run.id)),
        RunGoal::Build | RunGoal::Preview => pushes.min_by_key(|run| order(run)).map(|run| Way::Behind(run.id)),
    }
}

/// The run of a newer commit of the same branch or merge request, which makes this one pointless. `runs` are all that are not
/// ended.
pub fn superseded_by<R: Borrow<RunStatus>>(run: &RunStatus, runs: &[R]) -> Option<RunId> {
    let of = head(run)?;
    let is_newer = |other: &&RunStatus| !other.phase.is_final() && other.place() > run.place();
    each(runs).filter(|other| head(other) == Some(of)).filter(is_newer).map(|other| other.id).max()
}

/// All of which that can be said, each with the run that makes it pointless.
pub fn superseded<R: Borrow<RunStatus>>(runs: &[R]) -> Vec<(&RunStatus, RunId)> {
    // By branch and merge request, each of which has a run or two that are not ended: a queue of any length is looked through once.
    let mut of: BTreeMap<Head<'_>, Vec<&RunStatus>> = BTreeMap::new();
    for run in each(runs).filter(|run| !run.phase.is_final()) {
        head(run).into_iter().for_each(|head| of.entry(head).or_default().push(run));
    }
    let mut superseded: Vec<_> =
        of.values().flat_map(|runs| runs.iter().filter_map(|run| Some((*run, superseded_by(run, runs)?)))).collect();
    superseded.sort_by_key(|(run, _)| run.id);
    superseded
}

/// The branch or merge request whose newest commit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Head<'r> {
    Branch(&'r str),
    MergeRequest(u64),
}

fn head(run: &RunStatus) -> Option<Head<'_>> {
    match &run.cause {
        Cause::Branch { branch, .. } => Some(Head::Branch(branch)),
        Cause::MergeRequest { number, .. } => Some(Head::MergeRequest(*number)),
        _ => None,
    }
}

/// Runs of forks' code of one application that wait for a person: anyone can add to them, and nobody reads through more.
pub const AWAITED_MAX: usize = 50;

/// Those that wait for a person longest, where more than [`AWAITED_MAX`] do.
pub fn crowded_out<R: Borrow<RunStatus>>(runs: &[R]) -> Vec<&RunStatus> {
    let mut awaiting: Vec<&RunStatus> = each(runs).filter(|run| run.awaits_permission()).collect();
    awaiting.sort_by_key(|run| run.id);
    awaiting.truncate(awaiting.len().saturating_sub(AWAITED_MAX));
    awaiting
}

/// The newest push that is or will be delivered after this one: to push this one again would go back behind it.
pub fn outdone(run: &RunStatus, runs: &[RunStatus]) -> Option<RunId> {
    let delivers = |other: &&RunStatus| {
        let phase = matches!(other.phase, Phase::Queued | Phase::Running | Phase::Succeeded);
        other.goal == RunGoal::Push && phase && other.place() > run.place() && other.commit != run.commit
    };
    if run.goal != RunGoal::Push {
        return None;
    }
    runs.iter().filter(delivers).max_by_key(|other| order(other)).map(|other| other.id)
}

#[cfg(test)]
pub(crate) mod tests;
