//! A year in an hour: lives of a town, drawn from seeds. Acts of people and accidents of machines come in any order and overlap;
//! at each rest every accident is lifted, and an independent reader holds what consoles are told against what is so.
//!
//! ```text
//! seed ─draw─► steps ─walk─► acts · accidents ─► the agent in its town ─► rest: holds(reader) ─► find ─shrink─► few steps
//! ```
//! `cargo test -p quarterdeck-tests --test life` lives [`SEEDS`] lives. A thousand by hand:
//! `QD_LIFE_SEEDS=1..1000 cargo test -p quarterdeck-tests --test life -- --ignored many --nocapture`; `QD_LIFE_AT_ONCE` of them
//! at the same time, and each failure is shrunk for `QD_LIFE_SHRINK` seconds. What was found stands in [`found`], step by step.

mod dice;
mod things;

mod reader;

mod ledger;
mod town;

mod acts;

mod draw;

mod holds;

mod walk;

mod shrink;

mod found;

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};

/// Lives of the hermetic tier: half a minute on two cores, most of it waiting.
const SEEDS: Range<u64> = 0..4;

/// Lives at once: they wait for other processes most of the time.
const AT_ONCE: usize = 4;

/// How long a rest may take while a life is made short. One that comes right later than that passes for one that does not,
/// which costs the few that fail by being late a step or two.
const HASTE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_lives() {
    live_all(SEEDS, AT_ONCE, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "as many lives as QD_LIFE_SEEDS says, by hand"]
async fn many() {
    let number = |name: &str, other: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(other);
    let seeds = std::env::var("QD_LIFE_SEEDS").unwrap_or_else(|_| "0..100".to_owned());
    let (first, last) = seeds.split_once("..").expect("QD_LIFE_SEEDS is FIRST..LAST");
    let seeds = first.parse().expect("a number")..last.parse::<u64>().expect("a number") + 1;
    let at_once = number("QD_LIFE_AT_ONCE", AT_ONCE as u64) as usize;
    live_all(seeds, at_once, Duration::from_secs(number("QD_LIFE_SHRINK", 300))).await;
}

/// Lives all of them, and says of each that failed how, and with which few steps.
async fn live_all(seeds: Range<u64>, at_once: usize, within: Duration) {
    let lives = futures::stream::iter(seeds).map(|seed| async move {
        let life = draw::life(seed);
        let begun = std::time::Instant::now();
        // A life that the machine itself cannot go on with says of which seed it was, and the others go on.
        let outcome = AssertUnwindSafe(walk::walk(&life, walk::PATIENCE)).catch_unwind().await;
        let Ok(outcome) = outcome else {
            eprintln!("seed {seed}: cut off after {} s by what is said above", begun.elapsed().as_secs());
            return Some(format!("seed {seed}: cut off: {life:?}"));
        };
        eprintln!(
            "seed {seed}: {} in {} s",
            if outcome.is_ok() { "came right" } else { "went wrong" },
            begun.elapsed().as_secs()
        );
        let find = outcome.err()?;
        let whole = report(seed, &life, &find);
        eprintln!("{whole}");
        let (steps, find) =
            shrink::shrink(&life, find, within, at_once, async |life| walk::walk(life, HASTE).await).await;
        let short = report(seed, &steps, &find);
        eprintln!("shrunk: {short}");
        Some(format!("{whole}\nshrunk: {short}"))
    });
    let failed: Vec<String> = lives.buffer_unordered(at_once).filter_map(std::future::ready).collect().await;
    assert!(failed.is_empty(), "{} lives went wrong:\n{}", failed.len(), failed.join("\n\n"));
}

/// A failure for people: the seed, the steps as they can be pasted into [`found`], and what does not hold.
fn report(seed: u64, steps: &[acts::Step], find: &walk::Find) -> String {
    let walked = &steps[..find.steps.min(steps.len())];
    let findings: Vec<String> =
        find.findings.iter().map(|finding| format!("  [{}] {}", finding.rule, finding.words)).collect();
    format!("seed {seed}, {} steps: {walked:?}\n{}\n{}", walked.len(), findings.join("\n"), find.log)
}
