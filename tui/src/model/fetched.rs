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
    /// Why the last attempt failed.
    pub problem: Option<Problem>,
    /// The request that is under way. An answer to any other is late and is dropped.
    pub pending: Option<u64>,
    /// Whether what was asked about changed while the request was under way: then it is asked once more.
    pub again: bool,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self { value: None, at: None, problem: None, pending: None, again: false }
    }
}

impl<T> Fetched<T> {
    /// One that was asked for by this request.
    pub fn asked(number: u64) -> Self {
        Self { pending: Some(number), ..Self::default() }
    }

    /// Takes the answer to a request; false where it is not the one that is waited for.
    pub fn take(&mut self, number: u64, answer: Result<T, Problem>, now: Timestamp) -> bool {
        if self.pending != Some(number) {
            return false;
        }
        self.pending = None;
        match answer {
            Ok(value) => (self.value, self.at, self.problem) = (Some(value), Some(now), None),
            Err(problem) => self.problem = Some(problem),
        }
        true
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
        fetched.pending = Some(3);
        assert!(fetched.take(3, Err(Problem::default()), Timestamp::UNIX_EPOCH));
        assert_eq!((fetched.value, fetched.problem.is_some()), (Some("new"), true), "the last value stays");
    }
}
