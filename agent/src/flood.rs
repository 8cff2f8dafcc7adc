//! A warning that may come many times a second: it is logged once a minute, with how often it came.

use std::time::{Duration, Instant};

/// A person who looks at the log sees each kind of trouble within this time, and everything beside it.
const EVERY: Duration = Duration::from_secs(60);

/// One kind of warning.
#[derive(Debug, Default)]
pub struct Flood {
    logged: Option<Instant>,
    kept_back: u64,
}

impl Flood {
    /// Counts a warning. Where it is to be logged now, the answer is how many came since the last that was.
    pub fn count(&mut self, now: Instant) -> Option<u64> {
        self.kept_back += 1;
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < EVERY) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_with_its_count() {
        let (mut flood, begun) = (Flood::default(), Instant::now());
        let logged: Vec<_> = (0..1_900).filter_map(|tenth| flood.count(begun + EVERY * tenth / 600)).collect();
        assert_eq!(logged, [1, 600, 600, 600]);
    }
}
