//! Strategic merge patch: JSON merge patch that knows which lists merge by a key, with its `$patch`, `$retainKeys`,
//! `$deleteFromPrimitiveList` and `$setElementOrder` directives.

use serde_json::{Map, Value};

use crate::cluster::schema::{Field, ListKind, ListPatch, Shape};

/// Lays the patch over the object.
pub fn merge(target: &mut Value, patch: &Value, shape: &Shape) {
    match (target, patch) {
        (Value::Object(map), Value::Object(changes)) => merge_map(map, changes, shape),
        (target, _) => *target = without_directives(patch),
    }
}

fn merge_map(map: &mut Map<String, Value>, changes: &Map<String, Value>, shape: &Shape) {
    match changes.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *map = without_directives(&Value::Object(changes.clone())).as_object().cloned().unwrap_or_default();
            return;
        }
        Some("delete") => return map.clear(),
        _ => {}
    }
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| kept.iter().any(|name| name == key));
    }
    for (key, change) in changes.iter().filter(|(key, _)| !key.starts_with('$')) {
        if change.is_null() {
            map.remove(key);
            continue;
        }
        let field = shape.fields().and_then(|of| of.fields.get(key));
        let below = field.map(|field| &field.shape).or_else(|| shape.member(key)).unwrap_or(&Shape::Any);
        match (change, below) {
            (Value::Array(items), Shape::List(of, kind)) => {
                let target = map.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()));
                let order = changes.get(&format!("$setElementOrder/{key}"));
                merge_list(target, items, of, &rule(field, kind), order);
            }
            (Value::Object(_), _) => {
                merge(map.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), change, below);
            }
            _ => drop(map.insert(key.clone(), change.clone())),
        }
    }
    for (key, gone) in changes {
        let list = key.strip_prefix("$deleteFromPrimitiveList/").and_then(|name| map.get_mut(name));
        if let (Some(Value::Array(items)), Some(gone)) = (list, gone.as_array()) {
            items.retain(|item| !gone.contains(item));
        }
    }
}

/// How a list is patched.
enum Rule {
    By(String),
    Union,
    Whole,
}

fn rule(field: Option<&Field>, kind: &ListKind) -> Rule {
    match (field.map(|field| &field.patch), kind) {
        (Some(ListPatch::By(key)), _) => Rule::By(key.clone()),
        (Some(ListPatch::Union), _) => Rule::Union,
        (Some(ListPatch::Whole), _) => Rule::Whole,
        (_, ListKind::Map(keys)) => keys.first().map_or(Rule::Whole, |key| Rule::By(key.clone())),
        (_, ListKind::Set) => Rule::Union,
        (_, ListKind::Atomic) => Rule::Whole,
    }
}

fn merge_list(target: &mut Value, changes: &[Value], of: &Shape, rule: &Rule, order: Option<&Value>) {
    let replaces = changes.iter().any(|item| item.get("$patch").and_then(Value::as_str) == Some("replace"));
    let Value::Array(items) = target else { return *target = without_directives(&Value::Array(changes.to_vec())) };
    match rule {
        _ if replaces => {
            let kept = changes.iter().filter(|item| item.get("$patch").is_none());
            *items = kept.map(without_directives).collect();
        }
        Rule::Whole => *items = changes.iter().map(without_directives).collect(),
        Rule::Union => {
            let before = items.clone();
            items.extend(changes.iter().filter(|change| !before.contains(change)).cloned());
            *items = ordered(std::mem::take(items), changes, &before, |one, other| one == other);
        }
        Rule::By(key) => {
            let before = items.clone();
            for change in changes {
                let at = items.iter().position(|item| item.get(key) == change.get(key));
                let deletes = change.get("$patch").and_then(Value::as_str) == Some("delete");
                match (at, deletes) {
                    (Some(at), true) => drop(items.remove(at)),
                    (Some(at), false) => merge(&mut items[at], change, of),
                    (None, true) => {}
                    (None, false) => items.push(without_directives(change)),
                }
            }
            let order = order.and_then(Value::as_array).map_or(changes, Vec::as_slice);
            *items = ordered(std::mem::take(items), order, &before, |one, other| one.get(key) == other.get(key));
        }
    }
}

/// Items that the patch names come in its order; the others stay before and behind what they were before and behind.
fn ordered(items: Vec<Value>, patch: &[Value], before: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(patch, item).is_some());
    named.sort_by_key(|item| place(patch, item));
    let mut others = others.into_iter().peekable();
    let mut out = Vec::new();
    for item in named {
        let at = place(before, &item);
        while others.peek().is_some_and(|other| at.is_some() && place(before, other) < at) {
            out.extend(others.next());
        }
        out.push(item);
    }
    out.extend(others);
    out
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_directives(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_directives).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::schema::known;

    #[track_caller]
    fn check(kind: &str, object: Value, patch: Value, wanted: Value) {
        let mut out = object;
        merge(&mut out, &patch, &known(kind).expect("known"));
        assert_eq!(out, wanted);
    }

    #[test]
    fn lists_merge_by_their_key() {
        check(
            "PodSpec",
            json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]}),
            json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "b", "$patch": "delete"}, {"name": "c"}]}),
            json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "c"}]}),
        );
    }

    #[test]
    fn retained_keys() {
        check(
            "DeploymentSpec",
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
            json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
            json!({"strategy": {"type": "Recreate"}}),
        );
    }

    #[test]
    fn sets_and_nulls() {
        check(
            "ObjectMeta",
            json!({"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}),
            json!({"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"x": null}}),
            json!({"finalizers": ["c", "b"], "labels": {"y": "2"}}),
        );
    }
}
