//! Comments on merge requests, as each forge has them.
//!
//! Lists come in pages of `per_page` (20 in GitLab and 30 in GitHub where it is not said, 100 at most), whole in Gitea. A
//! text that is empty or too long is refused, and so is a comment that is not there.

use http::Method;
use serde_json::{Value, json};

/// Who our token is of.
pub(super) const OWN: &str = "quarterdeck";

/// A comment as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What the forge calls it.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub body: String,
    /// How often it was changed since.
    pub edits: usize,
}

/// All of them, each with its project and the number of its merge request.
#[derive(Default)]
pub(super) struct Comments {
    all: Vec<(String, u64, Shown)>,
    last: u64,
}

/// What is asked.
pub(super) enum Asked {
    /// Those of a merge request.
    List { project: String, number: u64 },
    /// A new one.
    Create { project: String, number: u64 },
    /// Another text.
    Change { project: String, id: u64 },
}

impl Asked {
    /// Of which project.
    pub(super) fn project(&self) -> &str {
        match self {
            Self::List { project, .. } | Self::Create { project, .. } | Self::Change { project, .. } => project,
        }
    }
}

/// Gives each comment of an answer the address at which it is changed.
pub(super) fn addressed(answer: &mut Value, repository: &str) {
    let all = match answer {
        Value::Array(all) => all.iter_mut().collect(),
        one => vec![one],
    };
    for one in all.into_iter().filter(|one| one["id"].is_u64()) {
        one["url"] = format!("{repository}/issues/comments/{}", one["id"]).into();
    }
}

/// What a path and method ask for, below the API's own path; nothing where it is not about comments.
pub(super) fn asked(kind: &str, method: &Method, path: &[&str]) -> Option<Asked> {
    let is = |wanted: Method| *method == wanted;
    let on = |project: String, number: &str| {
        let number = number.parse().ok()?;
        match *method {
            Method::GET => Some(Asked::List { project, number }),
            Method::POST => Some(Asked::Create { project, number }),
            _ => None,
        }
    };
    match *path {
        ["projects", project, "merge_requests", number, "notes"] if kind == "gitlab" => {
            on(project.replace("%2F", "/"), number)
        }
        ["projects", project, "merge_requests", _, "notes", id] if kind == "gitlab" && is(Method::PUT) => {
            Some(Asked::Change { project: project.replace("%2F", "/"), id: id.parse().ok()? })
        }
        ["repos", owner, name, "issues", "comments", id] if kind != "gitlab" && is(Method::PATCH) => {
            Some(Asked::Change { project: format!("{owner}/{name}"), id: id.parse().ok()? })
        }
        ["repos", owner, name, "issues", number, "comments"] if kind != "gitlab" => {
            on(format!("{owner}/{name}"), number)
        }
        _ => None,
    }
}

/// A user as a forge shows one.
pub(super) fn user(kind: &str, name: &str) -> Value {
    match kind {
        "gitlab" => json!({ "id": 4, "username": name }),
        "github" => json!({ "id": 4, "login": name, "type": "User" }),
        _ => json!({ "id": 4, "login": name, "username": name }),
    }
}

impl Comments {
    /// Those on a merge request.
    pub(super) fn on(&self, project: &str, number: u64) -> Vec<Shown> {
        let is_on = |(of, at, _): &&(String, u64, Shown)| of == project && *at == number;
        self.all.iter().filter(is_on).map(|(_, _, comment)| comment.clone()).collect()
    }

    /// A new one; its place.
    pub(super) fn write(&mut self, project: &str, number: u64, author: &str, body: &str) -> usize {
        self.last += 1;
        let comment = Shown { id: self.last, author: author.to_owned(), body: body.to_owned(), edits: 0 };
        self.all.push((project.to_owned(), number, comment));
        self.all.len() - 1
    }

    /// It is gone.
    pub(super) fn delete(&mut self, id: u64) {
        self.all.retain(|(_, _, comment)| comment.id != id);
    }

    /// The status, the answer, and the number of the page after it, where there is one.
    pub(super) fn answer(
        &mut self,
        kind: &str,
        asked: &Asked,
        query: &str,
        body: &[u8],
    ) -> (u16, Value, Option<usize>) {
        if let Asked::List { project, number } = asked {
            let (listed, next) = page(kind, query, &self.on(project, *number));
            return (200, listed, next);
        }
        let (status, answer) = self.written(kind, asked, body);
        (status, answer, None)
    }

    fn written(&mut self, kind: &str, asked: &Asked, body: &[u8]) -> (u16, Value) {
        let given: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = given["body"].as_str().unwrap_or_default();
        let (longest, refused) = if kind == "gitlab" { (1_000_000, 400) } else { (65_536, 422) };
        if text.trim().is_empty() || text.chars().count() > longest {
            return (refused, json!({ "message": "body is blank or too long" }));
        }
        match asked {
            Asked::List { .. } => (405, json!({ "message": "405 Method Not Allowed" })),
            Asked::Create { project, number } => {
                let place = self.write(project, *number, OWN, text);
                (201, shown(kind, &self.all[place].2))
            }
            Asked::Change { project, id } => {
                let Some((_, _, comment)) = self.all.iter_mut().find(|(of, _, one)| of == project && one.id == *id)
                else {
                    return (404, json!({ "message": "404 Not Found" }));
                };
                if comment.author != OWN {
                    return (403, json!({ "message": "403 Forbidden" }));
                }
                (comment.body, comment.edits) = (text.to_owned(), comment.edits + 1);
                (200, shown(kind, comment))
            }
        }
    }
}

/// A page, and the number of the one after it.
fn page(kind: &str, query: &str, all: &[Shown]) -> (Value, Option<usize>) {
    let given = |key: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
        value.parse::<usize>().ok()
    };
    let usual = if kind == "gitlab" { 20 } else { 30 };
    let size = if kind == "gitea" { usize::MAX } else { given("per_page").unwrap_or(usual).clamp(1, 100) };
    let number = given("page").unwrap_or(1).max(1);
    let skipped = (number - 1).saturating_mul(size);
    // GitLab shows the newest first.
    let all: Vec<&Shown> = if kind == "gitlab" { all.iter().rev().collect() } else { all.iter().collect() };
    let next = (all.len() > skipped.saturating_add(size)).then_some(number + 1);
    (all.into_iter().skip(skipped).take(size).map(|comment| shown(kind, comment)).collect(), next)
}

fn shown(kind: &str, comment: &Shown) -> Value {
    let author = if kind == "gitlab" { "author" } else { "user" };
    json!({ "id": comment.id, "body": comment.body, author: user(kind, &comment.author) })
}
