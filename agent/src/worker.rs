//! When to reconcile: a worker waits for a wake-up, a time or a change, and runs one pass at a time.
//!
//! Ten wake-ups while it is busy are one more pass. A pass gets no input from what woke it: it compares what is asked with
//! what is so, so that a timer, a hotkey and a restart take the same path. A pass that fails is tried again, later and
//! later, until something changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use quarterdeck_core::backoff::doubled;

/// What a pass says of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// When somebody wakes it.
    Idle,
    /// At once: more work was seen.
    Now,
    /// After this long, or when somebody wakes it.
    After(Duration),
    /// It failed: after a growing while, or when somebody wakes it.
    Retry,
}

/// What a worker runs.
pub trait Reconciler: Send {
    /// One pass: compares what is asked with what is so, and does the difference.
    fn reconcile(&mut self) -> impl Future<Output = Requeue> + Send;
}

/// The first wait after a failure.
const RETRY_FIRST: Duration = Duration::from_secs(2);

/// The longest wait after failures: somebody who mended something outside sees it taken up within minutes.
const RETRY_MAX: Duration = Duration::from_secs(180);

/// Wakes a worker. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// One more pass, soon.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits to be woken; a wake-up that came before counts.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Runs passes until stopped. The first pass is at once: what an earlier life of the agent owes is done first.
pub async fn run(wake: &Wake, stop: &CancellationToken, mut reconciler: impl Reconciler) {
    let mut failures = 0;
    loop {
        let next = reconciler.reconcile().await;
        failures = if next == Requeue::Retry { failures + 1 } else { 0 };
        let wait = match next {
            Requeue::Now => continue,
            Requeue::Idle => None,
            Requeue::After(wait) => Some(wait),
            Requeue::Retry => Some(retry_after(failures)),
        };
        tokio::select! {
            () = stop.cancelled() => return,
            // What did not run out makes the next one no longer: wake-ups may come by the dozen while something is away.
            () = wake.woken() => failures = failures.saturating_sub(1),
            () = sleep(wait) => {}
        }
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// 2 s, 4 s, 8 s … up to the longest, with jitter.
fn retry_after(failures: u32) -> Duration {
    jitter(doubled(RETRY_FIRST, failures.saturating_sub(1), RETRY_MAX))
}

/// A time drawn from ±10 % around, so that many loops do not march in step.
pub fn jitter(around: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // RandomState is seeded anew for each: a cheap source for what needs no secrecy.
    let draw = RandomState::new().hash_one(0u8) % 2_001;
    around.mul_f64(0.9 + draw as f64 / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_jittered() {
        for (failures, around) in [(1, 2.0), (2, 4.0), (5, 32.0), (8, 180.0), (60, 180.0)] {
            let wait = retry_after(failures).as_secs_f64();
            assert!((around * 0.89..=around * 1.11).contains(&wait), "{failures}: {wait}");
        }
    }

    #[tokio::test]
    async fn passes_that_were_woken_make_no_wait_longer() {
        struct Fails<'a>(&'a Wake, &'a CancellationToken, Vec<std::time::Instant>);
        impl Reconciler for &mut Fails<'_> {
            async fn reconcile(&mut self) -> Requeue {
                self.2.push(std::time::Instant::now());
                match self.2.len() {
                    1..=10 => self.0.wake(),
                    11 => {}
                    _ => self.1.cancel(),
                }
                Requeue::Retry
            }
        }
        let (wake, stop) = (Wake::default(), CancellationToken::new());
        let mut reconciler = Fails(&wake, &stop, Vec::new());
        run(&wake, &stop, &mut reconciler).await;
        let waited = reconciler.2[11].duration_since(reconciler.2[10]);
        assert!(waited < RETRY_FIRST * 2, "{waited:?}");
    }

    #[tokio::test]
    async fn ten_wake_ups_while_busy_are_one_more_pass() {
        let wake = Wake::default();
        let stop = CancellationToken::new();
        struct Busy<'a>(&'a Wake, &'a CancellationToken, u32);
        impl Reconciler for &mut Busy<'_> {
            async fn reconcile(&mut self) -> Requeue {
                self.2 += 1;
                match self.2 {
                    1 => (0..10).for_each(|_| self.0.wake()),
                    _ => self.1.cancel(),
                }
                Requeue::Idle
            }
        }
        let mut reconciler = Busy(&wake, &stop, 0);
        run(&wake, &stop, &mut reconciler).await;
        assert_eq!(reconciler.2, 2);
    }
}
