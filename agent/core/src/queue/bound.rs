//! How many runs of an application wait for their turn at most, and which of them end or are refused where more would. Pure.
//!
//! Checks give room first, the oldest of them: the next commit of their branch or merge request is checked again. Tags and what people
//! asked for are never dropped: where they alone fill the queue, the newest tag becomes a run that failed and says so, and a
//! person is refused. A run that takes up one that was cut off is in the place of that one, and is never refused.

use std::borrow::Borrow;

use quarterdeck_shared::snapshot::{RunId, RunStatus};

use super::{each, order, waits};

/// Runs of an application that wait for their turn. A run takes a minute and more, one at a time of each application: a thousand are most of
/// a day, and whoever comes behind them has to hear of it now. Each has some kilobytes in the history and in what
/// every console is sent at its start.
pub const WAITING_MAX: usize = 1_000;

/// Checks that end since more than `most` runs wait, the oldest first. `runs` are all that are not ended.
pub fn dropped<R: Borrow<RunStatus>>(runs: &[R], most: usize) -> Vec<&RunStatus> {
    let waiting = each(runs).filter(|run| waits(run));
    let (mut checks, others): (Vec<&RunStatus>, Vec<&RunStatus>) = waiting.partition(|run| run.is_check());
    checks.sort_by_key(|run| order(run));
    let over = (checks.len() + others.len()).saturating_sub(most);
    checks.truncate(over);
    checks
}

/// Of the runs that are new the tags that are not queued, since they and older ones would be more than `most`: the newest.
/// Their order is that of the numbers.
pub fn refused<R: Borrow<RunStatus>>(runs: &[R], is_new: impl Fn(&RunStatus) -> bool, most: usize) -> Vec<RunId> {
    let stays = |run: &&RunStatus| waits(run) && !run.is_check();
    let waiting: Vec<&RunStatus> = each(runs).filter(stays).collect();
    let over = waiting.len().saturating_sub(most);
    let mut new: Vec<RunId> = waiting.into_iter().filter(|run| is_new(run)).map(|run| run.id).collect();
    new.sort_unstable();
    new.split_off(new.len().saturating_sub(over))
}

/// Whether no more of what people ask for is queued.
pub fn is_full<R: Borrow<RunStatus>>(runs: &[R], most: usize) -> bool {
    each(runs).filter(|run| waits(run) && !run.is_check()).count() >= most
}

#[cfg(test)]
mod tests;
