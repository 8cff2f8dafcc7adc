//! What Harbor says of the scan of an artifact, what is to be done next, and its report. (pure)
//!
//! Both are maps by the MIME type of the report: 1.1 of a newer scanner adapter, 1.0 of an older.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::snapshot::Vulnerability;
use serde::Deserialize;

use super::{Report, ReportError, fit, time, vulnerability};

/// The forms of reports that are read, the better first; what `X-Accept-Vulnerabilities` asks for.
pub const FORMS: [&str; 2] = [
    "application/vnd.security.vulnerability.report; version=1.1",
    "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
];

/// A report that the registry made longer ago is made again: scanners get new vulnerabilities each day.
pub const FRESH: Duration = Duration::from_secs(24 * 3_600);

/// Where the scan of an artifact stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// `Pending`, `Scheduled`, `Running`, `Success`, `Error`, `Stopped`.
    pub status: String,
    /// 0 to 100, where it says so.
    pub percent: Option<u8>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// What to do next about the scan of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask for a scan.
    Ask,
    /// Wait: it is under way.
    Wait,
    /// Read the report.
    Read,
    /// It failed after we asked for it.
    Failed,
}

#[derive(Deserialize)]
struct Artifact {
    /// Every artifact has one: what has not is something else.
    #[serde(rename = "digest")]
    _digest: String,
    scan_overview: Option<BTreeMap<String, Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    scan_status: String,
    complete_percent: Option<f64>,
    end_time: Option<String>,
}

/// The scan of an artifact, as the artifact tells of it; none where it was never scanned.
///
/// # Errors
/// Where it is not an artifact of Harbor.
pub fn overview(bytes: &[u8]) -> Result<Option<Overview>, ReportError> {
    let artifact: Artifact =
        serde_json::from_slice(bytes).map_err(|source| ReportError::Form { of: "Harbor", source })?;
    let all = artifact.scan_overview.unwrap_or_default();
    let entry = FORMS.iter().find_map(|form| all.get(*form)).or_else(|| all.values().next());
    Ok(entry.map(|entry| Overview {
        status: fit(&entry.scan_status),
        percent: entry.complete_percent.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| percent as u8),
        ended: entry.end_time.as_deref().and_then(time),
    }))
}

/// What to do next. `asked` says whether this run asked for a scan.
pub fn next(overview: Option<&Overview>, asked: bool, now: Timestamp) -> Next {
    let Some(Overview { status, ended, .. }) = overview else { return if asked { Next::Wait } else { Next::Ask } };
    let is_fresh = || ended.is_some_and(|ended| now.duration_since(ended).as_secs() < FRESH.as_secs().cast_signed());
    match &*status.to_ascii_lowercase() {
        "success" if asked || is_fresh() => Next::Read,
        "error" | "stopped" if asked => Next::Failed,
        "success" | "error" | "stopped" => Next::Ask,
        // Also a word that nobody knows yet: the timeout ends it.
        _ => Next::Wait,
    }
}

