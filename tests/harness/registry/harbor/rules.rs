//! Immutable tag rules of the stand-in's projects, and which tags they hold.
//!
//! Its patterns end in a star at most: what Harbor makes of other patterns is a table of the agent's.

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};

use super::{Harbor, Question, made, page};
use crate::registry::reply::failure;

/// The rules, of each the name of its project and what Harbor tells of it.
#[derive(Debug, Default)]
pub(in crate::registry) struct Rules(Vec<(String, Value)>);

impl Rules {
    /// Tags of a project cannot be overwritten from now on.
    pub(in crate::registry) fn add(&mut self, project: &str, repositories: &str, tags: &str) {
        let selector = |decoration: &str, pattern: &str| json!({ "kind": "doublestar", "decoration": decoration, "pattern": pattern });
        let rule = json!({
            "disabled": false, "action": "immutable", "template": "immutable_template",
            "tag_selectors": [selector("matches", tags)],
            "scope_selectors": { "repository": [selector("repoMatches", repositories)] },
        });
        self.put(project, rule);
    }

    /// Every rule is gone.
    pub(in crate::registry) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a rule holds a tag of a repository, which is named with its project.
    pub(in crate::registry) fn hold(&self, repository: &str, tag: &str) -> bool {
        let Some((project, name)) = repository.split_once('/') else { return false };
        self.0.iter().any(|(of, rule)| {
            let pattern = |of: &Value| of[0]["pattern"].as_str().unwrap_or_default().to_owned();
            let (names, tags) = (pattern(&rule["scope_selectors"]["repository"]), pattern(&rule["tag_selectors"]));
            of == project && rule["disabled"] != true && is_matched(&names, name) && is_matched(&tags, tag)
        })
    }

    fn put(&mut self, project: &str, mut rule: Value) -> usize {
        rule["id"] = (self.0.len() + 1).into();
        // What was left out has the default of its kind, as in Harbor.
        rule["disabled"] = rule["disabled"].as_bool().unwrap_or_default().into();
        rule["priority"] = rule["priority"].as_i64().unwrap_or_default().into();
        self.0.push((project.to_owned(), rule));
        self.0.len()
    }
}

fn is_matched(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start.trim_end_matches('*')),
        None => pattern == text,
    }
}

impl Harbor {
    /// The rules of a project, or one more of them.
    pub(super) fn immutable_tag_rules(&mut self, question: &Question) -> Response<Body> {
        let project = &question.steps[1];
        if question.method == Method::POST {
            if question.body["scope_selectors"]["repository"][0].is_null()
                || question.body["tag_selectors"][0].is_null()
            {
                return failure(400, "BAD_REQUEST", "a rule has selectors for repositories and for tags");
            }
            let id = self.rules.put(project, question.body.clone());
            return made(&format!("{}/{id}", question.path));
        }
        let of = |(of, rule): &(String, Value)| (of == project).then(|| rule.clone());
        let all: Vec<Value> = self.rules.0.iter().filter_map(of).collect();
        page(question, &all)
    }
}
