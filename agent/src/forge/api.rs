//! What each forge is asked, and what its answers mean. Pure.
//!
//! | forge | a status | its states |
//! | --- | --- | --- |
//! | GitLab | `POST /projects/ID/statuses/SHA` (docs.gitlab.com/api/commits) | pending, running, success, failed, canceled, skipped |
//! | GitHub | `POST /repos/OWNER/NAME/statuses/SHA` (docs.github.com/rest/commits/statuses) | pending, success, failure, error |
//! | Gitea, Forgejo | the same path | pending, success, failure, error; newer ones more |
//!
//! | forge | comments of merge request N | one of them |
//! | --- | --- | --- |
//! | GitLab | `GET` and `POST /projects/ID/merge_requests/N/notes` (docs.gitlab.com/api/notes) | `PUT …/notes/NOTE` |
//! | GitHub | `GET` and `POST /repos/OWNER/NAME/issues/N/comments` (docs.github.com/rest/issues/comments) | `PATCH /repos/OWNER/NAME/issues/comments/ID` |
//! | Gitea, Forgejo | the same path; all of them in one answer | the same path |

mod merge_requests;

use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_container::registry::messages;
use quarterdeck_core::commit_status::State;
use quarterdeck_shared::revision::CommitId;
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

pub(super) use self::merge_requests::OpenMergeRequest;
use crate::config::forge::ForgeKind;

/// Comments of a page: the most that GitLab and GitHub list.
pub(super) const PAGE: usize = 100;

/// Characters of an answer that are told: what a person needs to know why.
const WORDS_MAX: usize = 200;

/// The longest pause that a forge is believed: GitHub counts by the hour.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// A status in the words of the forge.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// What it is of.
    pub context: &'a str,
    /// Where that stands.
    pub state: &'a str,
    /// One line.
    pub description: &'a str,
}

/// A merge request of a forge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergeRequest {
    /// What the forge calls the repository.
    pub project: String,
    /// Its number there.
    pub number: u64,
}

/// A comment as forges list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the forge calls it.
    pub id: u64,
    /// Its text.
    pub body: String,
    /// Who wrote it.
    pub author: String,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is known now.
    Accepted,
    /// Our token is not good, or may not do this.
    Refused,
    /// This status will never be taken.
    Rejected,
    /// Later it may be.
    Away,
}

impl ForgeKind {
    /// The state in its words.
    pub(super) fn word(self, state: State) -> &'static str {
        match (self, state) {
            (Self::Gitlab, State::Failure) => "failed",
            (Self::Gitlab, State::Cancelled) => "canceled",
            (Self::Gitlab, State::Skipped) => "skipped",
            (Self::Gitlab, State::Running) => "running",
            (_, State::Pending | State::Running) => "pending",
            (_, State::Success) => "success",
            (_, State::Failure) => "failure",
            // A check that did not come about is not good: a branch that requires it stays closed.
            (_, State::Cancelled | State::Skipped) => "error",
        }
    }

    /// The name and the value of the header that says who we are.
    pub(super) fn login(self, token: &str) -> (&'static str, String) {
        match self {
            Self::Gitlab => ("PRIVATE-TOKEN", token.to_owned()),
            Self::Github => ("Authorization", format!("Bearer {token}")),
            Self::Gitea => ("Authorization", format!("token {token}")),
        }
    }

    /// Where a status is posted to, and what.
    pub(super) fn status(
        self,
        api: &Url,
        project: &str,
        commit: &CommitId,
        reference: Option<&str>,
        status: Status<'_>,
    ) -> (Url, Value) {
        let Status { context, state, description } = status;
        let commit = commit.as_str();
        match self {
            Self::Gitlab => {
                // Without a ref GitLab looks for a branch with this commit, and a tag's may be on none.
                let body = json!({ "state": state, "name": context, "description": description, "ref": reference });
                (below(api, ["projects", project, "statuses", commit]), body)
            }
            Self::Github | Self::Gitea => {
                let body = json!({ "state": state, "context": context, "description": description });
                let path = ["repos"].into_iter().chain(project.split('/')).chain(["statuses", commit]);
                (below(api, path), body)
            }
        }
    }

    /// Where the comments of a merge request are, a page of the most that it lists; nothing after the last that there is.
    pub(super) fn comments(self, api: &Url, of: &MergeRequest, page: usize) -> Option<Url> {
        let (mut url, _) = self.comment_at(api, of, None);
        match self {
            // It knows no pages here.
            Self::Gitea if page > 1 => return None,
            Self::Gitea => {}
            Self::Gitlab | Self::Github => {
                url.query_pairs_mut().append_pair("per_page", &PAGE.to_string()).append_pair("page", &page.to_string());
            }
        }
        Some(url)
    }

    /// Where a new comment goes to, or what changes one that is there.
    pub(super) fn comment(self, api: &Url, of: &MergeRequest, id: Option<u64>) -> (Method, Url) {
        let (url, change) = self.comment_at(api, of, id);
        (if id.is_some() { change } else { Method::POST }, url)
    }

    fn comment_at(self, api: &Url, of: &MergeRequest, id: Option<u64>) -> (Url, Method) {
        let (number, id) = (of.number.to_string(), id.map(|id| id.to_string()));
        match self {
            Self::Gitlab => {
                let path = ["projects", &of.project, "merge_requests", &number, "notes"];
                (below(api, path.into_iter().chain(id.as_deref())), Method::PUT)
            }
            Self::Github | Self::Gitea => {
                let project = ["repos"].into_iter().chain(of.project.split('/')).chain(["issues"]);
                let url = match &id {
                    // An id is one of the whole project.
                    Some(id) => below(api, project.chain(["comments", id])),
                    None => below(api, project.chain([&*number, "comments"])),
                };
                (url, Method::PATCH)
            }
        }
    }

    /// What an answer means.
    pub(super) fn meaning(self, status: StatusCode, body: &str) -> Meaning {
        match status.as_u16() {
            200..300 => Meaning::Accepted,
            // What it knows already is an error to GitLab.
            400 if self == Self::Gitlab && body.contains("Cannot transition status") => Meaning::Accepted,
            // GitHub's limits are refusals by their number (docs.github.com, "Rate limits for the REST API").
            403 if body.contains("rate limit") => Meaning::Away,
            401 | 403 => Meaning::Refused,
            408 | 409 | 425 | 429 | 500.. => Meaning::Away,
            _ => Meaning::Rejected,
        }
    }
}

