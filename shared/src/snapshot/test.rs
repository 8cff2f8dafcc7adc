//! What a test of a run came to: how it ended, and what its JUnit files count.

use serde::{Deserialize, Serialize};

use crate::application::TestName;
use crate::status::Phase;

/// So many failed cases are told of one test; all of them are in the log of the run. A screen shows no more, and a run is
/// part of what every console holds.
pub const FAILURES_MAX: usize = 10;

/// A test that a run did, or need not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// Which.
    pub name: TestName,
    /// `Succeeded`, `Failed`, or `Skipped` where this image passed it before.
    pub phase: Phase,
    /// One line: `12 passed, 1 skipped`, `exit code 1`.
    pub message: String,
    /// What its JUnit files count; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<Cases>,
}

/// Cases of a test, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cases {
    /// That did what they should.
    pub passed: u32,
    /// That did not, or broke.
    pub failed: u32,
    /// That were left out.
    pub skipped: u32,
    /// Those that failed, in the order of the files; the first [`FAILURES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedCase>,
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCase {
    /// Its class and name, as the file has them: `cart.CartTest adds`.
    pub name: String,
    /// Why, in a line; empty where the file does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Cases {
    /// `3 of 120 failed, 2 skipped`, `117 passed, 2 skipped`.
    pub fn describe(&self) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        match self.failed {
            0 => format!("{} passed{skipped}", self.passed),
            failed => format!("{failed} of {} failed{skipped}", self.passed + failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_described_by_what_matters() {
        let of = |passed, failed, skipped| Cases { passed, failed, skipped, failures: Vec::new() }.describe();
        assert_eq!(of(117, 0, 0), "117 passed");
        assert_eq!(of(117, 0, 2), "117 passed, 2 skipped");
        assert_eq!(of(117, 3, 2), "3 of 120 failed, 2 skipped");
        assert_eq!(of(0, 0, 0), "0 passed");
    }
}
