//! Which merge requests of a repository are open, as each forge lists them. Pure.
//!
//! | forge | is asked | of each |
//! | --- | --- | --- |
//! | GitLab | `GET /projects/ID/merge_requests?state=opened` (docs.gitlab.com/api/merge_requests) | `iid`, `sha`, `target_branch`, `source_project_id`, `target_project_id` |
//! | GitHub | `GET /repos/OWNER/NAME/pulls?state=open` (docs.github.com/rest/pulls) | `number`, `head.sha`, `head.repo.id`, `base.ref`, `base.repo.id` |
//! | Gitea, Forgejo | the same path; `sort=recentupdate`, `limit` | the same |

use quarterdeck_shared::revision::CommitId;
use reqwest::Url;
use serde_json::Value;

use super::below;
use crate::config::forge::ForgeKind;

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
