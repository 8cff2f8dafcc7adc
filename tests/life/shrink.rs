//! Making a life that failed short: what can be left out without its failing otherwise is left out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;

use crate::acts::Step;
use crate::walk::{Find, walk};

/// How long a rest may take here. A life that needs longer than that and comes right passes for one that does not, which
/// costs the few that fail by being late their last step or two.
const PATIENCE: Duration = Duration::from_secs(25);

/// The shortest life found within this time that breaks one of the same rules, and how it ends. What comes after the failure
/// goes at once; then ever smaller pieces go, as long as leaving one out leaves the failure.
pub(crate) async fn shrink(life: &[Step], find: Find, within: Duration, at_once: usize) -> (Vec<Step>, Find) {
    let begun = Instant::now();
    let rules = find.rules();
    let mut best = (life[..find.steps.min(life.len())].to_vec(), find);
    let mut piece = best.0.len() / 2;
    while piece > 0 && begun.elapsed() < within {
        match shorter(&best.0, piece, &rules, at_once).await {
            Some(better) => best = better,
            None => piece /= 2,
        }
        piece = piece.min(best.0.len() / 2);
    }
    best
}

/// A life without one piece of this many steps that still breaks one of these rules.
async fn shorter(
    life: &[Step],
    piece: usize,
    rules: &BTreeSet<&'static str>,
    at_once: usize,
) -> Option<(Vec<Step>, Find)> {
    // The rest or the look at the end is where it shows.
    let last = life.len() - 1;
    let starts = (0..last).step_by(piece);
    let tries = futures::stream::iter(starts).map(|start| async move {
        let mut less = life.to_vec();
        less.drain(start..(start + piece).min(last));
        let found = walk(&less, PATIENCE).await.err()?;
        less.truncate(found.steps);
        (!found.rules().is_disjoint(rules)).then_some((less, found))
    });
    let mut tries = std::pin::pin!(tries.buffer_unordered(at_once).filter_map(std::future::ready));
    tries.next().await
}
