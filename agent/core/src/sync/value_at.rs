//! Values of an object by the paths by which plans and diffs name them.

use serde_json::Value;

use crate::sync::path::Step;

/// The value at the path, where the object has one.
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
pub(super) fn replace(object: &mut Value, path: &[Step], value: &Value) {
    if let Some(place) = at_mut(object, path) {
        *place = value.clone();
    }
}

/// Only in an object that has what is above it.
pub(super) fn set(object: &mut Value, path: &[Step], value: &Value) {
    let Some((Step::Field(name), above)) = path.split_last() else { return };
    if let Some(Value::Object(map)) = at_mut(object, above) {
        map.insert(name.clone(), value.clone());
    }
}

/// Takes the field or item away that the path leads to.
pub(super) fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, above)) = path.split_last() else { return };
    match (at_mut(object, above), last) {
        (Some(Value::Object(map)), Step::Field(name)) => drop(map.remove(name)),
        (Some(Value::Array(list)), step) => list.retain(|item| !step.is_item(item)),
        _ => {}
    }
}
