//! The API of Harbor beside the registry, as far as scans go: artifacts with where their scan stands, the scan, its report, and the
//! health of all; and projects: whether there is one, and its quota. A scan is `Pending`, then `Running`, then over, a step each time the artifact is asked for.
//!
//! It wants what Harbor wants: a login as Basic, no cookies, names that are encoded twice. It also wants what Harbor merely takes,
//! so that a client that forgets it is found: `X-Request-Id`, `X-Is-Resource-Name` and the forms of reports. It does NOT do:
//! make projects (all are there but the one that a test takes away), count
//! what a quota is used for (a test says so), robots with permissions of their own (one permission can be denied to all), other scanners, SBOMs.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use super::State;
use super::fault::{Fault, Step};
use super::reply::{failure, respond};
use crate::serve::{Answer, Cut, query_pairs};

/// The form of its reports.
const FORM: &str = "application/vnd.security.vulnerability.report; version=1.1";

/// A vulnerability that its scanner finds.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// `CVE-2026-1`
    pub id: &'static str,
    /// The scanner's word.
    pub severity: &'static str,
    /// In which package; of version 3.0.1 always.
    pub package: &'static str,
    /// Empty where there is none.
    pub fixed_in: &'static str,
}

/// What it knows and how it is to be.
#[derive(Debug)]
pub(super) struct Harbor {
    pub(super) is_there: bool,
    pub(super) found: Vec<Found>,
    pub(super) denied: Option<&'static str>,
    pub(super) are_held: bool,
    pub(super) ends_with: &'static str,
    /// A project that is not there.
    pub(super) lacks: Option<&'static str>,
    /// Bytes that each project needs, of those that it may need.
    pub(super) quota: (i64, i64),
    /// Where the scan of each digest stands.
    scans: BTreeMap<String, &'static str>,
}

impl Default for Harbor {
    fn default() -> Self {
        let (found, scans) = (Vec::new(), BTreeMap::new());
        let (lacks, quota) = (None, (0, -1));
        Self { is_there: false, found, denied: None, are_held: false, ends_with: "Success", lacks, quota, scans }
    }
}

/// What the steps of a path ask for, and the permission that it needs: the login alone where there is none.
fn asked(method: &Method, steps: &[&str]) -> Option<(Step, &'static str)> {
    Some(match (method, steps) {
        (&Method::HEAD, ["projects"]) => (Step::ApiProject, ""),
        (&Method::GET, ["projects", _, "summary"]) => (Step::ApiSummary, "project:read"),
        (&Method::GET, ["projects", _, "repositories", _, "artifacts", _]) => (Step::ApiArtifact, "artifact:read"),
        (&Method::POST, ["projects", _, "repositories", _, "artifacts", _, "scan"]) => (Step::ApiScan, "scan:create"),
        (&Method::GET, ["projects", _, "repositories", _, "artifacts", _, "additions", "vulnerabilities"]) => {
            (Step::ApiReport, "artifact-addition:read")
        }
        _ => return None,
    })
}

pub(super) fn answer(state: &State, path: &str, parts: &Parts) -> Answer {
    if !state.harbor().is_there {
        return Ok(respond(404).body("404 page not found".into()).expect("a plain answer"));
    }
    let steps: Vec<&str> = path.split('/').collect();
    if parts.method == Method::GET && steps == ["health"] {
        return Ok(json_answer(200, &health()));
    }
    let Some((step, permission)) = asked(&parts.method, &steps) else {
        return Ok(failure(404, "NOT_FOUND", "the resource is not found"));
    };
    match state.faults().take(step) {
        Some(Fault::CutAfter(_)) => return Err(Cut),
        Some(Fault::Busy(seconds)) => {
            let mut busy = failure(429, "TOO_MANY_REQUEST", "too many requests");
            busy.headers_mut().insert("retry-after", seconds.into());
            return Ok(busy);
        }
        Some(Fault::Status(status)) => return Ok(failure(status, "UNKNOWN", "a fault of the test")),
        Some(Fault::Words(status, words)) => return Ok(respond(status).body(words.into()).expect("a plain answer")),
        Some(Fault::OtherDigest | Fault::Slow(_)) | None => {}
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let wanted = [("x-request-id", ""), ("x-is-resource-name", "true"), ("x-accept-vulnerabilities", FORM)];
    if let Some((name, _)) = wanted.iter().find(|(name, part)| !header(name).is_some_and(|value| value.contains(part)))
    {
        return Ok(failure(400, "BAD_REQUEST", &format!("the header {name} is missing")));
    }
    if header("cookie").is_some() {
        return Ok(failure(403, "FORBIDDEN", "CSRF token invalid"));
    }
    if !state.gate().knows(parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())) {
        return Ok(failure(401, "UNAUTHORIZED", "unauthorized"));
    }
    if state.harbor().denied == Some(permission) {
        return Ok(failure(403, "FORBIDDEN", "forbidden"));
    }
    if matches!(step, Step::ApiProject | Step::ApiSummary) {
        return Ok(state.harbor().project(&steps, parts.uri.query().unwrap_or("")));
    }
    let repository = format!("{}/{}", steps[1], steps[3].replace("%252F", "/"));
    let digest = steps[5];
    if state.store().manifest(&repository, digest).is_none() {
        let message = format!("artifact {repository}@{digest} not found");
        return Ok(failure(404, "NOT_FOUND", &message));
    }
    let mut harbor = state.harbor();
    Ok(match step {
        Step::ApiScan => harbor.scan(digest),
        Step::ApiReport => harbor.report(digest),
        _ => json_answer(200, &harbor.artifact(digest)),
    })
}

