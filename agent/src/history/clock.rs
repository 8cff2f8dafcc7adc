//! Whether the wall clock is believed where history is let go by age.
//!
//! A clock that jumps a year ahead (a machine without a battery, a bad time server) makes all that is kept a year old. So
//! the wall clock is held against the one that only counts, and after a jump nothing goes by age for a day of running:
//! until then a person or a time server has set it right, or it is right.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A wall clock that moved by more than this beside the counting one has jumped. Time servers step by seconds.
const JUMP: Duration = Duration::from_secs(300);

/// For how long nothing goes by age after a jump.
const DOUBT: Duration = Duration::from_secs(24 * 3_600);

/// A history without an event for this long was not written, or its clock jumped: nobody can tell these apart.
const GAP: SignedDuration = SignedDuration::from_hours(48);

/// The newest event that is older than this is looked at when the agent begins.
pub const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// The wall clock, held against the counting one.
#[derive(Debug)]
pub struct Clock {
    wall: Timestamp,
    counted: Instant,
    /// Since when it is not believed.
    doubted: Option<Instant>,
}

impl Clock {
    /// A clock at the start of the agent. `before` is the newest event of those older than [`LOOK_BACK`]: where there is a
    /// gap after it, the clock may have jumped while no agent ran, or in its last hours.
    pub fn new(wall: Timestamp, counted: Instant, before: Option<Timestamp>) -> Self {
        let gap = before.is_some_and(|before| wall.duration_since(before) > GAP);
        Self { wall, counted, doubted: gap.then_some(counted) }
    }

    /// Whether what is old by the wall clock may go.
    pub fn believes(&mut self, wall: Timestamp, counted: Instant) -> bool {
        let passed = wall.duration_since(self.wall);
        let ran = SignedDuration::try_from(counted.saturating_duration_since(self.counted)).unwrap_or_default();
        if (passed - ran).unsigned_abs() > JUMP {
            self.doubted = Some(counted);
        }
        (self.wall, self.counted) = (wall, counted);
        self.doubted = self.doubted.filter(|since| counted.saturating_duration_since(*since) < DOUBT);
        self.doubted.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_jump_nothing_goes_by_age_for_a_day_of_running() {
        const HOUR: i64 = 3_600;
        const YEAR: i64 = 365 * 24 * HOUR;
        let (noon, begun): (Timestamp, _) = ("2026-11-23T12:00:00Z".parse().unwrap(), Instant::now());
        // Seconds that ran, by how much the wall clock is off then, and whether it is believed.
        type Steps = &'static [(i64, i64, bool)];
        let cases: [(&str, Option<i64>, Steps); 8] = [
            ("right", Some(25 * HOUR), &[(1, 0, true), (HOUR, 0, true), (90 * HOUR, 0, true)]),
            ("set by a time server", Some(25 * HOUR), &[(1, 0, true), (2, 20, true), (3, -20, true)]),
            ("a year ahead", Some(25 * HOUR), &[(1, 0, true), (2, YEAR, false), (23 * HOUR, YEAR, false)]),
            ("a year ahead, and it stays", None, &[(2, YEAR, false), (24 * HOUR + 2, YEAR, true)]),
            (
                "ahead and right again",
                None,
                &[(2, YEAR, false), (HOUR, 0, false), (24 * HOUR + 2, 0, false), (25 * HOUR, 0, true)],
            ),
            ("an hour back", None, &[(1, 0, true), (2, -HOUR, false)]),
            (
                "no event for days before the start",
                Some(72 * HOUR),
                &[(1, 0, false), (23 * HOUR, 0, false), (25 * HOUR, 0, true)],
            ),
            ("begun behind, and then set right", None, &[(1, 0, true), (60, 56 * YEAR, false)]),
        ];
        for (name, before, steps) in cases {
            let before = before.map(|ago| noon - SignedDuration::from_secs(ago));
            let mut clock = Clock::new(noon, begun, before);
            for (ran, off, believed) in steps {
                let wall = noon + SignedDuration::from_secs(ran + off);
                let found = clock.believes(wall, begun + Duration::from_secs(*ran as u64));
                assert_eq!(found, *believed, "{name}: after {ran} s");
            }
        }
    }
}
