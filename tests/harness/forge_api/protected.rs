//! Tags that a forge protects, as each says so: GitLab of a tag, Gitea by its patterns, GitHub by rulesets, one for each
//! pattern, and one for branches beside them.

use http::Method;
use serde_json::{Value, json};

/// The ruleset of branches; those of tags have the numbers after it.
const OF_BRANCHES: usize = 1;

/// The answer to a question about them; nothing where a path is about something else.
pub(super) fn answer(kind: &str, method: &Method, path: &[&str], patterns: &[String]) -> Option<(u16, Value)> {
    if *method != Method::GET {
        return None;
    }
    let ruleset = |at: usize| {
        let (target, include) = match at.checked_sub(OF_BRANCHES + 1) {
            None => ("branch", "~ALL".to_owned()),
            Some(at) => ("tag", format!("refs/tags/{}", patterns[at])),
        };
        json!({
            "id": at, "name": format!("ruleset {at}"), "target": target, "source_type": "Repository", "enforcement": "active",
            "conditions": { "ref_name": { "include": [include], "exclude": [] } },
            "rules": [{ "type": "creation" }, { "type": "update" }, { "type": "deletion" }],
        })
    };
    let last = OF_BRANCHES + patterns.len();
    Some(match *path {
        ["projects", _, "repository", "tags", tag] if kind == "gitlab" => {
            let is_protected = patterns.iter().any(|pattern| matches(pattern, &tag.replace("%2F", "/")));
            (200, json!({ "name": tag, "message": "", "protected": is_protected }))
        }
        ["repos", _, _, "tag_protections"] if kind == "gitea" => {
            let one = |(at, pattern): (usize, &String)| json!({ "id": at + 1, "name_pattern": pattern, "whitelist_usernames": ["ann"] });
            (200, patterns.iter().enumerate().map(one).collect())
        }
        ["repos", _, _, "rulesets"] if kind == "github" => {
            let listed = |at: usize| {
                let whole = ruleset(at);
                // What a ruleset is about stands in its own answer alone.
                json!({ "id": whole["id"], "name": whole["name"], "target": whole["target"], "enforcement": whole["enforcement"] })
            };
            (200, (OF_BRANCHES..=last).map(listed).collect())
        }
        ["repos", _, _, "rulesets", id] if kind == "github" => match id.parse() {
            Ok(id) if (OF_BRANCHES..=last).contains(&id) => (200, ruleset(id)),
            _ => (404, json!({ "message": "Not Found" })),
        },
        _ => return None,
    })
}

/// GitLab's wildcard, as far as stories need it: a name, or its beginning.
fn matches(pattern: &str, tag: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == tag, |beginning| tag.starts_with(beginning))
}