impl Harbor {
    /// Whether a project is there, which its query names, or its summary, where its path does.
    fn project(&self, steps: &[&str], query: &str) -> Response<Body> {
        let asked = query_pairs(query).into_iter().find(|(name, _)| name == "project_name").map(|(_, value)| value);
        let name = steps.get(1).map(|name| (*name).to_owned()).or(asked);
        let (used, hard) = self.quota;
        match name {
            None => failure(400, "BAD_REQUEST", "project_name in query is required"),
            Some(name) if self.lacks == Some(&*name) => failure(404, "NOT_FOUND", &format!("project {name} not found")),
            Some(_) if steps.len() == 1 => respond(200).body(Body::empty()).expect("a plain answer"),
            Some(_) if self.denied == Some("quota:read") => json_answer(200, &json!({ "repo_count": 1 })),
            Some(_) => {
                let quota = json!({ "hard": { "storage": hard }, "used": { "storage": used } });
                json_answer(200, &json!({ "repo_count": 1, "quota": quota }))
            }
        }
    }

    /// The artifact now; its scan has gone a step further when it is asked for next.
    fn artifact(&mut self, digest: &str) -> Value {
        let mut artifact = json!({ "digest": digest, "type": "IMAGE" });
        let (are_held, ends_with) = (self.are_held, self.ends_with);
        if let Some(status) = self.scans.get_mut(digest) {
            let is_over = !matches!(*status, "Pending" | "Running");
            let end = if is_over { jiff::Timestamp::now().to_string() } else { "0001-01-01T00:00:00Z".to_owned() };
            let entry = json!({ "report_id": "1", "scan_status": *status, "complete_percent": if is_over { 100 } else { 40 }, "end_time": end });
            artifact["scan_overview"] = json!({ FORM: entry });
            *status = match *status {
                "Pending" => "Running",
                "Running" if !are_held => ends_with,
                other => other,
            };
        }
        artifact
    }

    fn scan(&mut self, digest: &str) -> Response<Body> {
        if matches!(self.scans.get(digest), Some(&("Pending" | "Running"))) {
            return failure(409, "CONFLICT", "a previous scan process is Running");
        }
        self.scans.insert(digest.to_owned(), "Pending");
        respond(202).body(Body::empty()).expect("a plain answer")
    }

    fn report(&self, digest: &str) -> Response<Body> {
        if self.scans.get(digest) != Some(&"Success") {
            return json_answer(200, &json!({}));
        }
        let one = |found: &Found| {
            json!({
                "id": found.id, "package": found.package, "version": "3.0.1", "fix_version": found.fixed_in,
                "severity": found.severity, "description": "Found by a stand-in.", "links": ["https://avd.example"],
            })
        };
        let all: Vec<Value> = self.found.iter().map(one).collect();
        let report = json!({
            "generated_at": jiff::Timestamp::now().to_string(), "severity": "Critical",
            "scanner": { "name": "Trivy", "vendor": "Aqua Security", "version": "v0.58.1" },
            "vulnerabilities": if all.is_empty() { Value::Null } else { all.into() },
        });
        json_answer(200, &json!({ FORM: report }))
    }
}

fn health() -> Value {
    let part = |name: &str| json!({ "name": name, "status": "healthy" });
    json!({ "status": "healthy", "components": [part("core"), part("jobservice"), part("trivy")] })
}

fn json_answer(status: u16, value: &Value) -> Response<Body> {
    respond(status).body(value.to_string().into()).expect("a plain answer")
}
