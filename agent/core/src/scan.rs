//! Scans of images: what scanners report, read into one form, and whether an image may be promoted with it. (pure)
//!
//! ```text
//! Harbor ┐
//! Trivy  ├─► Report ─ verdict (max_severity, exceptions, today) ─► ScanResult, and what is refused
//! Grype  ┘
//! ```
//!
//! Reading is strict where it matters: a report that is cut, or of another form, is an error and never an image without
//! vulnerabilities. A severity that no scanner of ours is known to write counts as unknown, and as worse than any limit: Harbor
//! refuses such an image as well.

pub mod grype;
pub mod harbor;
pub mod trivy;
pub mod verdict;

use jiff::Timestamp;
use quarterdeck_shared::application::Severity;
use quarterdeck_shared::snapshot::Vulnerability;

use crate::output::{Mask, one_line};

/// The longest name or version that is kept: those of packages have some dozens, a Go module's version up to a hundred.
const WORDS_CHARS_MAX: usize = 160;

/// What a scanner found in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The scanner with its version, as it names itself.
    pub scanner: String,
    /// When it was made, where it says so.
    pub made: Option<Timestamp>,
    /// As the scanner lists them: in any order, some more than once.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// Why a report is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is no JSON, or of another form.
    #[error("it is not a report of {of}")]
    Form {
        /// Of whom it should be.
        of: &'static str,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The registry has none of a form that we know.
    #[error("the registry has no report of vulnerabilities in a known format; it has: {has}")]
    Unknown {
        /// The formats that it has.
        has: String,
    },
}

/// The severity that a scanner's word means; the word itself where it is not known.
fn severity(word: &str) -> (Severity, Option<String>) {
    let word = word.trim();
    let known = Severity::WORST_FIRST.into_iter().find(|severity| severity.word().eq_ignore_ascii_case(word));
    match known {
        Some(severity) => (severity, None),
        // Harbor's word for a report without vulnerabilities, and what scanners leave empty.
        None if word.is_empty() || word.eq_ignore_ascii_case("none") => (Severity::Unknown, None),
        None => (Severity::Unknown, Some(fit(word))),
    }
}

/// A vulnerability of the words of a scanner.
fn vulnerability(id: &str, word: &str, package: &str, version: &str, fixed_in: &str) -> Vulnerability {
    let (severity, severity_word) = severity(word);
    let fixed_in = fit(fixed_in);
    Vulnerability {
        id: fit(id),
        severity,
        severity_word,
        package: fit(package),
        version: fit(version),
        fixed_in: (!fixed_in.is_empty()).then_some(fixed_in),
        accepted: None,
    }
}

/// A text of a scanner as a short line.
fn fit(text: &str) -> String {
    one_line(&Mask::default(), text).chars().take(WORDS_CHARS_MAX).collect()
}

/// A time as scanners write it; none where it is not set, which Go writes as the year 1.
fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_severity_are_read() {
        for (word, read) in [
            ("CRITICAL", (Severity::Critical, None)),
            ("High", (Severity::High, None)),
            ("medium ", (Severity::Medium, None)),
            ("Low", (Severity::Low, None)),
            ("Negligible", (Severity::Negligible, None)),
            ("UNKNOWN", (Severity::Unknown, None)),
            ("None", (Severity::Unknown, None)),
            ("", (Severity::Unknown, None)),
            ("Important", (Severity::Unknown, Some("Important".to_owned()))),
        ] {
            assert_eq!(severity(word), read, "{word:?}");
        }
    }

    #[test]
    fn times_that_are_not_set_are_none() {
        assert!(time("2026-11-30T10:00:00.123456789Z").is_some() && time("2026-11-30T12:00:00+02:00").is_some());
        for text in ["0001-01-01T00:00:00Z", "", "yesterday"] {
            assert_eq!(time(text), None, "{text:?}");
        }
    }
}
