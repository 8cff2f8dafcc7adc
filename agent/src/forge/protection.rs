//! How each forge says whether it protects a tag, so that not everyone who may push may make it. Pure.
//!
//! | forge | is asked | a tag is protected |
//! | --- | --- | --- |
//! | GitLab | `GET /projects/ID/repository/tags/TAG` (docs.gitlab.com/api/tags) | where it says `protected` |
//! | Gitea since 1.23, Forgejo | `GET /repos/OWNER/NAME/tag_protections` (Gitea's routers/api/v1) | by the pattern of any of them |
//! | GitHub | `GET /repos/OWNER/NAME/rulesets`, then each that is about tags (docs.github.com/rest/repos/rules) | where active ones restrict its creation and its update |
//!
//! An update counts as much as a creation: a tag that is moved triggers again.

use quarterdeck_core::admission::pattern;
use reqwest::Url;
use serde_json::Value;

use super::api::{PAGE, below};
use crate::config::forge::ForgeKind;

/// Rulesets that are looked at: GitHub allows 75 of a repository, and as many of its organization.
pub(super) const RULESETS_MAX: usize = 300;

impl ForgeKind {
    /// Where it says whether a tag is protected; a page of a list where that has pages.
    pub(super) fn protection(self, api: &Url, project: &str, tag: &str, page: usize) -> Url {
        let repository = || ["repos"].into_iter().chain(project.split('/'));
        match self {
            Self::Gitlab => below(api, ["projects", project, "repository", "tags", tag]),
            Self::Gitea => below(api, repository().chain(["tag_protections"])),
            Self::Github => {
                let mut url = below(api, repository().chain(["rulesets"]));
                url.query_pairs_mut()
                    .append_pair("includes_parents", "true")
                    .append_pair("per_page", &PAGE.to_string())
                    .append_pair("page", &page.to_string());
                url
            }
        }
    }

    /// How a person protects a tag there.
    pub fn how_to_protect(self) -> &'static str {
        match self {
            Self::Gitlab => "protect the tag or its pattern, e.g. push-*, under Settings > Repository > Protected tags",
            Self::Gitea => "protect the tag or its pattern, e.g. push-*, under Settings > Tags of the repository",
            Self::Github => {
                "have an active ruleset for tags restrict both creations and updates of the tag or its pattern, e.g. push-*"
            }
        }
    }
}

/// Where one ruleset is.
pub(super) fn ruleset(api: &Url, project: &str, id: u64) -> Url {
    let id = id.to_string();
    let mut url = below(api, ["repos"].into_iter().chain(project.split('/')).chain(["rulesets", &*id]));
    url.query_pairs_mut().append_pair("includes_parents", "true");
    url
}

/// Whether GitLab's answer about a tag says that it is protected.
pub(super) fn is_protected(answer: &str) -> bool {
    serde_json::from_str::<Value>(answer).is_ok_and(|tag| tag["protected"] == true)
}

/// Whether one of Gitea's protections is about a tag.
pub(super) fn protects(answer: &str, tag: &str) -> bool {
    let all = serde_json::from_str::<Vec<Value>>(answer).unwrap_or_default();
    all.iter().filter_map(|one| one["name_pattern"].as_str()).any(|one| pattern::gitea(one, tag))
}

/// The rulesets of a page that are about tags and in force, and how many stand on the page.
pub(super) fn rulesets(answer: &str) -> (Vec<u64>, usize) {
    let all = serde_json::from_str::<Vec<Value>>(answer).unwrap_or_default();
    let ids = all.iter().filter(|one| is_of_tags(one)).filter_map(|one| one["id"].as_u64()).collect();
    (ids, all.len())
}

fn is_of_tags(ruleset: &Value) -> bool {
    ruleset["target"] == "tag" && ruleset["enforcement"] == "active"
}

/// What rulesets restrict of a tag, of those that were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Restricted {
    creation: bool,
    update: bool,
}

