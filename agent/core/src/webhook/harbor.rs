//! What a webhook of Harbor is about: the repository that something was pushed to. Pure.
//!
//! Harbor sends one of two forms, as its policy says: its own, with `event_data`, or CloudEvents, with the same below `data`. It names
//! one tag of a push at most, so the hook only means that the registry is to be asked now.

use serde_json::Value;

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The images that are followed of this repository: `library/web`.
    To(String),
    /// Those of any repository: a replication names what it copied elsewhere.
    Anywhere,
    /// None: a scan, a pull, a quota.
    Nothing,
}

/// What Harbor says in a hook; none where it is not one of Harbor.
pub fn read(body: &[u8]) -> Option<Pushed> {
    let hook: Value = serde_json::from_slice(body).ok()?;
    let kind = hook.get("type")?.as_str()?;
    let data = match hook.get("event_data") {
        Some(data) => data,
        None if kind.starts_with("harbor.") => hook.get("data")?,
        None => return None,
    };
    let repository = data.pointer("/repository/repo_full_name").and_then(Value::as_str);
    Some(match (kind, repository) {
        ("PUSH_ARTIFACT" | "harbor.artifact.pushed", Some(repository)) => Pushed::To(repository.to_owned()),
        ("PUSH_ARTIFACT" | "harbor.artifact.pushed", None) => Pushed::Anywhere,
        ("REPLICATION" | "harbor.replication.status.changed", _) => Pushed::Anywhere,
        _ => Pushed::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_push_names_its_repository_in_both_forms() {
        let repository =
            json!({ "name": "web", "namespace": "library", "repo_full_name": "library/web", "repo_type": "private" });
        let resources =
            json!([{ "digest": "sha256:954b", "tag": "1.4.0", "resource_url": "harbor.example/library/web:1.4.0" }]);
        let data = json!({ "resources": resources, "repository": repository });
        let own =
            |kind: &str| json!({ "type": kind, "occur_at": 1_586_922_308, "operator": "admin", "event_data": data });
        let cloud = |kind: &str| json!({ "specversion": "1.0", "type": kind, "source": "/projects/1/webhook/policies/15", "data": data });
        let web = Some(Pushed::To("library/web".to_owned()));
        for (hook, pushed) in [
            (own("PUSH_ARTIFACT"), web.clone()),
            (cloud("harbor.artifact.pushed"), web),
            (json!({ "type": "PUSH_ARTIFACT", "event_data": {} }), Some(Pushed::Anywhere)),
            (
                json!({ "type": "REPLICATION", "event_data": { "replication": { "job_status": "Success" } } }),
                Some(Pushed::Anywhere),
            ),
            (cloud("harbor.replication.status.changed"), Some(Pushed::Anywhere)),
            (own("PULL_ARTIFACT"), Some(Pushed::Nothing)),
            (own("SCANNING_COMPLETED"), Some(Pushed::Nothing)),
            (cloud("harbor.scan.completed"), Some(Pushed::Nothing)),
            // Of forges, and of nobody.
            (cloud("com.example.pushed"), None),
            (json!({ "object_kind": "push", "project": {} }), None),
            (json!({ "type": 7, "event_data": {} }), None),
            (json!([1]), None),
        ] {
            assert_eq!(read(hook.to_string().as_bytes()), pushed, "{hook}");
        }
        assert_eq!(read(b"payload=%7B%7D"), None);
    }
}
