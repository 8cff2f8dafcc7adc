//! The API of Harbor beside the registry, as far as it is used: projects with quotas, artifacts with tags, labels and where their scan
//! stands, scans and their reports, labels, immutable tag rules, and the health of all. A scan is `Pending`, then `Running`, then over, a
//! step each time the artifact is asked for.
//!
//! What the client harborapi understands of it is a story of the real tier (`clients`).
//!
//! It wants what Harbor wants: a login as Basic, no cookies, names that are encoded twice. Of our agent it also wants what Harbor merely
//! takes, so that it is found where it is forgotten: `X-Request-Id`, `X-Is-Resource-Name` and the forms of reports. It does NOT do:
//! make projects (all are there but the one that a test takes away), count what a quota is used for (a test says so), robots with
//! permissions of their own (one permission can be denied to all; quotas are listed for `admin` alone), other scanners, SBOMs, labels
//! of the system, queries but those for a label, times of a push.

mod labels;
mod rules;
mod tags;

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use self::labels::Labels;
use self::rules::Rules;
use self::tags::tags_of;
use super::State;
use super::fault::{Fault, Step};
use super::reply::{failure, ok, respond};
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
    /// Projects that were asked for, each with its number as its place.
    projects: Vec<String>,
    pub(super) labels: Labels,
    pub(super) rules: Rules,
}

impl Default for Harbor {
    fn default() -> Self {
        let (found, scans) = (Vec::new(), BTreeMap::new());
        let (lacks, quota, projects) = (None, (0, -1), Vec::new());
        let (labels, rules) = (Labels::default(), Rules::default());
        let ends_with = "Success";
        Self {
            is_there: false,
            found,
            denied: None,
            are_held: false,
            ends_with,
            lacks,
            quota,
            scans,
            projects,
            labels,
            rules,
        }
    }
}

/// What the steps of a path ask for, and the permission that it needs: the login alone where there is none.
fn asked(method: &Method, steps: &[&str]) -> Option<(Step, &'static str)> {
    Some(match (method, steps) {
        (&Method::HEAD, ["projects"]) => (Step::ApiProject, ""),
        (&Method::GET, ["projects", _]) => (Step::ApiProject, "project:read"),
        (&Method::GET, ["projects", _, "summary"]) => (Step::ApiSummary, "project:read"),
        (&Method::GET, ["projects", _, "immutabletagrules"]) => (Step::ApiRules, "immutable-tag:list"),
        (&Method::POST, ["projects", _, "immutabletagrules"]) => (Step::ApiRules, "immutable-tag:create"),
        (&Method::GET, ["quotas"]) => (Step::ApiQuotas, "quota:list"),
        (&Method::GET, ["labels"]) => (Step::ApiLabels, "label:list"),
        (&Method::POST, ["labels"]) => (Step::ApiLabels, "label:create"),
        (&Method::GET, ["projects", _, "repositories", _, "artifacts"]) => (Step::ApiArtifacts, "artifact:list"),
        (_, ["projects", _, "repositories", _, "artifacts", _, below @ ..]) => match (method, below) {
            (&Method::GET, []) => (Step::ApiArtifact, "artifact:read"),
            (&Method::POST, ["scan"]) => (Step::ApiScan, "scan:create"),
            (&Method::GET, ["additions", "vulnerabilities"]) => (Step::ApiReport, "artifact-addition:read"),
            (&Method::POST, ["labels"]) => (Step::ApiLabelSet, "artifact-label:create"),
            (&Method::DELETE, ["labels", _]) => (Step::ApiLabelTaken, "artifact-label:delete"),
            (&Method::POST, ["tags"]) => (Step::ApiTagAdded, "tag:create"),
            (&Method::DELETE, ["tags", _]) => (Step::ApiTagTaken, "tag:delete"),
            _ => return None,
        },
        _ => return None,
    })
}

/// One question, read.
struct Question {
    step: Step,
    method: Method,
    steps: Vec<String>,
    query: Vec<(String, String)>,
    body: Value,
    /// `http://127.0.0.1:5000/api/v2.0/labels`, without its query.
    path: String,
}

impl Question {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str, by_default: bool) -> bool {
        self.value(name).map_or(by_default, |value| value == "true")
    }
}

