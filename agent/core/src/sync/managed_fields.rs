//! What of a live object is ours: the fields that our field manager owns, by the `managedFields` that the API server
//! keeps (fieldsV1, structured-merge-diff's set of paths as nested JSON).
//!
//! The digest of these fields and their values is how drift is noticed without a request. It stays the same while
//! others write what is theirs (status, a revision annotation, the replicas of an autoscaler, another's label), and it
//! changes when somebody changes, takes over or removes a field of ours. So an object whose manifest and whose digest
//! are as at the last sync needs no dry run: applying it again would change nothing.

use std::fmt;

use quarterdeck_shared::application::EnvironmentId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::sync::digest::ContentDigest;
use crate::sync::path::Step;
use crate::sync::value_at;
use crate::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL, ignore, normalize};

/// The field manager that all we write is written as.
pub const MANAGER: &str = "quarterdeck";

/// Whose an object says that it is, by its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner<'a> {
    /// The application.
    pub application: &'a str,
    /// The environment; absent where somebody labelled it with the application alone.
    pub environment: Option<&'a str>,
}

impl Owner<'_> {
    /// Whether it is this environment.
    pub fn is(&self, id: &EnvironmentId) -> bool {
        self.application == id.application.as_str() && self.environment == Some(id.environment.as_str())
    }

    /// The environment, where it can be one.
    pub fn id(&self) -> Option<EnvironmentId> {
        Some(EnvironmentId {
            application: self.application.parse().ok()?,
            environment: self.environment?.parse().ok()?,
        })
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment {
            Some(environment) => write!(f, "{}/{environment}", self.application),
            None => f.write_str(self.application),
        }
    }
}

/// Whose the object says that it is.
pub fn owner_of(object: &Value) -> Option<Owner<'_>> {
    owner_by(&object["metadata"]["labels"])
}

/// Whose the object with these labels is.
pub fn owner_by(labels: &Value) -> Option<Owner<'_>> {
    let application = labels[APPLICATION_LABEL].as_str()?;
    Some(Owner { application, environment: labels[ENVIRONMENT_LABEL].as_str() })
}

/// The digest of what we own in a live object, but for what it leaves to others. Of an object in which we own nothing it is
/// that of its whole content.
pub fn digest(live: &Value) -> ContentDigest {
    // A list of these that nobody can read was never applied by us.
    match ignore::fields(live).unwrap_or_default() {
        ignored if ignored.is_empty() => digest_of_all(live),
        ignored => digest_of_all(&without(live, &ignored)),
    }
}

/// A live object without what it leaves to others, and without it in the set of what is ours.
pub fn without(live: &Value, ignored: &[Vec<Step>]) -> Value {
    let mut object = live.clone();
    for path in ignored {
        value_at::remove(&mut object, path);
        disown(&mut object, path);
    }
    object
}

fn digest_of_all(live: &Value) -> ContentDigest {
    let mut bytes = Vec::with_capacity(1024);
    match ours(live) {
        Some(fields) => write_owned(fields, Some(live), &mut bytes),
        None => write_json(&normalize::normalise(live), &mut bytes),
    }
    // An object on its way out is not as we left it, whatever its fields say.
    bytes.push(u8::from(live["metadata"]["deletionTimestamp"].is_string()));
    ContentDigest(Sha256::digest(&bytes).into())
}

/// The set of fields that we applied, where the server tells.
fn ours(live: &Value) -> Option<&Value> {
    entries(live).find(|entry| is_our_apply(entry)).map(|entry| &entry["fieldsV1"])
}

/// Whether we applied the object.
pub fn is_applied(live: &Value) -> bool {
    ours(live).is_some()
}

fn is_our_apply(entry: &Value) -> bool {
    entry["manager"] == MANAGER && entry["operation"] == "Apply" && entry["subresource"].is_null()
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live["metadata"]["managedFields"].as_array().into_iter().flatten()
}

fn write_owned(fields: &Value, live: Option<&Value>, bytes: &mut Vec<u8>) {
    let Some(children) = fields.as_object().filter(|map| !map.is_empty()) else {
        // A leaf of the set: a scalar, an atomic list or map, or something that was empty when we applied it.
        return live.map(|value| write_json(value, bytes)).unwrap_or_default();
    };
    // The items of a list in the order that the list has them: the order of containers and variables means something.
    let mut places: Vec<(Option<usize>, &String, &Value)> =
        children.iter().map(|(step, below)| (live.and_then(|value| place(value, step)), step, below)).collect();
    places.sort_by_key(|(place, _, _)| *place);
    for (place, step, below) in places {
        if step == "." {
            continue;
        }
        bytes.extend_from_slice(step.as_bytes());
        bytes.push(0);
        let value = match place {
            Some(at) => live.and_then(|list| list.get(at)),
            None => live.and_then(|value| value.get(step.strip_prefix("f:")?)),
        };
        write_owned(below, value, bytes);
    }
}

