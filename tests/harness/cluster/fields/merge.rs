//! Merges an applied object into a live one: maps by key, lists by what identifies their items, the rest replaced.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::Element;
use super::walk::element_of;
use crate::cluster::schema::Shape;

/// What `live` becomes when `applied` is laid over it.
pub fn merge(live: &Value, applied: &Value, shape: &Shape) -> Value {
    if shape.atomic() {
        return applied.clone();
    }
    match (live, applied, shape) {
        (Value::Array(old), Value::Array(new), Shape::List(of, _)) if !(old.is_empty() && new.is_empty()) => {
            Value::Array(merge_items(old, new, of, shape))
        }
        (Value::Object(old), Value::Object(new), _) => Value::Object(merge_members(old, new, shape)),
        _ => applied.clone(),
    }
}

fn merge_members(old: &Map<String, Value>, new: &Map<String, Value>, shape: &Shape) -> Map<String, Value> {
    let mut out = old.clone();
    for (key, applied) in new {
        let merged = match old.get(key) {
            Some(live) => merge(live, applied, shape.member(key).unwrap_or(&Shape::Any)),
            None => applied.clone(),
        };
        out.insert(key.clone(), merged);
    }
    out
}

/// Live items that the applied list does not name stay where they are; the others come in the applied order.
fn merge_items(old: &[Value], new: &[Value], of: &Shape, shape: &Shape) -> Vec<Value> {
    let keyed = |items: &[Value]| -> Vec<(Element, Value)> {
        items.iter().filter_map(|item| Some((element_of(item, shape)?, item.clone()))).collect()
    };
    let (old, new) = (keyed(old), keyed(new));
    let live: BTreeMap<&Element, &Value> = old.iter().map(|(element, item)| (element, item)).collect();
    let applied: BTreeMap<&Element, &Value> = new.iter().map(|(element, item)| (element, item)).collect();
    let joined = |element: &Element, item: &Value| live.get(element).map_or(item.clone(), |live| merge(live, item, of));
    let mut shared = new.iter().map(|(element, _)| element).filter(|element| live.contains_key(element)).peekable();

    let mut out = Vec::with_capacity(old.len().max(new.len()));
    let mut taken = std::collections::BTreeSet::new();
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if let (Some((ours, _)), Some((theirs, item))) = (old.get(left), new.get(right)) {
            if ours == theirs {
                out.push(joined(theirs, item));
                taken.insert(theirs);
                shared.next();
                (left, right) = (left + 1, right + 1);
                continue;
            }
            if applied.contains_key(ours) && shared.peek().is_some_and(|next| *next != ours) {
                left += 1; // it comes later, in the applied order
                continue;
            }
        }
        if let Some((ours, item)) = old.get(left) {
            if !applied.contains_key(ours) {
                out.push(item.clone());
                left += 1;
                continue;
            }
            if taken.contains(ours) {
                left += 1;
            }
        }
        if let Some((theirs, item)) = new.get(right) {
            out.push(joined(theirs, item));
            taken.insert(theirs);
            right += 1;
            if shared.peek().is_some_and(|next| *next == theirs) {
                shared.next();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::schema::known;
    use super::*;

    #[track_caller]
    fn check(live: &[&str], applied: &[&str], merged: &[&str]) {
        let list =
            |names: &[&str]| json!({"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert_eq!(merge(&list(live), &list(applied), &known("PodSpec").expect("known")), list(merged));
    }

    #[test]
    fn items_keep_the_order_of_the_applied_list() {
        check(&["a", "b"], &["a", "b"], &["a", "b"]);
        check(&["a", "b"], &["b", "a"], &["b", "a"]);
        check(&["a", "x", "b"], &["a", "b"], &["a", "x", "b"]);
        check(&["x", "a", "b"], &["b", "n", "a"], &["x", "b", "n", "a"]);
        check(&[], &["a"], &["a"]);
        check(&["a", "b", "c"], &["c"], &["a", "b", "c"]);
    }

    #[test]
    fn atomic_parts_are_replaced() {
        let live = json!({"selector": {"a": "1"}, "ports": [{"port": 80, "protocol": "TCP", "nodePort": 3}]});
        let applied = json!({"selector": {"b": "2"}, "ports": [{"port": 80, "name": "http"}]});
        let merged = merge(&live, &applied, &known("ServiceSpec").expect("known"));
        let port = json!({"port": 80, "protocol": "TCP", "nodePort": 3, "name": "http"});
        assert_eq!(merged, json!({"selector": {"b": "2"}, "ports": [port]}));
    }
}
