//! Which merge requests of a repository are open, as each forge lists them. Pure.
//!
//! | forge | is asked | of each |
//! | --- | --- | --- |
//! | GitLab | `GET /projects/ID/merge_requests?state=opened` (docs.gitlab.com/api/merge_requests) | `iid`, `sha`, `target_branch`, `source_project_id`, `target_project_id` |
//! | GitHub | `GET /repos/OWNER/NAME/pulls?state=open` (docs.github.com/rest/pulls) | `number`, `head.sha`, `head.repo.id`, `base.ref`, `base.repo.id` |
//! | Gitea, Forgejo | the same path; `sort=recentupdate`, `limit` | the same |

use quarterdeck_core::generate::Preview;
use quarterdeck_shared::revision::CommitId;
use reqwest::Url;
use serde_json::Value;

use super::below;
use crate::config::forge::ForgeKind;

/// Open merge requests of a page: no forge lists fewer at the most (Gitea: `MAX_RESPONSE_ITEMS`).
const PREVIEWS_PAGE: usize = 50;

/// An open merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMergeRequest {
    /// Its number.
    pub number: u64,
    /// Its newest commit.
    pub head: CommitId,
    /// The branch that it would be merged into.
    pub target: String,
    /// Its code is of another repository, or of one that is not there any more.
    pub is_of_fork: bool,
}