fn write_json(value: &Value, bytes: &mut Vec<u8>) {
    // Writing JSON of a value into memory does not fail.
    let _ = serde_json::to_writer(bytes, value);
}

/// The place of the list item that a step of fieldsV1 leads to; none for a field.
fn place(list: &Value, step: &str) -> Option<usize> {
    let (kind, rest) = step.split_at_checked(2)?;
    let list = list.as_array()?;
    match kind {
        "i:" => rest.parse().ok(),
        "k:" => {
            let keys: Value = serde_json::from_str(rest).ok()?;
            let keys = keys.as_object()?;
            list.iter().position(|item| keys.iter().all(|(name, wanted)| item.get(name) == Some(wanted)))
        }
        "v:" => {
            let wanted: Value = serde_json::from_str(rest).ok()?;
            list.iter().position(|item| *item == wanted)
        }
        _ => None,
    }
}

/// Who set the value at the path: another manager before us, since it is the other whom a person asks about.
pub fn manager_at(live: &Value, path: &[Step]) -> Option<String> {
    let mut found = None;
    for entry in entries(live).filter(writes_content) {
        let Some(manager) = entry["manager"].as_str() else { continue };
        if !holds(&entry["fieldsV1"], path) {
            continue;
        }
        if manager != MANAGER {
            return Some(manager.to_owned());
        }
        found = Some(manager.to_owned());
    }
    found
}

/// Whether the entry is of one who wrote more than a status. `kubectl scale` writes content through a subresource.
fn writes_content(entry: &&Value) -> bool {
    entry["subresource"] != "status"
}

/// Whether the set has this path, or a leaf above it (an atomic whole), or anything below it.
fn holds(fields: &Value, path: &[Step]) -> bool {
    let Some(children) = fields.as_object() else { return false };
    let Some((first, rest)) = path.split_first() else { return true };
    if children.is_empty() {
        return true;
    }
    children.iter().any(|(step, below)| matches(step, first) && holds(below, rest))
}

fn matches(encoded: &str, step: &Step) -> bool {
    match (encoded.split_at_checked(2), step) {
        (Some(("f:", name)), Step::Field(field)) => name == field,
        (Some(("i:", place)), Step::Index(index)) => place.parse() == Ok(*index),
        (Some(("k:", keys)), Step::Item(_)) => step.is_item(&serde_json::from_str(keys).unwrap_or_default()),
        _ => false,
    }
}

/// Whether the value at the path would go if we applied the object without it: where it is ours, and where it is part of a
/// whole that is one value to the server, whoever has that.
pub fn goes_when_left_out(live: &Value, path: &[Step]) -> bool {
    ours(live).is_some_and(|fields| holds(fields, path)) || entries(live).any(|e| is_in_whole(&e["fieldsV1"], path))
}

/// Whether the set has a leaf above this path.
fn is_in_whole(fields: &Value, path: &[Step]) -> bool {
    let (Some(children), Some((first, rest))) = (fields.as_object(), path.split_first()) else { return false };
    let mut below = children.iter().filter(|(step, _)| matches(step, first)).map(|(_, below)| below);
    below.any(|below| if is_leaf(below) { !rest.is_empty() } else { is_in_whole(below, rest) })
}

fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_none_or(|children| children.is_empty())
}

/// Takes the path out of the set of what is ours.
fn disown(live: &mut Value, path: &[Step]) {
    let all = live.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut).into_iter().flatten();
    for entry in all.filter(|entry| is_our_apply(entry)) {
        remove(&mut entry["fieldsV1"], path);
    }
}

/// What has nothing left below it goes too: a leaf means the whole value, and it was none.
fn remove(fields: &mut Value, path: &[Step]) {
    let (Some(children), Some((first, rest))) = (fields.as_object_mut(), path.split_first()) else { return };
    children.retain(|step, below| match (matches(step, first), rest.is_empty()) {
        (false, _) => true,
        (true, true) => false,
        (true, false) => {
            let is_whole = is_leaf(below);
            remove(below, rest);
            is_whole || !is_leaf(below)
        }
    });
}

