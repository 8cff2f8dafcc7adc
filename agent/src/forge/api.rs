//! What each forge is asked, and what its answers mean. Pure.
//!
//! | forge | a status | its states |
//! | --- | --- | --- |
//! | GitLab | `POST /projects/ID/statuses/SHA` (docs.gitlab.com/api/commits) | pending, running, success, failed, canceled, skipped |
//! | GitHub | `POST /repos/OWNER/NAME/statuses/SHA` (docs.github.com/rest/commits/statuses) | pending, success, failure, error |
//! | Gitea, Forgejo | the same path | pending, success, failure, error; newer ones more |

use quarterdeck_core::commit_status::State;
use quarterdeck_shared::revision::CommitId;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::config::forge::ForgeKind;

/// Characters of an answer that are told: what a person needs to know why.
const WORDS_MAX: usize = 200;

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

/// What an answer to a status means.
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

    /// What an answer to a status means.
    pub(super) fn meaning(self, status: StatusCode, body: &str) -> Meaning {
        match status.as_u16() {
            200..300 => Meaning::Accepted,
            // What it knows already is an error to GitLab.
            400 if self == Self::Gitlab && body.contains("Cannot transition status") => Meaning::Accepted,
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
            (Github, 422, "", Meaning::Rejected),
            (Github, 429, "", Meaning::Away),
            (Gitea, 502, "", Meaning::Away),
            (Gitea, 301, "", Meaning::Rejected),
        ] {
            assert_eq!(kind.meaning(StatusCode::from_u16(status).unwrap(), body), meaning, "{kind:?} {status}");
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
