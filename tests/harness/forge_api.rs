//! A stand-in for the APIs of GitLab, GitHub and Gitea, as far as commit statuses, comments on merge requests, open merge requests and
//! protected tags go: their paths, logins, states, pages, and what each of them answers to what it does not take. It keeps what it was told. It does
//! NOT: know projects or commits (all are there), know of a comment's merge request whether it is open, make pipelines, or list statuses.

mod comments;
mod merge_requests;
mod protected;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use self::comments::Comments;
pub use self::comments::Shown;
pub use self::merge_requests::Open;
use crate::serve::{Answer, Cut, Place, Server};

/// The token that it takes.
pub const TOKEN: &str = "forge-token-4711";

/// A status as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// `ops/shop`
    pub project: String,
    /// Of which commit.
    pub commit: String,
    /// Its context, or name.
    pub context: String,
    /// In the words of the forge.
    pub state: String,
    /// The line beside it.
    pub description: String,
    /// The tag or branch, where one was named.
    pub reference: Option<String>,
}

#[derive(Default)]
struct State {
    told: Vec<Posted>,
    comments: Comments,
    /// Those that are open, in the order of their last change.
    open: Vec<Open>,
    /// Whether the token may list them.
    is_blind: bool,
    /// Patterns of the tags that not everyone may make.
    protected: Vec<String>,
    /// Whether the token may comment.
    is_mute: bool,
    /// Answers to the next statuses, instead of taking them; with the seconds of their `Retry-After`.
    faults: VecDeque<(u16, Option<u32>)>,
    /// How often it was asked with a token that it does not take.
    refused: usize,
}

/// A running stand-in.
pub struct ForgeApi {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl ForgeApi {
    /// Starts it on a loopback port.
    pub async fn start() -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let handler = Arc::new(move |request| {
            let state = shared.clone();
            Box::pin(answer(state, request)) as _
        });
        Ok(Self { server: Server::start(Place::loopback(0), handler).await?, state })
    }

    /// `http://127.0.0.1:PORT`, below which each forge has its path: `/api/v4`, `/api/v3`, `/api/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// All that it was told, in order.
    pub fn told(&self) -> Vec<Posted> {
        locked(&self.state).told.clone()
    }

    /// The states of a context of a commit, in order.
    pub fn states(&self, commit: &str, context: &str) -> Vec<String> {
        let is_it = |one: &Posted| one.commit == commit && one.context == context;
        self.told().into_iter().filter(is_it).map(|one| one.state).collect()
    }

    /// The comments on a merge request, in the order in which they were written.
    pub fn comments(&self, project: &str, number: u64) -> Vec<Shown> {
        locked(&self.state).comments.on(project, number)
    }

    /// Somebody else writes a comment there.
    pub fn write_comment(&self, project: &str, number: u64, author: &str, body: &str) {
        locked(&self.state).comments.write(project, number, author, body);
    }

    /// Somebody deletes a comment.
    pub fn delete_comment(&self, id: u64) {
        locked(&self.state).comments.delete(id);
    }

    /// A merge request is opened, or gets a new commit.
    pub fn open_merge_request(&self, open: Open) {
        self.close_merge_request(&open.project, open.number);
        locked(&self.state).open.push(open);
    }

    /// It is merged, or given up.
    pub fn close_merge_request(&self, project: &str, number: u64) {
        locked(&self.state).open.retain(|one| one.project != project || one.number != number);
    }

    /// Whether the token may list merge requests from now on.
    pub fn may_list(&self, may: bool) {
        locked(&self.state).is_blind = !may;
    }

    /// Protects the tags of these patterns, in its own words, and no others.
    pub fn protect_tags(&self, patterns: &[&str]) {
        locked(&self.state).protected = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    }

    /// Whether the token may comment from now on.
    pub fn may_comment(&self, may: bool) {
        locked(&self.state).is_mute = !may;
    }

    /// How often it did not take the token.
    pub fn refused(&self) -> usize {
        locked(&self.state).refused
    }

    /// Answers the next status so.
    pub fn fault(&self, status: u16) {
        locked(&self.state).faults.push_back((status, None));
    }

    /// Limits requests at the next status, in GitLab's plain words: it asks to be left alone for so long.
    pub fn limit(&self, seconds: u32) {
        locked(&self.state).faults.push_back((429, Some(seconds)));
    }

    /// Nothing listens any more.
    pub async fn away(&self) {
        self.server.away().await;
    }

