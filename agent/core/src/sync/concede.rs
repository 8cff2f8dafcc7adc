//! What is applied of a desired object where fields of it are left to others.
//!
//! A field that its manager applies no more is removed by the server
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>), and so one that is still ours is
//! applied with the value that it has; one that another took over is left out.

use serde_json::Value;

use crate::sync::managed_fields;
use crate::sync::path::Step;
use crate::sync::value_at::{at, remove, replace, set};

/// What is applied of a desired object to a live one.
pub fn yielding(desired: &Value, live: &Value, ignored: &[Vec<Step>]) -> Value {
    let mut object = desired.clone();
    for path in ignored {
        match kept(live, path) {
            Some(value) => replace(&mut object, path, value),
            None => remove(&mut object, path),
        }
    }
    object
}

/// What is applied of a desired object where this field stays as it is in the live one, whether git names it or not.
pub fn keeping(desired: &Value, live: &Value, path: &[Step]) -> Value {
    let mut object = desired.clone();
    match kept(live, path) {
        Some(value) => set(&mut object, path, value),
        None => remove(&mut object, path),
    }
    object
}

/// The value that is applied so that the field stays as it is; none where it stays when it is left out.
fn kept<'a>(live: &'a Value, path: &[Step]) -> Option<&'a Value> {
    at(live, path).filter(|_| managed_fields::goes_when_left_out(live, path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sync::ignore::{IGNORE_ANNOTATION, fields};

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
}
