//! What `trivy image --format json` writes. (pure)
//!
//! Its version is not in every report, and is handed in. An image in which Trivy finds no packages at all (`FROM scratch`)
//! has no `Results`.

use quarterdeck_shared::snapshot::Vulnerability;
use serde::Deserialize;

use super::{Report, ReportError, time, vulnerability};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole {
    /// Every report has it: what has not is something else.
    #[serde(rename = "SchemaVersion")]
    _schema_version: u32,
    created_at: Option<String>,
    results: Option<Vec<Target>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    vulnerabilities: Option<Vec<Found>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    #[serde(default)]
    installed_version: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    severity: String,
}

/// Reads a report.
///
/// # Errors
/// Where it is not one of Trivy.
pub fn read(bytes: &[u8], version: &str) -> Result<Report, ReportError> {
    let whole: Whole = serde_json::from_slice(bytes).map_err(|source| ReportError::Form { of: "Trivy", source })?;
    let found = whole.results.into_iter().flatten().flat_map(|target| target.vulnerabilities.unwrap_or_default());
    let one = |found: Found| -> Vulnerability {
        vulnerability(&found.id, &found.severity, &found.pkg_name, &found.installed_version, &found.fixed_version)
    };
    Ok(Report {
        scanner: format!("Trivy {version}").trim_end().to_owned(),
        made: whole.created_at.and_then(|text| time(&text)),
        vulnerabilities: found.map(one).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarterdeck_shared::application::Severity;

    #[test]
    fn a_report_is_read() {
        let text = r#"{"SchemaVersion":2,"CreatedAt":"2026-11-30T10:00:00.5Z","ArtifactName":"r/shop@sha256:00","ArtifactType":"container_image",
            "Metadata":{"OS":{"Family":"debian","Name":"12.8"}},
            "Results":[
              {"Target":"r/shop (debian 12.8)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[
                {"VulnerabilityID":"CVE-2026-1","PkgID":"openssl@3.0.1","PkgName":"openssl","InstalledVersion":"3.0.1","FixedVersion":"3.0.2","Status":"fixed","Severity":"CRITICAL","Title":"x"},
                {"VulnerabilityID":"CVE-2026-2","PkgName":"zlib1g","InstalledVersion":"1.2","Status":"affected","Severity":"LOW"}]},
              {"Target":"app/package-lock.json","Class":"lang-pkgs","Type":"npm"}]}"#;
        let report = read(text.as_bytes(), "0.58.1").unwrap();
        assert_eq!(report.scanner, "Trivy 0.58.1");
        assert!(report.made.is_some());
        let told: Vec<_> = report.vulnerabilities.iter().map(Vulnerability::describe).collect();
        assert_eq!(
            told,
            ["CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)", "CVE-2026-2 in zlib1g 1.2 (low, no fix yet)"]
        );
        assert_eq!(report.vulnerabilities[1].severity, Severity::Low);
    }

    #[test]
    fn an_image_without_packages_has_none_and_another_text_is_an_error() {
        let empty = read(br#"{"SchemaVersion":2,"ArtifactName":"scratch"}"#, "").unwrap();
        assert_eq!((&*empty.scanner, empty.vulnerabilities.len()), ("Trivy", 0));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"PkgName":"a"}]}]}"#,
            "{\"SchemaVersion\":2",
        ] {
            assert!(read(text.as_bytes(), "").is_err(), "{text:?}");
        }
    }
}
