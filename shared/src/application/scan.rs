//! Scans of images: what a person says about who looks for vulnerabilities, and which of them are too many.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How pushed images are scanned before they are promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSpec {
    /// Who scans.
    pub by: Scanner,
    /// What is worse is not promoted; absent where vulnerabilities are only shown.
    pub max_severity: Option<Severity>,
    /// Of one image; a scan that takes longer fails the run.
    pub timeout: Duration,
    /// Vulnerabilities that are accepted for a while.
    pub exceptions: Vec<ScanException>,
}

/// Who looks for vulnerabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scanner {
    /// The scanner that the registry has, which is a Harbor.
    Harbor,
    /// The program `trivy`, on the machine of the agent.
    Trivy,
    /// The program `grype`, on the machine of the agent.
    Grype,
}

impl Scanner {
    /// The word for it; of a program its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Harbor => "harbor",
            Self::Trivy => "trivy",
            Self::Grype => "grype",
        }
    }
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How severe a vulnerability is. Ordered: the later, the worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The scanner does not say.
    #[default]
    Unknown,
    /// It hardly matters.
    Negligible,
    /// It matters little.
    Low,
    /// It matters.
    Medium,
    /// It matters much.
    High,
    /// It comes first.
    Critical,
}

impl Severity {
    /// All of them, the worst first.
    pub const WORST_FIRST: [Self; 6] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Negligible, Self::Unknown];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A vulnerability that is accepted until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanException {
    /// As scanners name it: `CVE-2026-1234`, `GHSA-…`.
    pub id: String,
    /// Why it may be there.
    pub reason: String,
    /// The last day, by UTC; after it the vulnerability counts again.
    pub until: Date,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ordered_and_listed_from_the_worst() {
        let mut sorted = Severity::WORST_FIRST;
        sorted.sort();
        sorted.reverse();
        assert_eq!(sorted, Severity::WORST_FIRST);
        assert!(Severity::Unknown < Severity::Negligible && Severity::High < Severity::Critical);
    }
}