pub(super) fn answer(state: &State, path: &str, parts: &Parts, body: &[u8]) -> Answer {
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
    let is_ours = header("user-agent").is_some_and(|agent| agent.starts_with("quarterdeck/"));
    let wanted = [("x-request-id", ""), ("x-is-resource-name", "true"), ("x-accept-vulnerabilities", FORM)];
    let missing = wanted.iter().find(|(name, part)| !header(name).is_some_and(|value| value.contains(part)));
    if let (true, Some((name, _))) = (is_ours, missing) {
        return Ok(failure(400, "BAD_REQUEST", &format!("the header {name} is missing")));
    }
    if header("cookie").is_some() {
        return Ok(failure(403, "FORBIDDEN", "CSRF token invalid"));
    }
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !state.gate().knows(authorization) {
        return Ok(failure(401, "UNAUTHORIZED", "unauthorized"));
    }
    let is_admin = authorization.and_then(super::auth::basic).is_some_and(|(name, _)| name == "admin");
    if state.harbor().denied == Some(permission) || permission == "quota:list" && !is_admin {
        return Ok(failure(403, "FORBIDDEN", "forbidden"));
    }
    let question = Question {
        step,
        method: parts.method.clone(),
        steps: steps.iter().map(|step| decoded(step)).collect(),
        query: query_pairs(parts.uri.query().unwrap_or("")),
        body: serde_json::from_slice(body).unwrap_or_default(),
        path: parts.uri.path().to_owned(),
    };
    Ok(perform(state, &question))
}

fn perform(state: &State, question: &Question) -> Response<Body> {
    let steps = &question.steps;
    let mut harbor = state.harbor();
    match question.step {
        Step::ApiProject | Step::ApiSummary => return harbor.project(question),
        Step::ApiQuotas => return harbor.quotas(question),
        Step::ApiRules => return harbor.immutable_tag_rules(question),
        Step::ApiLabels => return harbor.all_labels(question),
        _ => {}
    }
    // Twice encoded, and once decoded by now.
    let (project, name) = (&steps[1], decoded(&steps[3]));
    let repository = format!("{project}/{name}");
    let Some(reference) = steps.get(5) else { return harbor.artifacts(state, question, &repository) };
    let Some((digest, _)) = state.store().manifest(&repository, reference) else {
        let message = format!("artifact {repository}@{reference} not found");
        return failure(404, "NOT_FOUND", &message);
    };
    match question.step {
        Step::ApiScan => harbor.scan(&digest),
        Step::ApiReport => harbor.report(&digest),
        Step::ApiLabelSet => harbor.labels.set(&repository, &digest, question.body["id"].as_i64()),
        Step::ApiLabelTaken => {
            harbor.labels.take_off(&repository, &digest, steps.last().and_then(|id| id.parse().ok()))
        }
        Step::ApiTagAdded => harbor.add_tag(state, question, &repository, &digest),
        Step::ApiTagTaken => harbor.take_tag_off(state, &repository, &digest, &steps[7]),
        _ => {
            let mut artifact = harbor.described(state, question, &repository, &digest);
            harbor.scanned(&digest, question.is("with_scan_overview", false), &mut artifact);
            json_answer(200, &artifact)
        }
    }
}

/// A step of a path, without the escapes of one encoding.
fn decoded(step: &str) -> String {
    query_pairs(&step.replace('+', "%2B")).into_iter().next().map_or(String::new(), |(step, _)| step)
}

/// A page of a list, as Harbor gives it: ten of them where nothing else is asked for, and where the next is.
fn page(question: &Question, all: &[Value]) -> Response<Body> {
    let number = |name: &str, default| question.value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, size) = (number("page", 1_usize).max(1), number("page_size", 10_usize));
    if size > 100 {
        return failure(
            422,
            "UNPROCESSABLE_ENTITY",
            "validation failure list: page_size in query should be less than or equal to 100",
        );
    }
    let shown: Vec<Value> = all.iter().skip((page - 1) * size).take(size).cloned().collect();
    let mut answer = json_answer(200, &shown.into());
    answer.headers_mut().insert("x-total-count", all.len().into());
    if page * size < all.len() {
        let kept = question.query.iter().filter(|(name, _)| !["page", "page_size"].contains(&name.as_str()));
        let kept: String = kept.map(|(name, value)| format!("&{name}={}", value.replace(' ', "%20"))).collect();
        let link = format!("<{}?page={}&page_size={size}{kept}>; rel=\"next\"", question.path, page + 1);
        answer.headers_mut().insert("link", link.parse().expect("an address"));
    }
    answer
}

impl Harbor {
    /// The number of a project.
    fn number(&mut self, project: &str) -> usize {
        let known = self.projects.iter().position(|one| one == project);
        1 + known.unwrap_or_else(|| {
            self.projects.push(project.to_owned());
            self.projects.len() - 1
        })
    }

