//! Labels of the stand-in's projects, and the artifacts that they are on.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};

use super::{Harbor, Question, empty, made, page};
use crate::registry::reply::failure;

/// All labels, and where they are: the repository with its project, the digest, the number of the label.
#[derive(Debug, Default)]
pub(in crate::registry) struct Labels {
    made: Vec<Label>,
    set: BTreeSet<(String, String, i64)>,
}

#[derive(Debug)]
struct Label {
    id: i64,
    name: String,
    project: i64,
}

impl Label {
    fn shown(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "description": "", "color": "#0065AB", "scope": "p", "project_id": self.project })
    }
}

impl Labels {
    /// Names of the labels that are on an artifact, in order.
    pub(in crate::registry) fn names(&self, repository: &str, digest: &str) -> Vec<String> {
        let is_on = |label: &&Label| self.are_on(repository, digest, label.id);
        let mut names: Vec<String> = self.made.iter().filter(is_on).map(|label| label.name.clone()).collect();
        names.sort();
        names
    }

    pub(super) fn are_on(&self, repository: &str, digest: &str, id: i64) -> bool {
        self.set.contains(&(repository.to_owned(), digest.to_owned(), id))
    }

    pub(super) fn on(&self, repository: &str, digest: &str) -> Vec<Value> {
        self.made.iter().filter(|label| self.are_on(repository, digest, label.id)).map(Label::shown).collect()
    }

    pub(super) fn set(&mut self, repository: &str, digest: &str, id: Option<i64>) -> Response<Body> {
        let Some(id) = id.filter(|id| self.made.iter().any(|label| label.id == *id)) else {
            return failure(404, "NOT_FOUND", "label not found");
        };
        if !self.set.insert((repository.to_owned(), digest.to_owned(), id)) {
            return failure(409, "CONFLICT", &format!("label {id} is already added to the artifact"));
        }
        empty(200)
    }

    pub(super) fn take_off(&mut self, repository: &str, digest: &str, id: Option<i64>) -> Response<Body> {
        match id.is_some_and(|id| self.set.remove(&(repository.to_owned(), digest.to_owned(), id))) {
            true => empty(200),
            false => failure(404, "NOT_FOUND", "reference of the label not found"),
        }
    }
}

impl Harbor {
    /// The labels of a project, or one more of them. Harbor finds a name by a part of it.
    pub(super) fn all_labels(&mut self, question: &Question) -> Response<Body> {
        if question.method == Method::POST {
            let (name, project) = (question.body["name"].as_str(), question.body["project_id"].as_i64());
            let (Some(name), Some(project), Some("p")) = (name, project, question.body["scope"].as_str()) else {
                return failure(400, "BAD_REQUEST", "a label of a project has a name, a scope and a project");
            };
            if self.labels.made.iter().any(|label| label.name == name && label.project == project) {
                return failure(409, "CONFLICT", &format!("label {name} already exists"));
            }
            let id = self.labels.made.len() as i64 + 1;
            self.labels.made.push(Label { id, name: name.to_owned(), project });
            return made(&format!("/api/v2.0/labels/{id}"));
        }
        let (Some("p"), Some(project)) = (question.value("scope"), question.value("project_id")) else {
            return failure(400, "BAD_REQUEST", "scope in query is required, and of a project its number");
        };
        let is_meant = |label: &&Label| {
            label.project.to_string() == project && question.value("name").is_none_or(|part| label.name.contains(part))
        };
        let all: Vec<Value> = self.labels.made.iter().filter(is_meant).map(Label::shown).collect();
        page(question, &all)
    }
}