impl Restricted {
    /// With one more ruleset.
    pub(super) fn and(self, answer: &str, tag: &str) -> Self {
        let ruleset: Value = serde_json::from_str(answer).unwrap_or_default();
        let names = |which: &str| {
            let all = ruleset["conditions"]["ref_name"][which].as_array();
            all.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
        };
        if !is_of_tags(&ruleset) || !pattern::github(names("include"), names("exclude"), tag) {
            return self;
        }
        let rules = ruleset["rules"].as_array().into_iter().flatten().filter_map(|rule| rule["type"].as_str());
        rules.fold(self, |restricted, rule| match rule {
            "creation" => Self { creation: true, ..restricted },
            "update" => Self { update: true, ..restricted },
            _ => restricted,
        })
    }

    /// Whether only those who may bypass the rulesets make or move it.
    pub(super) fn all(self) -> bool {
        self.creation && self.update
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ForgeKind::{Gitea, Github, Gitlab};

    #[test]
    fn each_forge_is_asked_where_it_says_it() {
        for (kind, asked) in [
            (Gitlab, "projects/ops%2Fweb%2Fshop/repository/tags/push%2F1.4.0"),
            (Gitea, "repos/ops/web/shop/tag_protections"),
            (Github, "repos/ops/web/shop/rulesets?includes_parents=true&per_page=100&page=2"),
        ] {
            let api: Url = "https://forge.example/api/".parse().unwrap();
            let url = kind.protection(&api, "ops/web/shop", "push/1.4.0", 2);
            assert_eq!(url.as_str().replacen(api.as_str(), "", 1), asked);
        }
    }

    #[test]
    fn gitlab_says_it_of_the_tag() {
        for (answer, expected) in [
            (r#"{"name":"push-1","target":"2695","protected":true}"#, true),
            (r#"{"name":"push-1","target":"2695","protected":false}"#, false),
            (r#"{"name":"push-1"}"#, false),
            ("Retry later", false),
        ] {
            assert_eq!(is_protected(answer), expected, "{answer}");
        }
    }

    #[test]
    fn gitea_lists_patterns() {
        let answer = r#"[{"id":1,"name_pattern":"v*","whitelist_usernames":["ann"],"whitelist_teams":[]},
                         {"id":2,"name_pattern":"/^push-[0-9.]+$/","whitelist_usernames":[],"whitelist_teams":[]}]"#;
        for (answer, tag, expected) in
            [(answer, "push-1.4.0", true), (answer, "push-x", false), ("[]", "push-1", false), ("{}", "push-1", false)]
        {
            assert_eq!(protects(answer, tag), expected, "{tag} {answer}");
        }
    }

    #[test]
    fn github_lists_rulesets_and_says_of_each_what_it_restricts() {
        let list = r#"[{"id":1,"target":"tag","enforcement":"active"},{"id":2,"target":"branch","enforcement":"active"},
                       {"id":3,"target":"tag","enforcement":"evaluate"},{"id":4,"target":"tag","enforcement":"active"}]"#;
        assert_eq!(rulesets(list), (vec![1, 4], 4));
        assert_eq!(rulesets("{}"), (vec![], 0));
        let one = |enforcement: &str, include: &str, exclude: &str, rules: &[&str]| {
            let rules: Vec<_> = rules.iter().map(|kind| serde_json::json!({ "type": kind })).collect();
            let names = serde_json::json!({ "include": [include], "exclude": [exclude] });
            serde_json::json!({ "target": "tag", "enforcement": enforcement, "conditions": { "ref_name": names }, "rules": rules })
                .to_string()
        };
        let both = &["creation", "update", "deletion"];
        for (all, expected) in [
            (vec![one("active", "refs/tags/push-*", "", both)], true),
            (vec![one("active", "~ALL", "", &["creation"]), one("active", "refs/tags/push-*", "", &["update"])], true),
            // Whoever may push could move it.
            (vec![one("active", "~ALL", "", &["creation", "non_fast_forward"])], false),
            (vec![one("active", "~ALL", "", &["update"])], false),
            (vec![one("evaluate", "~ALL", "", both)], false),
            (vec![one("active", "~ALL", "refs/tags/push-*", both)], false),
            (vec![one("active", "refs/tags/v*", "", both)], false),
            (vec!["{}".to_owned()], false),
            (vec![], false),
        ] {
            let restricted = all.iter().fold(Restricted::default(), |before, one| before.and(one, "push-1"));
            assert_eq!(restricted.all(), expected, "{all:?}");
        }
    }
}