/// A path below another, each part escaped: a project of GitLab is one part, slashes and all.
pub(super) fn below<'p>(api: &Url, parts: impl IntoIterator<Item = &'p str>) -> Url {
    let mut url = api.clone();
    // An http address always has a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// The comments of an answer, also those whose author is not there any more.
pub(super) fn listed(body: &str) -> Vec<Listed> {
    let all = serde_json::from_str::<Vec<Value>>(body).unwrap_or_default();
    let one = |one: &Value| {
        let author = one.get("author").or_else(|| one.get("user")).and_then(name).unwrap_or_default();
        Some(Listed { id: one["id"].as_u64()?, body: one["body"].as_str().unwrap_or_default().to_owned(), author })
    };
    all.iter().filter_map(one).collect()
}

/// The id of the one comment of an answer.
pub(super) fn id(body: &str) -> Option<u64> {
    serde_json::from_str::<Value>(body).ok()?["id"].as_u64()
}

/// The name by which a user logs in.
pub(super) fn name(user: &Value) -> Option<String> {
    user.get("username").or_else(|| user.get("login"))?.as_str().map(str::to_owned)
}

/// How long a forge that limits requests asks to be left alone, in the headers of its answer (by name in lower case): GitLab, Gitea
/// and the secondary limits of GitHub by `Retry-After`; GitHub by the second in which it counts anew, where nothing is left.
pub(super) fn pause<'h>(header: impl Fn(&str) -> Option<&'h str>, now: Timestamp) -> Option<Duration> {
    if let Some(text) = header("retry-after") {
        return messages::pause(text, now, PAUSE_MAX);
    }
    let is_used_up = header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    let again: i64 = header("x-ratelimit-reset").filter(|_| is_used_up)?.trim().parse().ok()?;
    let seconds = u64::try_from(again.saturating_sub(now.as_second())).unwrap_or_default();
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

/// The words of an answer: its `message` or `error`, else its text; one line.
pub(super) fn message(body: &str) -> String {
    let json = serde_json::from_str::<Value>(body).ok();
    let field = json.as_ref().and_then(|json| json.get("message").or_else(|| json.get("error")));
    let text = match field {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => body.to_owned(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ForgeKind::{Gitea, Github, Gitlab};

    #[test]
    fn each_forge_is_told_in_its_own_words() {
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        for (kind, api, project, url, state) in [
            (
                Gitlab,
                "https://forge.example/api/v4",
                "ops/web/shop",
                "https://forge.example/api/v4/projects/ops%2Fweb%2Fshop/statuses/",
                "canceled",
            ),
            (Github, "https://api.github.com", "ops/shop", "https://api.github.com/repos/ops/shop/statuses/", "error"),
            (
                Gitea,
                "https://forge.example/api/v1",
                "ops/shop",
                "https://forge.example/api/v1/repos/ops/shop/statuses/",
                "error",
            ),
        ] {
            let word = kind.word(State::Cancelled);
            let status = Status { context: "quarterdeck/shop/test", state: word, description: "run 12: superseded" };
            let (to, body) = kind.status(&api.parse().unwrap(), project, &commit, Some("push-1"), status);
            assert_eq!((to.as_str(), &body["state"]), (&*format!("{url}{commit}"), &json!(state)), "{kind:?}");
            assert_eq!(body["description"], "run 12: superseded");
            let named = if kind == Gitlab { ("name", json!("push-1")) } else { ("context", Value::Null) };
            assert_eq!((&body[named.0], &body["ref"]), (&json!("quarterdeck/shop/test"), &named.1), "{kind:?}");
        }
    }

    #[test]
    fn each_forge_has_its_comments_where_it_has_them() {
        let of = MergeRequest { project: "ops/web/shop".to_owned(), number: 7 };
        for (kind, list, create, change) in [
            (
                Gitlab,
                Some("projects/ops%2Fweb%2Fshop/merge_requests/7/notes?per_page=100&page=2"),
                "POST projects/ops%2Fweb%2Fshop/merge_requests/7/notes",
                "PUT projects/ops%2Fweb%2Fshop/merge_requests/7/notes/31",
            ),
            (
                Github,
                Some("repos/ops/web/shop/issues/7/comments?per_page=100&page=2"),
                "POST repos/ops/web/shop/issues/7/comments",
                "PATCH repos/ops/web/shop/issues/comments/31",
            ),
            (Gitea, None, "POST repos/ops/web/shop/issues/7/comments", "PATCH repos/ops/web/shop/issues/comments/31"),
        ] {
            let api: Url = "https://forge.example/api/".parse().unwrap();
            let shown =
                |(method, url): (Method, Url)| format!("{method} {}", url.as_str().replacen(api.as_str(), "", 1));
            assert_eq!(shown(kind.comment(&api, &of, None)), create);
            assert_eq!(shown(kind.comment(&api, &of, Some(31))), change);
            let listed = kind.comments(&api, &of, 2).map(|url| url.as_str().replacen(api.as_str(), "", 1));
            assert_eq!(listed.as_deref(), list);
        }
    }

    #[test]
    fn comments_are_read_as_each_forge_lists_them() {
        for text in [
            r#"[{"id": 31, "body": "text", "author": {"username": "bot", "id": 4}, "system": false}]"#,
            r#"[{"id": 31, "body": "text", "user": {"login": "bot", "id": 4}, "html_url": "https://forge.example"}]"#,
            r#"[{"id": 31, "body": "text", "user": {"login": "bot", "username": "bot"}}]"#,
        ] {
            let one = Listed { id: 31, body: "text".to_owned(), author: "bot".to_owned() };
            assert_eq!(listed(text), [one], "{text}");
        }
    }

    #[test]
    fn an_answer_says_whether_to_try_again() {
        let stays = r#"{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}"#;
        for (kind, status, body, meaning) in [
            (Gitlab, 201, "{}", Meaning::Accepted),
            (Gitlab, 400, stays, Meaning::Accepted),
            (Gitea, 400, stays, Meaning::Rejected),
            (Gitlab, 404, r#"{"message":"404 References for commit Not Found"}"#, Meaning::Rejected),
            (Gitlab, 409, "", Meaning::Away),
            (Github, 401, "", Meaning::Refused),
            (Github, 403, "", Meaning::Refused),
            (Github, 403, r#"{"message":"You have exceeded a secondary rate limit"}"#, Meaning::Away),
            (Github, 422, "", Meaning::Rejected),
            (Github, 429, "", Meaning::Away),
            (Gitea, 502, "", Meaning::Away),
            (Gitea, 301, "", Meaning::Rejected),
        ] {
            assert_eq!(kind.meaning(StatusCode::from_u16(status).unwrap(), body), meaning, "{kind:?} {status}");
        }
    }

    #[test]
    fn a_forge_says_how_long_it_wants_to_be_left_alone() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (headers, wait) in [
            // GitLab's 429; GitHub's secondary limit; a proxy.
            (&[("retry-after", "42"), ("ratelimit-reset", "1800000042")][..], Some(42)),
            (&[("retry-after", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800003600")], Some(60)),
            (&[("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT")], Some(60)),
            // GitHub's primary limit, also with a clock that is ahead of ours.
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000600")], Some(600)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1799999000")], Some(0)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1900000000")], Some(3_600)),
            // A limit of Gitea's proxy by its number, an outage, and what is no pause.
            (&[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1800000600")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| *value);
            assert_eq!(pause(header, now), wait.map(Duration::from_secs), "{headers:?}");
        }
    }

    #[test]
    fn of_an_answer_its_message_is_told() {
        for (body, told) in [
            (r#"{"message":"404 Project Not Found"}"#, "404 Project Not Found"),
            (r#"{"error":"insufficient_scope"}"#, "insufficient_scope"),
            (r#"{"message":{"state":["is missing"]}}"#, r#"{"state":["is missing"]}"#),
            ("Retry later\n", "Retry later"),
        ] {
            assert_eq!(message(body), told);
        }
        assert_eq!(message(&"x".repeat(1000)).len(), WORDS_MAX);
    }
}
