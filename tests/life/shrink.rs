//! Making a life that failed short: what can be left out without its failing otherwise is left out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;

use crate::acts::Step;
use crate::walk::Find;

/// The shortest life found within this time that breaks one of the same rules, and how it ends. What comes after the failure
/// goes at once; then ever smaller pieces go, as long as leaving one out leaves the failure. So many are tried at once.
pub(crate) async fn shrink<W>(life: &[Step], find: Find, within: Duration, at_once: usize, walk: W) -> (Vec<Step>, Find)
where
    W: AsyncFn(&[Step]) -> Result<(), Find>,
{
    let begun = Instant::now();
    let rules = find.rules();
    let mut best = (life[..find.steps.min(life.len())].to_vec(), find);
    let mut piece = best.0.len() / 2;
    while piece > 0 && begun.elapsed() < within {
        match shorter(&best.0, piece, &rules, at_once, &walk).await {
            Some(better) => best = better,
            None => piece /= 2,
        }
        piece = piece.min(best.0.len() / 2);
    }
    best
}

/// A life without one piece of this many steps that still breaks one of these rules.
async fn shorter<W>(
    life: &[Step],
    piece: usize,
    rules: &BTreeSet<&'static str>,
    at_once: usize,
    walk: &W,
) -> Option<(Vec<Step>, Find)>
where
    W: AsyncFn(&[Step]) -> Result<(), Find>,
{
    // The rest or the look at the end is where it shows.
    let last = life.len() - 1;
    let starts = (0..last).step_by(piece);
    let tries = futures::stream::iter(starts).map(|start| async move {
        let mut less = life.to_vec();
        less.drain(start..(start + piece).min(last));
        let found = walk(&less).await.err()?;
        less.truncate(found.steps);
        (!found.rules().is_disjoint(rules)).then_some((less, found))
    });
    let mut tries = std::pin::pin!(tries.buffer_unordered(at_once).filter_map(std::future::ready));
    tries.next().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acts::{Agent, Cluster};
    use crate::holds::Finding;

    #[tokio::test]
    async fn what_does_not_matter_is_left_out() {
        let (kill, back) = (Step::Agent(Agent::Kill), Step::Cluster(Cluster::SetBack));
        let walk = async |life: &[Step]| {
            let at = life.iter().position(|step| *step == kill);
            let then = at.and_then(|at| life[at..].iter().position(|step| *step == back).map(|more| at + more));
            let rest = then.and_then(|at| life[at..].iter().position(|step| *step == Step::Rest).map(|more| at + more));
            let findings = vec![Finding::new("sync", "a kill before it is set back")];
            rest.map_or(Ok(()), |at| Err(Find { steps: at + 1, findings, log: String::new() }))
        };
        let mut life = vec![Step::Breathe; 40];
        (life[7], life[23], life[3], life[30], life[39]) = (kill, back, back, Step::Rest, Step::Rest);
        let find = walk(&life).await.expect_err("it goes wrong");
        let (short, find) = shrink(&life, find, Duration::MAX, 3, walk).await;
        assert_eq!((short.as_slice(), find.steps), ([kill, back, Step::Rest].as_slice(), 3));
    }
}
