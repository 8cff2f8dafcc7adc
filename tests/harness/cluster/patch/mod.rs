//! The three patches other than apply. Pure: an object and a patch in, an object out.

pub mod json;

pub mod strategic;

use serde_json::{Map, Value};

/// JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch() {
        let mut object = json!({"a": {"b": 1, "c": [1]}, "d": 2});
        merge(&mut object, &json!({"a": {"b": null, "c": [2], "n": {"x": null}}, "d": {"e": 1}}));
        assert_eq!(object, json!({"a": {"c": [2], "n": {}}, "d": {"e": 1}}));
    }
}