/// Who wrote to the object last, other than us and other than to its status.
pub fn last_other_manager(live: &Value) -> Option<String> {
    entries(live)
        .filter(|entry| entry["manager"] != MANAGER && writes_content(entry))
        .max_by_key(|entry| entry["time"].as_str().unwrap_or_default())
        .and_then(|entry| entry["manager"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "shop", "resourceVersion": "7",
                "labels": {"app": "shop"},
                "managedFields": [
                    {"manager": "quarterdeck", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:app": {}}},
                        "f:spec": {
                            "f:replicas": {},
                            "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"shop\"}": {
                                ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                            }}}},
                        },
                    }},
                    {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                     "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:status": {"f:replicas": {}}}},
                    {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {
                        "f:spec": {"f:paused": {}},
                    }},
                ],
            },
            "spec": {"replicas": 2, "paused": false, "template": {"spec": {"containers": [
                {"name": "sidecar", "image": "side:1"},
                {"name": "shop", "image": "shop:1", "args": ["a", "b"], "imagePullPolicy": "Always"},
            ]}}},
            "status": {"replicas": 2},
        })
    }

    #[test]
    fn the_digest_changes_with_what_is_ours_and_with_nothing_else() {
        let before = digest(&shop());
        type Edit = fn(&mut Value);
        let cases: [(&str, bool, Edit); 12] = [
            ("status", false, |o| o["status"]["replicas"] = json!(1)),
            ("resource version", false, |o| o["metadata"]["resourceVersion"] = json!("8")),
            ("another's label", false, |o| o["metadata"]["labels"]["team"] = json!("x")),
            ("another's field of our list item", false, |o| {
                o["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = json!("Never");
            }),
            ("another's list item", false, |o| {
                o["spec"]["template"]["spec"]["containers"][0]["image"] = json!("side:2");
            }),
            ("the time of our entry", false, |o| {
                o["metadata"]["managedFields"][0]["time"] = json!("2027-01-01T00:00:00Z");
            }),
            ("another's item before ours", false, |o| {
                let containers = o["spec"]["template"]["spec"]["containers"].as_array_mut();
                if let Some(list) = containers {
                    list.reverse();
                }
            }),
            ("our scalar", true, |o| o["spec"]["replicas"] = json!(3)),
            ("our label", true, |o| o["metadata"]["labels"]["app"] = json!("other")),
            ("our list item's field", true, |o| {
                o["spec"]["template"]["spec"]["containers"][1]["image"] = json!("shop:2");
            }),
            ("a field that another took over with the same value", true, |o| {
                if let Some(spec) = o["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"].as_object_mut() {
                    spec.remove("f:replicas");
                }
            }),
            ("on its way out", true, |o| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
        ];
        for (what, changes, edit) in cases {
            let mut after = shop();
            edit(&mut after);
            assert_eq!(digest(&after) != before, changes, "{what}");
        }
    }

    #[test]
    fn the_order_of_our_items_is_ours() {
        let object = |names: [&str; 2]| {
            json!({
                "metadata": {"managedFields": [{"manager": "quarterdeck", "operation": "Apply", "fieldsV1": {"f:env": {
                    "k:{\"name\":\"a\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"b\"}": {".": {}, "f:name": {}},
                }}}]},
                "env": [{"name": names[0]}, {"name": names[1]}],
            })
        };
        assert_ne!(digest(&object(["a", "b"])), digest(&object(["b", "a"])));
    }

    #[test]
    fn an_object_in_which_we_own_nothing_is_digested_whole() {
        let mut foreign = shop();
        foreign["metadata"]["managedFields"] = json!([]);
        let before = digest(&foreign);
        assert_ne!(before, digest(&shop()));
        foreign["spec"]["paused"] = json!(true);
        assert_ne!(before, digest(&foreign));
        let before = digest(&foreign);
        foreign["status"]["replicas"] = json!(9);
        assert_eq!(before, digest(&foreign));
    }

    #[test]
    fn a_field_that_was_written_through_a_subresource_has_its_manager() {
        let scaled = json!({"metadata": {"managedFields": [
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "time": "2026-01-02T00:00:00Z",
             "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-01-03T00:00:00Z",
             "fieldsV1": {"f:status": {"f:replicas": {}}}},
        ]}});
        let path = ["spec", "replicas"].map(|name| Step::Field(name.to_owned()));
        assert_eq!(manager_at(&scaled, &path).as_deref(), Some("kubectl"));
        assert_eq!(last_other_manager(&scaled).as_deref(), Some("kubectl"));
    }

    #[test]
    fn the_manager_of_a_field_is_told() {
        let field = |name: &str| Step::Field(name.to_owned());
        let container = Step::Item(vec![("name".into(), json!("shop"))]);
        for (path, manager) in [
            (vec![field("spec"), field("replicas")], Some("quarterdeck")),
            (vec![field("spec"), field("paused")], Some("kubectl-edit")),
            (vec![field("spec"), field("nothing")], None),
            (
                vec![field("spec"), field("template"), field("spec"), field("containers"), container, field("image")],
                Some("quarterdeck"),
            ),
        ] {
            assert_eq!(manager_at(&shop(), &path).as_deref(), manager, "{path:?}");
        }
        assert_eq!(last_other_manager(&shop()).as_deref(), Some("kubectl-edit"));
    }
}
