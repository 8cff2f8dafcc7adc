//! What the scan of an image came to: counts by severity, and the worst vulnerabilities.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::{Scanner, Severity};

/// So many vulnerabilities are kept of one image, the worst; the log of the run has more. A run is part of what every console
/// holds: with 20 of some 150 bytes the 50 runs that are kept of an application stay below 200 KiB an image.
pub const VULNERABILITIES_MAX: usize = 20;

/// The scan of one image of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanResult {
    /// The image, without a tag: `registry.example/ops/shop`.
    pub name: String,
    /// What the registry calls it: `sha256:…`.
    pub digest: String,
    /// Who was asked.
    pub by: Scanner,
    /// The scanner with its version, as it names itself: `Trivy v0.58.1`.
    pub scanner: String,
    /// When the report was made.
    pub scanned: Timestamp,
    /// How many there are of each severity, the worst first; none of a severity that none has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<SeverityCount>,
    /// How many of them an exception accepts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub accepted: u32,
    /// How many of them are worse than `max_severity`, and accepted by none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// The worst of them, the worst first; [`VULNERABILITIES_MAX`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vulnerabilities: Vec<Vulnerability>,
}

/// Vulnerabilities of one severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityCount {
    /// Which.
    pub severity: Severity,
    /// How many.
    pub total: u32,
    /// Of how many a newer version of the package is without.
    pub fixable: u32,
}

/// A vulnerability of a package of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// `CVE-2026-1234`
    pub id: String,
    /// How severe it is.
    pub severity: Severity,
    /// The scanner's word for that, where it is not one of ours: it counts as unknown, and as worse than any limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_word: Option<String>,
    /// In which package.
    pub package: String,
    /// Of which version.
    pub version: String,
    /// The versions without it, as the scanner writes them; absent where there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// Why it is accepted; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Vulnerability {
    /// `critical`, or the scanner's own word in quotes.
    pub fn severity_text(&self) -> Cow<'static, str> {
        match &self.severity_word {
            Some(word) => format!("{word:?}").into(),
            None => self.severity.word().into(),
        }
    }

    /// `CVE-2026-1234 in openssl 3.0.1 (critical, fixed in 3.0.2)`
    pub fn describe(&self) -> String {
        let fix = self.fixed_in.as_ref().map_or(Cow::from("no fix yet"), |fix| format!("fixed in {fix}").into());
        format!("{} in {} {} ({}, {fix})", self.id, self.package, self.version, self.severity_text())
    }
}

impl ScanResult {
    /// How many vulnerabilities there are.
    pub fn total(&self) -> u32 {
        self.counts.iter().map(|count| count.total).sum()
    }

    /// How many of them have a fix.
    pub fn fixable(&self) -> u32 {
        self.counts.iter().map(|count| count.fixable).sum()
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> u32 {
        self.counts.iter().find(|count| count.severity == severity).map_or(0, |count| count.total)
    }

    /// `1 critical, 3 high; 2 with a fix, 1 accepted`, `no known vulnerabilities`.
    pub fn describe(&self) -> String {
        if self.counts.is_empty() {
            return "no known vulnerabilities".to_owned();
        }
        let counts = self.counts.iter().map(|count| format!("{} {}", count.total, count.severity));
        let mut text = counts.collect::<Vec<_>>().join(", ");
        text.push_str(&format!("; {} with a fix", self.fixable()));
        if self.accepted > 0 {
            text.push_str(&format!(", {} accepted", self.accepted));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_and_a_vulnerability_are_described_in_a_line() {
        let mut result = ScanResult {
            name: "registry.example/ops/shop".to_owned(),
            digest: "sha256:00".to_owned(),
            by: Scanner::Harbor,
            scanner: "Trivy v0.58.1".to_owned(),
            scanned: Timestamp::UNIX_EPOCH,
            counts: Vec::new(),
            accepted: 0,
            refused: 0,
            vulnerabilities: Vec::new(),
        };
        assert_eq!(result.describe(), "no known vulnerabilities");
        let count = |severity, total, fixable| SeverityCount { severity, total, fixable };
        result.counts = vec![count(Severity::Critical, 1, 1), count(Severity::High, 3, 1)];
        assert_eq!(result.describe(), "1 critical, 3 high; 2 with a fix");
        result.accepted = 1;
        assert_eq!(result.describe(), "1 critical, 3 high; 2 with a fix, 1 accepted");
        assert_eq!((result.total(), result.count(Severity::High), result.count(Severity::Low)), (4, 3, 0));
        let mut one = Vulnerability {
            id: "CVE-2026-1".to_owned(),
            severity: Severity::Critical,
            severity_word: None,
            package: "openssl".to_owned(),
            version: "3.0.1".to_owned(),
            fixed_in: Some("3.0.2".to_owned()),
            accepted: None,
        };
        assert_eq!(one.describe(), "CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)");
        (one.severity, one.severity_word, one.fixed_in) = (Severity::Unknown, Some("Important".to_owned()), None);
        assert_eq!(one.describe(), "CVE-2026-1 in openssl 3.0.1 (\"Important\", no fix yet)");
    }
}
