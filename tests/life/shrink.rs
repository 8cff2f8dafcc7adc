//! Making a life that failed short: what can be left out without its failing otherwise is left out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::acts::Step;
use crate::walk::{Find, walk};

/// The shortest life found within this time that breaks one of the same rules, and how it ends. First everything after the
/// failure goes, then ever smaller pieces, from the end to the beginning, as long as leaving one out leaves the failure.
pub(crate) async fn shrink(life: &[Step], find: Find, within: Duration) -> (Vec<Step>, Find) {
    let begun = Instant::now();
    let rules = find.rules();
    let mut best = (life[..find.steps.min(life.len())].to_vec(), find);
    let mut piece = best.0.len() / 2;
    while piece > 0 {
        let mut end = best.0.len();
        while end > 0 && begun.elapsed() < within {
            let start = end.saturating_sub(piece);
            let last = end == best.0.len();
            let mut shorter = best.0.clone();
            // The rest or look at the end is where it shows.
            shorter.drain(start..if last { end - 1 } else { end });
            end = start;
            if let Some(found) = same(&shorter, &rules).await {
                shorter.truncate(found.steps);
                best = (shorter, found);
            }
        }
        piece /= 2;
    }
    best
}

/// How this life ends, if it breaks one of these rules.
async fn same(life: &[Step], rules: &BTreeSet<&'static str>) -> Option<Find> {
    let found = walk(life).await.err()?;
    (!found.rules().is_disjoint(rules)).then_some(found)
}
