//! Tags of artifacts, as the API gives and takes them beside the registry.

use axum::body::Body;
use http::Response;

use super::{Harbor, Question, empty, made};
use crate::registry::State;
use crate::registry::reply::failure;

/// The tags that an artifact has.
pub(super) fn tags_of(state: &State, repository: &str, digest: &str) -> Vec<String> {
    let store = state.store();
    let is_its = |tag: &String| store.digest(repository, tag).as_deref() == Some(digest);
    store.tags(repository).into_iter().filter(is_its).collect()
}

impl Harbor {
    /// One more tag for an artifact. A name is given once in a repository.
    pub(super) fn add_tag(&self, state: &State, question: &Question, repository: &str, digest: &str) -> Response<Body> {
        let Some(tag) = question.body["name"].as_str() else {
            return failure(400, "BAD_REQUEST", "a tag has a name");
        };
        let mut store = state.store();
        let (None, Some((_, manifest))) = (store.digest(repository, tag), store.manifest(repository, digest)) else {
            return failure(409, "CONFLICT", &format!("tag {tag} already exists in the repository"));
        };
        match store.put_manifest(repository, tag, manifest) {
            Ok(_) => made(&format!("{}/{tag}", question.path)),
            Err(_) => failure(500, "UNKNOWN", "the artifact is not whole"),
        }
    }

    /// Takes a tag off an artifact, which stays.
    pub(super) fn take_tag_off(&self, state: &State, repository: &str, digest: &str, tag: &str) -> Response<Body> {
        if state.store().digest(repository, tag).as_deref() != Some(digest) {
            return failure(404, "NOT_FOUND", &format!("the tag {tag} attached to the artifact is not found"));
        }
        if self.rules.hold(repository, tag) {
            let message = format!("the tag {tag} configured as immutable, cannot be deleted");
            return failure(412, "PRECONDITION", &message);
        }
        state.store().delete_manifest(repository, tag);
        empty(200)
    }
}
