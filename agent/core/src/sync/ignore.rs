//! Fields that an object leaves to others: its annotation `quarterdeck.dev/ignore` names them, by the paths by which plans
//! and diffs name fields, with white space between them.
//!
//! Git's value of such a field counts when the object is made. From then on whoever wants to may change it: that is no
//! drift ([`crate::sync::managed_fields::digest`]), and no sync writes it again ([`crate::sync::concede`]).

use serde_json::Value;

use crate::sync::path::{Step, parse, readable};
use crate::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL};

/// On an object: which of its fields are nobody's business but theirs who change them.
pub const IGNORE_ANNOTATION: &str = "quarterdeck.dev/ignore";

/// The fields that the object leaves to others.
///
/// # Errors
/// Names the path that is none, or that no object can do without.
pub fn fields(object: &Value) -> Result<Vec<Vec<Step>>, String> {
    let Some(written) = object["metadata"]["annotations"][IGNORE_ANNOTATION].as_str() else { return Ok(Vec::new()) };
    written.split_whitespace().map(field).collect()
}

/// Whether an object can leave the field at this path to others.
pub fn can_be_left(path: &str) -> bool {
    !path.contains(char::is_whitespace) && field(path).is_ok()
}

fn field(written: &str) -> Result<Vec<Step>, String> {
    let path = parse(written).map_err(|why| format!("{written}: {why}"))?;
    match kept().into_iter().find(|kept| kept.starts_with(&path)) {
        Some(kept) => Err(format!("{written}: an object cannot do without its {}", readable(&kept))),
        None => Ok(path),
    }
}

/// What tells which object it is, and whose.
fn kept() -> [Vec<Step>; 7] {
    let path = |names: &[&str]| names.iter().map(|name| Step::Field((*name).to_owned())).collect();
    [
        path(&["apiVersion"]),
        path(&["kind"]),
        path(&["metadata", "name"]),
        path(&["metadata", "namespace"]),
        path(&["metadata", "labels", APPLICATION_LABEL]),
        path(&["metadata", "labels", ENVIRONMENT_LABEL]),
        path(&["metadata", "annotations", IGNORE_ANNOTATION]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_object_cannot_do_without_is_refused() {
        for (written, told) in [
            ("spec.replicas metadata", "metadata: an object cannot do without its metadata.name"),
            ("kind", "an object cannot do without its kind"),
            ("metadata.labels", "metadata.labels[\"quarterdeck.dev/application\"]"),
            ("spec.replicas, spec.paused", "spec.replicas,: \"replicas,\" is not a field name"),
        ] {
            let error = fields(&json!({"metadata": {"annotations": {IGNORE_ANNOTATION: written}}})).unwrap_err();
            assert!(error.contains(told), "{written}: {error}");
        }
        assert_eq!(fields(&json!({"metadata": {"annotations": {IGNORE_ANNOTATION: " \n"}}})), Ok(vec![]));
    }
}
