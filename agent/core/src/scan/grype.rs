//! What `grype -o json` writes. (pure)

use quarterdeck_shared::snapshot::Vulnerability;
use serde::Deserialize;

use super::{Report, ReportError, time, vulnerability};

#[derive(Deserialize)]
struct Whole {
    /// Of all that were found, those that count: what its own rules ignore is in another list.
    #[serde(deserialize_with = "Option::deserialize")]
    matches: Option<Vec<Match>>,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(default)]
    version: String,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Match {
    vulnerability: Found,
    artifact: Package,
}

#[derive(Deserialize)]
struct Found {
    id: String,
    #[serde(default)]
    severity: String,
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Fix {
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
}

/// Reads a report.
///
/// # Errors
/// Where it is not one of Grype.
pub fn read(bytes: &[u8]) -> Result<Report, ReportError> {
    let Whole { matches, descriptor } =
        serde_json::from_slice(bytes).map_err(|source| ReportError::Form { of: "Grype", source })?;
    let one = |Match { vulnerability: found, artifact }: Match| -> Vulnerability {
        let fix = found.fix.and_then(|fix| fix.versions).unwrap_or_default().join(", ");
        vulnerability(&found.id, &found.severity, &artifact.name, &artifact.version, &fix)
    };
    Ok(Report {
        scanner: super::fit(format!("Grype {}", named(&descriptor.version)).trim_end()),
        made: descriptor.timestamp.and_then(|text| time(&text)),
        vulnerabilities: matches.unwrap_or_default().into_iter().map(one).collect(),
    })
}

/// A version; one that was built without it calls itself `[not provided]`.
fn named(version: &str) -> &str {
    if version.starts_with('[') { "" } else { version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = r#"{"matches":[
             {"vulnerability":{"id":"GHSA-1","severity":"High","fix":{"versions":["1.2.4","1.3.0"],"state":"fixed"}},
              "relatedVulnerabilities":[],"matchDetails":[],"artifact":{"name":"lodash","version":"1.2.3","type":"npm"}},
             {"vulnerability":{"id":"CVE-2026-2","severity":"Negligible","fix":{"versions":[],"state":"wont-fix"}},
              "artifact":{"name":"zlib1g","version":"1.2"}}],
            "ignoredMatches":[{"vulnerability":{"id":"CVE-2026-3"}}],
            "descriptor":{"name":"grype","version":"0.87.0","timestamp":"2026-11-30T10:00:00.1+01:00"}}"#;
        let report = read(text.as_bytes()).unwrap();
        assert_eq!(report.scanner, "Grype 0.87.0");
        assert!(report.made.is_some());
        let told: Vec<_> = report.vulnerabilities.iter().map(Vulnerability::describe).collect();
        assert_eq!(
            told,
            [
                "GHSA-1 in lodash 1.2.3 (high, fixed in 1.2.4, 1.3.0)",
                "CVE-2026-2 in zlib1g 1.2 (negligible, no fix yet)"
            ]
        );
    }

    /// What Grype 0.121.2, built from its Go module, wrote of an image with three packages of Debian, by a database of five
    /// vulnerabilities that was made for it.
    #[test]
    fn a_report_of_the_program_itself_is_read() {
        let report = read(include_bytes!("reports/grype-0.121.2.json")).unwrap();
        assert_eq!(report.scanner, "Grype");
        assert!(report.made.is_some());
        let told: Vec<_> = report.vulnerabilities.iter().map(Vulnerability::describe).collect();
        assert_eq!(
            told,
            [
                "CVE-2026-0001 in openssl 3.0.1-1 (critical, fixed in 3.0.2-1)",
                "CVE-2026-0002 in zlib1g 1:1.2.13 (low, no fix yet)",
                "CVE-2026-0003 in zlib1g 1:1.2.13 (negligible, no fix yet)",
                "CVE-2026-0005 in openssl 3.0.1-1 (unknown, no fix yet)",
            ]
        );
    }

    #[test]
    fn what_is_no_report_is_an_error_and_not_an_image_without_vulnerabilities() {
        for text in ["", "{}", r#"{"descriptor":{}}"#, r#"{"matches":[]}"#, r#"{"matches":[{}],"descriptor":{}}"#] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(read(br#"{"matches":null,"descriptor":{"version":"1"}}"#).unwrap().vulnerabilities, []);
    }
}
