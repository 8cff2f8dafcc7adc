//! How far a log was read, so that it can be taken up again after a break without a line twice, and without one lost (pure).
//!
//! A container runtime writes stdout and stderr each with its own times, and clocks are set back: lines are in the order in
//! which they were written, and not in that of their times. So a line is one that was read before only if its time and its
//! text are those of one that was read, never because its time is older than another's.
//!
//! What is read again begins at a time (`sinceTime`), and the server leaves out whatever is older, line by line. Hence the
//! last lines are remembered, and it begins at the oldest of these: what was not read is lost only where its time is older
//! than that of [`REMEMBERED`] lines before it.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

/// Two streams of a busy container are apart by some hundred lines at the most. 24 bytes each: 48 KiB a container.
const REMEMBERED: usize = 2_048;

/// How far.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last lines that were read, in their order.
    last: VecDeque<Line>,
    /// The newest time of the lines that were read before these.
    before: Option<Timestamp>,
    /// Lines in all.
    pub(super) read: u64,
    /// While what was read comes again: how many of each line are still to come.
    again: HashMap<Line, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Line {
    at: Timestamp,
    text: u64,
}

impl Line {
    fn new(at: Timestamp, text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self { at, text: hasher.finish() }
    }
}

impl Position {
    /// The time from which on the log is asked for once more; none where nothing was read.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let oldest = self.last.iter().map(|line| line.at).min()?;
        let after = self.before.and_then(|before| before.checked_add(SignedDuration::from_nanos(1)).ok());
        Some(after.map_or(oldest, |after| after.max(oldest)))
    }

    /// It is asked for once more.
    pub(super) fn resumes(&mut self) {
        self.again.clear();
        for line in &self.last {
            *self.again.entry(*line).or_default() += 1;
        }
    }

    /// Whether the line is a new one.
    pub(super) fn pass(&mut self, at: Option<Timestamp>, text: &str) -> bool {
        let Some(at) = at else { return true };
        let line = Line::new(at, text);
        if self.was_read(line) {
            return false;
        }
        self.read += 1;
        self.last.push_back(line);
        if self.last.len() > REMEMBERED {
            let forgotten = self.last.pop_front().map(|line| line.at);
            self.before = self.before.max(forgotten);
        }
        true
    }

    fn was_read(&mut self, line: Line) -> bool {
        if self.again.is_empty() {
            return false;
        }
        // API servers cut `sinceTime` to its second: what comes of lines that are not remembered any more was read.
        let Some(count) = self.again.get_mut(&line) else { return self.before.is_some_and(|before| line.at <= before) };
        *count -= 1;
        if *count == 0 {
            self.again.remove(&line);
            // With the last of what was read all of it has come.
            if self.last.back() == Some(&line) {
                self.again.clear();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(format!("2026-01-02T03:04:{text}Z").parse().unwrap())
    }

    #[test]
    fn a_line_that_is_older_than_the_one_before_is_a_line() {
        let lines = [
            ("05.2", "stdout: order 1 taken"),
            ("05.1", "stderr: stock of item 7 is low"),
            ("05.3", "stdout: order 2 taken"),
            ("04.0", "stdout: the clock went back a second"),
            ("04.5", "stdout: and goes on from there"),
        ];
        let mut from = Position::default();
        assert!(lines.iter().all(|(time, text)| from.pass(at(time), text)), "nothing was read before");
        assert_eq!(from.since(), at("04.0"), "all that is remembered comes again");
        from.resumes();
        assert!(!lines.iter().any(|(time, text)| from.pass(at(time), text)), "all of it was read");
        assert!(from.pass(at("04.2"), "what comes now is new"));
        assert_eq!(from.read, 6);
    }

    #[test]
    fn no_line_comes_twice_and_none_is_missed_when_a_log_is_taken_up_again() {
        let second = |second| Timestamp::from_second(second).ok();
        let mut from = Position::default();
        assert!([1, 2, 2].into_iter().all(|time| from.pass(second(time), "same")));
        from.resumes();
        let passed: Vec<i64> = [1, 2, 2, 2, 3].into_iter().filter(|time| from.pass(second(*time), "same")).collect();
        assert_eq!(passed, [2, 3], "one more at 2, and the next");
        assert_eq!(from.read, 5);
        assert!(from.pass(None, "a line without a time"));
    }

    #[test]
    fn what_is_not_remembered_any_more_is_not_told_again() {
        let time = |n: usize| Timestamp::from_millisecond(n as i64).ok();
        let mut from = Position::default();
        let all = REMEMBERED + 500;
        assert!((0..all).all(|n| from.pass(time(n), "line")));
        assert_eq!((from.last.len(), from.since()), (REMEMBERED, time(500)));
        from.resumes();
        // As of an API server that cuts the time to its second.
        assert_eq!((0..all + 3).filter(|n| from.pass(time(*n), "line")).count(), 3);
    }

    proptest! {
        /// A server leaves out what is older than the time that it is asked for, and breaks anywhere.
        #[test]
        fn over_every_break_each_line_is_told_once(
            times in proptest::collection::vec(0_i64..40, 1..80),
            breaks in proptest::collection::vec(0_usize..80, 0..4),
        ) {
            let lines: Vec<(Option<Timestamp>, String)> =
                times.iter().enumerate().map(|(n, time)| (Timestamp::from_second(*time).ok(), format!("line {n}"))).collect();
            let mut from = Position::default();
            let mut told: Vec<&str> = Vec::new();
            let mut ends: Vec<usize> = breaks.into_iter().filter(|end| *end < lines.len()).collect();
            ends.sort_unstable();
            ends.push(lines.len());
            for end in ends {
                let since = from.since();
                from.resumes();
                // What was written since the break is asked for anew; here, only what is younger than all that was read.
                for (time, text) in lines[..end].iter().filter(|(time, _)| since.is_none_or(|since| *time >= Some(since))) {
                    if from.pass(*time, text) {
                        told.push(text);
                    }
                }
            }
            let unique: std::collections::HashSet<&&str> = told.iter().collect();
            prop_assert_eq!(unique.len(), told.len(), "a line came twice");
            // Only what is older than all that was read before a break can be missed: the server does not send it.
            prop_assert!(told.last().is_some());
        }
    }
}
