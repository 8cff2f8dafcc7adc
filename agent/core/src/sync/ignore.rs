//! Fields that an object leaves to others: its annotation `quarterdeck.dev/ignore` names them, by the paths by which plans
//! and diffs name fields, with white space between them.
//!
//! Git's value of such a field counts when the object is made. From then on whoever wants to may change it: that is no
//! drift, and no sync writes it again. A field that its manager applies no more is removed by the server
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>), and so one that is still ours is
//! applied with the value that it has; one that another took over is left out.

use serde_json::Value;

use crate::sync::path::{Step, parse, readable};
use crate::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, managed_fields};

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

/// What is applied of a desired object to a live one.
pub fn yielding(desired: &Value, live: &Value, ignored: &[Vec<Step>]) -> Value {
    let mut object = desired.clone();
    for path in ignored {
        match at(live, path).filter(|_| managed_fields::goes_when_left_out(live, path)) {
            Some(value) => replace(&mut object, path, value),
            None => remove(&mut object, path),
        }
    }
    object
}

/// What is applied of a desired object where this field stays as it is in the live one, whether git names it or not.
pub fn keeping(desired: &Value, live: &Value, path: &[Step]) -> Value {
    let mut object = desired.clone();
    match at(live, path).filter(|_| managed_fields::goes_when_left_out(live, path)) {
        Some(value) => set(&mut object, path, value),
        None => remove(&mut object, path),
    }
    object
}

/// A live object without them, and without them in the set of what is ours.
pub fn without(live: &Value, ignored: &[Vec<Step>]) -> Value {
    let mut object = live.clone();
    for path in ignored {
        remove(&mut object, path);
        managed_fields::disown(&mut object, path);
    }
    object
}

pub(super) fn at<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(name) => value.get(name),
        _ => value.as_array()?.iter().find(|item| step.is_item(item)),
    })
}

/// Whether the object has something at the path, whatever it is.
pub fn is_written(object: &Value, path: &[Step]) -> bool {
    let mut reached = object;
    for step in path {
        let below = match step {
            Step::Index(place) => reached.get(*place),
            step => at(reached, std::slice::from_ref(step)),
        };
        let Some(below) = below else { return false };
        reached = below;
    }
    true
}

fn at_mut<'a>(object: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        _ => value.as_array_mut()?.iter_mut().find(|item| step.is_item(item)),
    })
}

/// Only where there is one: what git dropped does not come back.
fn replace(object: &mut Value, path: &[Step], value: &Value) {
    if let Some(place) = at_mut(object, path) {
        *place = value.clone();
    }
}

/// Only in an object that has what is above it.
fn set(object: &mut Value, path: &[Step], value: &Value) {
    let Some((Step::Field(name), above)) = path.split_last() else { return };
    if let Some(Value::Object(map)) = at_mut(object, above) {
        map.insert(name.clone(), value.clone());
    }
}

fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, above)) = path.split_last() else { return };
    match (at_mut(object, above), last) {
        (Some(Value::Object(map)), Step::Field(name)) => drop(map.remove(name)),
        (Some(Value::Array(list)), step) => list.retain(|item| !step.is_item(item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IGNORED: &str = "spec.replicas\n  spec.containers[name=shop].image";

    fn desired() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Any",
            "metadata": {"name": "a", "annotations": {IGNORE_ANNOTATION: IGNORED}},
            "spec": {"replicas": 2, "paused": false, "containers": [{"name": "shop", "image": "shop:1", "tty": true}]},
        })
    }

    /// As desired, with other values of what is ignored, and with these fields of its spec ours.
    fn live(ours: &Value) -> Value {
        let mut object = desired();
        object["spec"]["replicas"] = json!(7);
        object["spec"]["containers"][0]["image"] = json!("shop:7");
        object["metadata"]["managedFields"] = json!([
            {"manager": "quarterdeck", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:annotations": {"f:quarterdeck.dev/ignore": {}}}, "f:spec": ours,
            }},
        ]);
        object
    }

    fn both() -> Value {
        json!({"f:replicas": {}, "f:paused": {}, "f:containers": {"k:{\"name\":\"shop\"}": {
            ".": {}, "f:name": {}, "f:image": {}, "f:tty": {},
        }}})
    }

    fn neither() -> Value {
        json!({"f:paused": {}, "f:containers": {"k:{\"name\":\"shop\"}": {".": {}, "f:name": {}, "f:tty": {}}}})
    }

    #[test]
    fn what_is_still_ours_goes_along_as_it_is_and_what_is_anothers_is_left_out() {
        let ignored = fields(&desired()).unwrap();
        let sent = yielding(&desired(), &live(&both()), &ignored);
        assert_eq!((&sent["spec"]["replicas"], &sent["spec"]["containers"][0]["image"]), (&json!(7), &json!("shop:7")));
        let sent = yielding(&desired(), &live(&neither()), &ignored);
        assert_eq!(sent["spec"], json!({"paused": false, "containers": [{"name": "shop", "tty": true}]}));
        // A whole that is one value to the server is written with what it has now, whoever owns it.
        let mut whole = live(&json!({"f:paused": {}}));
        whole["metadata"]["managedFields"][0]["manager"] = json!("other");
        whole["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:spec": {}});
        assert_eq!(yielding(&desired(), &whole, &ignored)["spec"]["replicas"], json!(7));
    }

    #[test]
    fn what_git_dropped_does_not_come_back() {
        let mut desired = desired();
        desired["spec"].as_object_mut().unwrap().remove("replicas");
        let sent = yielding(&desired, &live(&both()), &fields(&desired).unwrap());
        assert_eq!(sent["spec"]["replicas"], Value::Null);
    }

    #[test]
    fn the_digest_of_what_is_ours_does_not_know_them() {
        let before = managed_fields::digest(&live(&both()));
        assert_eq!(managed_fields::digest(&live(&neither())), before, "another took them over");
        let mut changed = live(&both());
        changed["spec"]["replicas"] = json!(1);
        assert_eq!(managed_fields::digest(&changed), before, "their values");
        changed["spec"]["paused"] = json!(true);
        assert_ne!(managed_fields::digest(&changed), before, "a field beside them");
    }

    #[test]
    fn the_last_field_of_ours_leaves_no_trace_in_the_set() {
        let mut only = live(&json!({"f:replicas": {}}));
        let before = managed_fields::digest(&only);
        only["spec"]["paused"] = json!(true);
        assert_eq!(managed_fields::digest(&only), before, "a field that is not ours");
        only["metadata"]["managedFields"][0]["fieldsV1"].as_object_mut().unwrap().remove("f:spec");
        assert_eq!(managed_fields::digest(&only), before, "nothing of the spec is ours");
    }

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