#[derive(Deserialize)]
struct Whole {
    generated_at: Option<String>,
    scanner: Option<Named>,
    /// `null` where there are none.
    #[serde(deserialize_with = "Option::deserialize")]
    vulnerabilities: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Found {
    id: String,
    package: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    fix_version: Option<String>,
    #[serde(default)]
    severity: String,
}

/// Reads the addition `vulnerabilities` of an artifact.
///
/// # Errors
/// Where it has no report that we know.
pub fn read(bytes: &[u8]) -> Result<Report, ReportError> {
    let form = |source| ReportError::Form { of: "Harbor", source };
    let mut all: BTreeMap<String, serde_json::Value> = serde_json::from_slice(bytes).map_err(form)?;
    let Some(whole) = FORMS.iter().find_map(|name| all.remove(*name)) else {
        let has = all.keys().map(|key| fit(key)).collect::<Vec<_>>().join(", ");
        return Err(ReportError::Unknown { has: if has.is_empty() { "none".to_owned() } else { has } });
    };
    let Whole { generated_at, scanner, vulnerabilities } = serde_json::from_value(whole).map_err(form)?;
    let one = |found: Found| -> Vulnerability {
        let fix = found.fix_version.unwrap_or_default();
        vulnerability(&found.id, &found.severity, &found.package, &found.version, &fix)
    };
    let named = scanner.map(|Named { name, version }| format!("{name} {version}")).unwrap_or_default();
    Ok(Report {
        scanner: if named.trim().is_empty() { "the registry's scanner".to_owned() } else { fit(&named) },
        made: generated_at.as_deref().and_then(time),
        vulnerabilities: vulnerabilities.unwrap_or_default().into_iter().map(one).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"generated_at":"2026-11-30T10:00:00Z","scanner":{"name":"Trivy","vendor":"Aqua Security","version":"v0.58.1"},
        "severity":"Critical","vulnerabilities":[{"id":"CVE-2026-1","package":"openssl","version":"3.0.1","fix_version":"3.0.2",
        "severity":"Critical","description":"x","links":["https://avd.example"],"artifact_digests":["sha256:00"]},
        {"id":"CVE-2026-2","package":"zlib","version":"1.2","fix_version":"","severity":"Moderate"}]}"#;

    #[test]
    fn a_report_is_read_in_both_forms_and_the_better_counts() {
        for form in FORMS {
            let report = read(format!("{{{form:?}:{REPORT}}}").as_bytes()).unwrap();
            assert_eq!(report.scanner, "Trivy v0.58.1");
            let told: Vec<_> = report.vulnerabilities.iter().map(Vulnerability::describe).collect();
            assert_eq!(
                told,
                [
                    "CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)",
                    "CVE-2026-2 in zlib 1.2 (\"Moderate\", no fix yet)"
                ]
            );
        }
        let empty = r#"{"vulnerabilities":null}"#;
        let both = read(format!("{{{:?}:{empty},{:?}:{REPORT}}}", FORMS[1], FORMS[0]).as_bytes()).unwrap();
        assert_eq!(both.vulnerabilities.len(), 2);
        let none = read(format!("{{{:?}:{empty}}}", FORMS[1]).as_bytes()).unwrap();
        assert_eq!((none.vulnerabilities.len(), &*none.scanner), (0, "the registry's scanner"));
    }

    #[test]
    fn what_is_no_report_is_an_error_and_not_an_image_without_vulnerabilities() {
        let of = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(of("<html>"), "it is not a report of Harbor");
        assert_eq!(of(&format!("{{{:?}:{{}}}}", FORMS[0])), "it is not a report of Harbor");
        let unknown = "the registry has no report of vulnerabilities in a known format; it has: ";
        assert_eq!(of("{}"), format!("{unknown}none"));
        assert_eq!(of(r#"{"application/x":{}}"#), format!("{unknown}application/x"));
    }

    #[test]
    fn what_is_next_follows_from_where_the_scan_stands() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let artifact = |status: &str, ended: &str| {
            let entry =
                format!(r#"{{"report_id":"1","scan_status":{status:?},"end_time":{ended:?},"complete_percent":40}}"#);
            overview(format!(r#"{{"digest":"sha256:00","scan_overview":{{{:?}:{entry}}}}}"#, FORMS[0]).as_bytes())
                .unwrap()
        };
        let (fresh, old, unset) = ("2026-11-30T11:00:00Z", "2026-11-29T11:00:00Z", "0001-01-01T00:00:00Z");
        for (status, ended, before, after) in [
            ("Pending", unset, Next::Wait, Next::Wait),
            ("Scheduled", unset, Next::Wait, Next::Wait),
            ("Running", unset, Next::Wait, Next::Wait),
            ("Success", fresh, Next::Read, Next::Read),
            ("Success", old, Next::Ask, Next::Read),
            ("Success", unset, Next::Ask, Next::Read),
            ("Error", fresh, Next::Ask, Next::Failed),
            ("Stopped", fresh, Next::Ask, Next::Failed),
            ("Dreaming", unset, Next::Wait, Next::Wait),
        ] {
            let found = artifact(status, ended);
            let nexts = [false, true].map(|asked| next(found.as_ref(), asked, now));
            assert_eq!(nexts, [before, after], "{status} {ended}");
        }
        assert_eq!(artifact("Running", unset).unwrap().percent, Some(40));
        assert_eq!(overview(br#"{"digest":"sha256:00"}"#).unwrap(), None);
        assert_eq!([false, true].map(|asked| next(None, asked, now)), [Next::Ask, Next::Wait]);
        assert!(overview(b"{}").is_err());
    }
}