    /// A project that its path names, its summary, or whether the one is there that its query names.
    fn project(&mut self, question: &Question) -> Response<Body> {
        let name = question.steps.get(1).map(String::as_str).or(question.value("project_name")).map(str::to_owned);
        let (used, hard) = self.quota;
        match name {
            None => failure(400, "BAD_REQUEST", "project_name in query is required"),
            Some(name) if self.lacks == Some(&*name) => failure(404, "NOT_FOUND", &format!("project {name} not found")),
            Some(_) if question.method == Method::HEAD => empty(200),
            Some(name) if question.step == Step::ApiProject => {
                let metadata = json!({ "public": "false", "auto_scan": "false" });
                let number = self.number(&name);
                json_answer(
                    200,
                    &json!({ "project_id": number, "name": name, "owner_name": "admin", "repo_count": 1, "metadata": metadata }),
                )
            }
            Some(_) if self.denied == Some("quota:read") => json_answer(200, &json!({ "repo_count": 1 })),
            Some(_) => {
                let quota = json!({ "hard": { "storage": hard }, "used": { "storage": used } });
                json_answer(200, &json!({ "repo_count": 1, "quota": quota }))
            }
        }
    }

    /// The quotas of all projects, or of the one of this number.
    fn quotas(&self, question: &Question) -> Response<Body> {
        let (used, hard) = self.quota;
        let one = |(place, name): (usize, &String)| {
            json!({
                "id": place + 1, "ref": { "id": place + 1, "name": name, "owner_name": "admin" },
                "hard": { "storage": hard }, "used": { "storage": used },
            })
        };
        let is_meant = |(place, _): &(usize, &String)| {
            question.value("reference_id").is_none_or(|id| id == (place + 1).to_string())
        };
        let all: Vec<Value> = self.projects.iter().enumerate().filter(is_meant).map(one).collect();
        page(question, &all)
    }

    /// The artifacts of a repository: all, those with a label (`labels=(1)`), or those with a tag that holds a text (`tags=~1.`).
    fn artifacts(&mut self, state: &State, question: &Question, repository: &str) -> Response<Body> {
        let asked = question.value("q");
        let label = asked.and_then(|q| q.strip_prefix("labels=(")?.strip_suffix(')'));
        let text = asked.and_then(|q| q.strip_prefix("tags=~"));
        let digests = state.store().manifests(repository);
        let is_meant = |digest: &&String| {
            label.is_none_or(|id| id.parse().is_ok_and(|id| self.labels.are_on(repository, digest, id)))
                && text.is_none_or(|text| tags_of(state, repository, digest).iter().any(|tag| tag.contains(text)))
        };
        let meant: Vec<&String> = digests.iter().filter(is_meant).collect();
        let all: Vec<Value> = meant.iter().map(|digest| self.described(state, question, repository, digest)).collect();
        page(question, &all)
    }

    /// What is known of an artifact, without its scan.
    fn described(&self, state: &State, question: &Question, repository: &str, digest: &str) -> Value {
        let mut artifact = json!({ "digest": digest, "type": "IMAGE", "size": 1 });
        if question.is("with_tag", true) {
            let is_shown = question.is("with_immutable_status", false);
            let tags = tags_of(state, repository, digest).into_iter();
            let one = |tag: String| json!({ "name": tag, "immutable": is_shown && self.rules.hold(repository, &tag) });
            artifact["tags"] = tags.map(one).collect();
        }
        if question.is("with_label", false) {
            artifact["labels"] = self.labels.on(repository, digest).into();
        }
        artifact
    }

    /// The artifact now; its scan has gone a step further when it is asked for next.
    fn scanned(&mut self, digest: &str, is_shown: bool, artifact: &mut Value) {
        let (are_held, ends_with) = (self.are_held, self.ends_with);
        if let Some(status) = self.scans.get_mut(digest).filter(|_| is_shown) {
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
    }

    fn scan(&mut self, digest: &str) -> Response<Body> {
        if matches!(self.scans.get(digest), Some(&("Pending" | "Running"))) {
            return failure(409, "CONFLICT", "a previous scan process is Running");
        }
        self.scans.insert(digest.to_owned(), "Pending");
        empty(202)
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

/// An answer without a body, which names no form of one either.
fn empty(status: u16) -> Response<Body> {
    ok(status).body(Body::empty()).expect("a plain answer")
}

/// Something was made, and is there from now on.
fn made(location: &str) -> Response<Body> {
    ok(201).header("location", location).body(Body::empty()).expect("a plain answer")
}

fn json_answer(status: u16, value: &Value) -> Response<Body> {
    respond(status).body(value.to_string().into()).expect("a plain answer")
}