impl ForgeKind {
    /// Where the `count` open ones that changed last are listed.
    pub(in crate::forge) fn open_merge_requests(self, api: &Url, project: &str, count: usize) -> Url {
        let count = count.to_string();
        let (mut url, query) = match self {
            Self::Gitlab => {
                let query = [("state", "opened"), ("order_by", "updated_at"), ("sort", "desc"), ("per_page", &*count)];
                (below(api, ["projects", project, "merge_requests"]), query.to_vec())
            }
            Self::Github => {
                let query = [("state", "open"), ("sort", "updated"), ("direction", "desc"), ("per_page", &*count)];
                (pulls(api, project), query.to_vec())
            }
            Self::Gitea => (pulls(api, project), vec![("state", "open"), ("sort", "recentupdate"), ("limit", &*count)]),
        };
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// Where a page of all open ones is listed, the oldest first: a new one then moves no other to another page.
    pub(in crate::forge) fn all_open(self, api: &Url, project: &str, page: usize) -> Url {
        let (count, page) = (PREVIEWS_PAGE.to_string(), page.to_string());
        let (mut url, query) = match self {
            Self::Gitlab => {
                let query = [("state", "opened"), ("order_by", "created_at"), ("sort", "asc"), ("per_page", &*count)];
                (below(api, ["projects", project, "merge_requests"]), query.to_vec())
            }
            Self::Github => {
                let query = [("state", "open"), ("sort", "created"), ("direction", "asc"), ("per_page", &*count)];
                (pulls(api, project), query.to_vec())
            }
            Self::Gitea => (pulls(api, project), vec![("state", "open"), ("sort", "oldest"), ("limit", &*count)]),
        };
        url.query_pairs_mut().extend_pairs(query).append_pair("page", &page);
        url
    }

    /// Those of a page, and whether the code of each is of a fork; nothing where the answer is not all that was asked for.
    pub(in crate::forge) fn previews_listed(self, body: &str) -> Option<Vec<(Preview, bool)>> {
        let all = serde_json::from_str::<Vec<Value>>(body).ok()?;
        let open = self.open_listed(body);
        let branch = |one: &Value| match self {
            Self::Gitlab => one["source_branch"].as_str().map(str::to_owned),
            Self::Github | Self::Gitea => one["head"]["ref"].as_str().map(str::to_owned),
        };
        let preview = |(one, open): (&Value, OpenMergeRequest)| {
            let OpenMergeRequest { number, head, target, is_of_fork } = open;
            Some((Preview { number, branch: branch(one)?, commit: head, target }, is_of_fork))
        };
        // What is half said is left out of `open`, and would seem to be closed.
        (open.len() == all.len()).then(|| all.iter().zip(open).map(preview).collect())?
    }

    /// Those of an answer.
    pub(in crate::forge) fn open_listed(self, body: &str) -> Vec<OpenMergeRequest> {
        let all = serde_json::from_str::<Vec<Value>>(body).unwrap_or_default();
        let one = |one: &Value| {
            let (number, head, target, from, to) = match self {
                Self::Gitlab => (
                    &one["iid"],
                    &one["sha"],
                    &one["target_branch"],
                    &one["source_project_id"],
                    &one["target_project_id"],
                ),
                Self::Github | Self::Gitea => {
                    let (head, base) = (&one["head"], &one["base"]);
                    (&one["number"], &head["sha"], &base["ref"], &head["repo"]["id"], &base["repo"]["id"])
                }
            };
            Some(OpenMergeRequest {
                number: number.as_u64()?,
                head: head.as_str()?.parse().ok()?,
                target: target.as_str()?.to_owned(),
                is_of_fork: from.as_u64().is_none() || from != to,
            })
        };
        all.iter().filter_map(one).collect()
    }
}

fn pulls(api: &Url, project: &str) -> Url {
    below(api, ["repos"].into_iter().chain(project.split('/')).chain(["pulls"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ForgeKind::{Gitea, Github, Gitlab};

    #[test]
    fn each_forge_is_asked_for_the_open_ones() {
        for (kind, asked) in [
            (Gitlab, "projects/ops%2Fdeploy/merge_requests?state=opened&order_by=updated_at&sort=desc&per_page=20"),
            (Github, "repos/ops/deploy/pulls?state=open&sort=updated&direction=desc&per_page=20"),
            (Gitea, "repos/ops/deploy/pulls?state=open&sort=recentupdate&limit=20"),
        ] {
            let api: Url = "https://forge.example/api/".parse().unwrap();
            let url = kind.open_merge_requests(&api, "ops/deploy", 20);
            assert_eq!(url.as_str().replacen(api.as_str(), "", 1), asked);
        }
    }

    #[test]
    fn all_open_ones_are_listed_page_by_page_and_half_an_answer_is_none() {
        for (kind, asked) in [
            (Gitlab, "projects/ops%2Fshop/merge_requests?state=opened&order_by=created_at&sort=asc&per_page=50&page=2"),
            (Github, "repos/ops/shop/pulls?state=open&sort=created&direction=asc&per_page=50&page=2"),
            (Gitea, "repos/ops/shop/pulls?state=open&sort=oldest&limit=50&page=2"),
        ] {
            let api: Url = "https://forge.example/api/".parse().unwrap();
            let url = kind.all_open(&api, "ops/shop", 2);
            assert_eq!(url.as_str().replacen(api.as_str(), "", 1), asked);
        }
        let sha = "ab".repeat(20);
        let gitlab = format!(
            r#"{{"iid": 7, "sha": "{sha}", "source_branch": "fix", "target_branch": "main", "source_project_id": 4, "target_project_id": 4}}"#
        );
        let github = format!(
            r#"{{"number": 7, "head": {{"sha": "{sha}", "ref": "fix", "repo": {{"id": 5}}}}, "base": {{"ref": "main", "repo": {{"id": 4}}}}}}"#
        );
        let preview = |is_of_fork| {
            let (branch, target) = ("fix".to_owned(), "main".to_owned());
            Some(vec![(Preview { number: 7, branch, commit: sha.parse().unwrap(), target }, is_of_fork)])
        };
        assert_eq!(Gitlab.previews_listed(&format!("[{gitlab}]")), preview(false));
        assert_eq!(Gitea.previews_listed(&format!("[{github}]")), preview(true));
        assert_eq!(Github.previews_listed("[]"), Some(Vec::new()));
        for (kind, body) in [
            (Gitlab, "<html>"),
            (Github, "{\"message\": \"moved\"}"),
            (Gitlab, &*format!("[{gitlab}, {{\"iid\": 8}}]")),
            (Gitea, &*format!("[{}]", github.replace("\"ref\": \"fix\", ", ""))),
        ] {
            assert_eq!(kind.previews_listed(body), None, "{body}");
        }
    }

    #[test]
    fn they_are_read_as_each_forge_lists_them_and_one_without_a_source_is_of_a_fork() {
        let sha = "ab".repeat(20);
        let gitlab = |from: &str| {
            format!(
                r#"[{{"iid": 7, "sha": "{sha}", "target_branch": "main", "source_project_id": {from}, "target_project_id": 4}}]"#
            )
        };
        let pull = |repo: &str| {
            format!(
                r#"[{{"number": 7, "head": {{"sha": "{sha}", "repo": {repo}}}, "base": {{"ref": "main", "repo": {{"id": 4}}}}}}]"#
            )
        };
        for (kind, text, is_of_fork) in [
            (Gitlab, gitlab("4"), false),
            (Gitlab, gitlab("5"), true),
            (Gitlab, gitlab("null"), true),
            (Github, pull(r#"{"id": 4}"#), false),
            (Gitea, pull(r#"{"id": 5}"#), true),
            (Gitea, pull("null"), true),
        ] {
            let one = OpenMergeRequest { number: 7, head: sha.parse().unwrap(), target: "main".to_owned(), is_of_fork };
            assert_eq!(kind.open_listed(&text), [one], "{text}");
        }
        assert_eq!(Github.open_listed(r#"[{"number": 7}]"#), [], "what is half said is left out");
    }
}
