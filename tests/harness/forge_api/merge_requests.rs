//! Open merge requests, as each forge lists them: those that changed last come first, `per_page` or `limit` of them.

use http::Method;
use serde_json::{Value, json};

/// An open merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// `ops/deploy`
    pub project: String,
    /// Its number.
    pub number: u64,
    /// Its newest commit.
    pub head: String,
    /// The branch that it would be merged into.
    pub target: String,
    /// Whether its code is of another repository.
    pub is_of_fork: bool,
}

/// What the repository, and one that was made of it, are called in answers.
const IDS: (u64, u64) = (4, 5);

/// The answer to the question for them; nothing where a path is about something else.
pub(super) fn answer(kind: &str, method: &Method, path: &[&str], query: &str, all: &[Open]) -> Option<(u16, Value)> {
    let project = match *path {
        ["projects", project, "merge_requests"] if kind == "gitlab" => project.replace("%2F", "/"),
        ["repos", owner, name, "pulls"] if kind != "gitlab" => format!("{owner}/{name}"),
        _ => return None,
    };
    let given = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let state = if kind == "gitlab" { "opened" } else { "open" };
    let count = if kind == "gitea" { "limit" } else { "per_page" };
    if *method != Method::GET || given("state") != Some(state) {
        return Some((400, json!({ "message": "state does not have a valid value" })));
    }
    let count = given(count).and_then(|count| count.parse().ok()).unwrap_or(30).min(100);
    // Those that changed last come first, where it is not asked for the oldest.
    let is_oldest = given("sort").is_some_and(|sort| matches!(sort, "asc" | "oldest" | "created"));
    let mut own: Vec<&Open> = all.iter().filter(|one| one.project == project).collect();
    if !is_oldest {
        own.reverse();
    }
    let page = given("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).max(1);
    let listed = own.into_iter().skip((page - 1) * count).take(count);
    Some((200, listed.map(|one| shown(kind, one)).collect()))
}

/// The branch of a merge request.
fn branch(number: &u64) -> String {
    format!("fix/{number}")
}

fn shown(kind: &str, one: &Open) -> Value {
    let Open { number, head, target, is_of_fork, .. } = one;
    let from = if *is_of_fork { IDS.1 } else { IDS.0 };
    match kind {
        "gitlab" => json!({
            "id": 100 + number, "iid": number, "sha": head, "state": "opened", "target_branch": target,
            "source_branch": branch(number), "source_project_id": from, "target_project_id": IDS.0,
        }),
        _ => json!({
            "id": 100 + number, "number": number, "state": "open",
            "head": { "ref": branch(number), "sha": head, "repo": { "id": from } },
            "base": { "ref": target, "sha": head, "repo": { "id": IDS.0 } },
        }),
    }
}
