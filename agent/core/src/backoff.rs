//! The pause that a count of failures makes. A loop that keeps its own count from one try to the next uses `backon`; this is for who
//! decides by a count that is known anyway.

use std::time::Duration;

/// `first`, doubled so many times, up to the longest.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(31)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest() {
        let pauses =
            [0, 1, 2, 5, 6, 31, u32::MAX].map(|times| doubled(Duration::from_secs(2), times, Duration::from_secs(70)));
        assert_eq!(pauses.map(|pause| pause.as_secs()), [2, 4, 8, 64, 70, 70, 70]);
    }
}