    /// It listens again.
    pub async fn back(&self) -> std::io::Result<()> {
        self.server.back().await
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which forge a path is of: how it is logged in to, and the states that it knows.
fn forge(path: &str, headers: &HeaderMap) -> Option<(&'static str, bool, &'static [&'static str])> {
    let is = |header: &str, value: String| headers.get(header).and_then(|given| given.to_str().ok()) == Some(&value);
    // Both are good for both: libraries of clients send either.
    let is_bearer = || is("authorization", format!("Bearer {TOKEN}"));
    let is_token = || is("authorization", format!("token {TOKEN}"));
    Some(match path.split('/').take(3).collect::<Vec<_>>()[..] {
        ["", "api", "v4"] => (
            "gitlab",
            is("private-token", TOKEN.to_owned()),
            &["pending", "running", "success", "failed", "canceled", "skipped"],
        ),
        ["", "api", "v3"] => ("github", is_bearer() || is_token(), &["pending", "success", "failure", "error"]),
        ["", "api", "v1"] => {
            ("gitea", is_token() || is_bearer(), &["pending", "success", "failure", "error", "warning"])
        }
        _ => return None,
    })
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let Some((kind, is_logged_in, states)) = forge(&path, &parts.headers) else {
        return Ok(told(404, json!({ "message": "Not Found" })));
    };
    if !is_logged_in {
        locked(&state).refused += 1;
        return Ok(told(401, json!({ "message": "401 Unauthorized" })));
    }
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let rest: Vec<&str> = path.split('/').skip(3).collect();
    if let Some(asked) = comments::asked(kind, &parts.method, &rest) {
        let mut state = locked(&state);
        if state.is_mute {
            return Ok(told(403, json!({ "message": "403 Forbidden" })));
        }
        let (status, mut answer, next) = state.comments.answer(kind, &asked, &query, &body);
        if kind != "gitlab" {
            comments::addressed(&mut answer, &format!("http://{}/api/v3/repos/{}", host(&parts), asked.project()));
        }
        let mut response = told(status, answer);
        if let Some(next) = next {
            let link = format!("<{}>; rel=\"next\"", page_at(&parts, &query, next));
            response.headers_mut().insert("link", link.parse().expect("an address"));
        }
        return Ok(response);
    }
    let open = merge_requests::answer(kind, &parts.method, &rest, &query, &locked(&state).open);
    if let Some((status, answer)) = open {
        let is_blind = locked(&state).is_blind;
        return Ok(if is_blind { told(403, json!({ "message": "403 Forbidden" })) } else { told(status, answer) });
    }
    if let Some((status, answer)) = protected::answer(kind, &parts.method, &rest, &locked(&state).protected) {
        return Ok(told(status, answer));
    }
    let (project, commit) = match rest[..] {
        ["user"] => return Ok(told(200, comments::user(kind, comments::OWN))),
        ["projects", project, "statuses", commit] if kind == "gitlab" => (project.replace("%2F", "/"), commit),
        ["repos", owner, name, "statuses", commit] if kind != "gitlab" => (format!("{owner}/{name}"), commit),
        _ => return Ok(told(404, json!({ "message": "404 Not Found" }))),
    };
    let mut state = locked(&state);
    match state.faults.pop_front() {
        None => {}
        Some((status, None)) => return Ok(told(status, json!({ "message": format!("{status} on purpose") }))),
        Some((status, Some(seconds))) => {
            let response = Response::builder().status(status).header("retry-after", seconds);
            return Ok(response.body("Retry later\n".to_owned().into()).expect("a plain answer"));
        }
    }
    let given: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| given[key].as_str().map(str::to_owned);
    let context = text(if kind == "gitlab" { "name" } else { "context" });
    let (Some(word), Some(context)) = (text("state").filter(|word| states.contains(&word.as_str())), context) else {
        let status = if kind == "gitlab" { 400 } else { 422 };
        return Ok(told(status, json!({ "message": "state is not included in the list" })));
    };
    let is_it = |one: &&Posted| one.commit == commit && one.context == context;
    let before = state.told.iter().rfind(is_it).map(|one| one.state.as_str());
    if kind == "gitlab" && before == Some(&word) && matches!(&*word, "pending" | "running") {
        let message = format!("Cannot transition status via :run from :{word}");
        return Ok(told(400, json!({ "message": message })));
    }
    let description = text("description").unwrap_or_default();
    let posted =
        Posted { project, commit: commit.to_owned(), context, state: word, description, reference: text("ref") };
    let answer = shown(kind, state.told.len() + 1, &posted);
    state.told.push(posted);
    Ok(told(201, answer))
}

/// A status as a forge answers it.
fn shown(kind: &str, id: usize, posted: &Posted) -> Value {
    let Posted { commit, context, state, description, reference, .. } = posted;
    match kind {
        "gitlab" => json!({
            "id": id, "sha": commit, "ref": reference, "status": state, "name": context, "description": description,
        }),
        _ => json!({ "id": id, "state": state, "context": context, "description": description }),
    }
}

/// Another page of what was asked for, as clients that follow links go there.
fn page_at(parts: &http::request::Parts, query: &str, page: usize) -> String {
    let host = host(parts);
    let same = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
    let query: Vec<String> = same.map(str::to_owned).chain([format!("page={page}")]).collect();
    format!("http://{host}{}?{}", parts.uri.path(), query.join("&"))
}

fn host(parts: &http::request::Parts) -> &str {
    parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn told(status: u16, body: Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(body.to_string().into()).expect("a plain answer")
}
