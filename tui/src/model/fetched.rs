//! Something that was asked of the agent and is not part of the state: on its way, there, or refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::link::Problem;

/// A value that is fetched. The last one stays while a newer one is on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetched<T> {
    /// The last one that came.
    pub value: Option<T>,
    /// When it came.
    pub at: Option<Timestamp>,
    /// How it is waited for.
    pub wait: Wait,
}

/// How something that is fetched is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wait {
    /// Why the last attempt failed.
    pub problem: Option<Problem>,
    /// The request that is under way. An answer to any other is late and is dropped.
    pub pending: Option<u64>,
    /// Whether it is to be asked for: it never was, or what was asked about changed while the request was under way.
    pub wanted: bool,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self { value: None, at: None, wait: Wait { problem: None, pending: None, wanted: true } }
    }
}

impl<T> Fetched<T> {
    /// One that was asked for by this request.
    pub fn asked(number: u64) -> Self {
        Self { value: None, at: None, wait: Wait { problem: None, pending: Some(number), wanted: false } }
    }

    /// Takes the answer to a request; false where it is not the one that is waited for.
    pub fn take(&mut self, number: u64, answer: Result<T, Problem>, now: Timestamp) -> bool {
        if self.wait.pending != Some(number) {
            return false;
        }
        self.wait.pending = None;
        match answer {
            Ok(value) => (self.value, self.at, self.wait.problem) = (Some(value), Some(now), None),
            Err(problem) => self.wait.problem = Some(problem),
        }
        true
    }
}

impl Wait {
    /// Whether a request may go out under this number: one at a time; what is asked for meanwhile is asked once more.
    pub fn ask(&mut self, number: u64) -> bool {
        self.wanted = self.pending.is_some();
        if !self.wanted {
            self.pending = Some(number);
        }
        !self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_are_dropped() {
        let mut fetched = Fetched::asked(2);
        assert!(!fetched.take(1, Ok("old"), Timestamp::UNIX_EPOCH));
        assert_eq!(fetched.value, None);
        assert!(fetched.take(2, Ok("new"), Timestamp::UNIX_EPOCH));
        assert_eq!(fetched.value, Some("new"));
        assert!(!fetched.take(2, Ok("twice"), Timestamp::UNIX_EPOCH));
        fetched.wait.pending = Some(3);
        assert!(fetched.take(3, Err(Problem::default()), Timestamp::UNIX_EPOCH));
        assert_eq!((fetched.value, fetched.wait.problem.is_some()), (Some("new"), true), "the last value stays");
    }
}
