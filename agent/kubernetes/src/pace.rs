//! How long a watch waits before it is tried again: pure.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::problem::Class;
use quarterdeck_core::backoff::doubled;

/// The first pause after a failure; doubled up to a maximum, with jitter. All wake when the cluster answers again.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause after what passes by itself.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The longest pause after a refusal that stays, and for a kind that is not served. An API server answers 403 in the
/// first seconds after its start, before it has read its roles, so a refusal is tried again at the pace of any other
/// failure first. One that stays has to be fixed by a person, who is not to wait for long and may give the permission
/// where nothing tells us: two minutes cost an API server some 30 requests a watch in an hour.
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(120);

/// Whoever is woken tries again no sooner than this after the last try: an environment of a thousand objects may wake
/// the watch of their kind with each.
pub(super) const WOKEN_PAUSE: Duration = Duration::from_secs(5);

/// The pause after this many failures in a row, the last of which is of this class.
pub(super) fn pause(class: Class, failures: u32) -> Duration {
    match class {
        // What was followed is too old, or the cluster was set back: there is something newer to be had now.
        Class::Gone => jittered(1, PAUSE_MAX) / 4,
        Class::Forbidden | Class::KindMissing => jittered(failures, REFUSED_PAUSE_MAX),
        _ => jittered(failures, PAUSE_MAX),
    }
}

/// The pause after the server ended the watch in good order after this time, so many times in a row.
pub(super) fn after_end(lasted: Duration, ends: u32) -> Duration {
    // The usual end after some minutes costs no pause.
    if lasted > Duration::from_secs(5) { Duration::ZERO } else { jittered(ends, PAUSE_MAX) }
}

/// Half to whole of the doubled pause.
fn jittered(failures: u32, most: Duration) -> Duration {
    let pause = doubled(PAUSE, failures.saturating_sub(1), most);
    let share = RandomState::new().hash_one(failures) % 512;
    pause / 2 + pause * u32::try_from(share).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        for (class, failures, least, most) in [
            (Class::Away, 1, 250, 500),
            (Class::Away, 2, 500, 1_000),
            (Class::Away, 5, 4_000, 8_000),
            (Class::Away, 40, 15_000, 30_000),
            (Class::Gone, 40, 0, 125),
            // A refusal is met at the pace of the others for half a minute, and then less often.
            (Class::Forbidden, 1, 250, 500),
            (Class::Forbidden, 5, 4_000, 8_000),
            (Class::KindMissing, 7, 16_000, 32_000),
            (Class::Forbidden, 9, 60_000, 120_000),
            (Class::Forbidden, u32::MAX, 60_000, 120_000),
        ] {
            let pause = pause(class, failures).as_millis();
            assert!((least..=most).contains(&pause), "{class:?} {failures}: {pause} ms");
        }
    }

    #[test]
    fn a_watch_that_ends_at_its_time_is_renewed_without_a_pause() {
        assert_eq!(after_end(Duration::from_secs(240), 1), Duration::ZERO);
        assert!(after_end(Duration::from_secs(1), 3) >= Duration::from_secs(1), "one that ends again and again is not");
    }
}
