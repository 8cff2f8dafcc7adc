//! The content of an object: what a person wrote or would write, without what the API server keeps about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

/// The annotation in which client-side `kubectl apply` keeps a whole copy of the object.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the API server writes into the metadata of every object.
const SERVER_METADATA: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object without status, without what the server keeps in its metadata and without the copy of itself; the
/// `stringData` of a Secret as the server would store it.
pub fn normalise(object: &Value) -> Value {
    let mut content = object.clone();
    let Some(fields) = content.as_object_mut() else { return content };
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !SERVER_METADATA.contains(&name.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        metadata.retain(|_, value| !is_nothing(value));
    }
    if is_secret(object) {
        encode_string_data(fields);
    }
    content
}

/// Whether the object is a Secret of the core group.
pub fn is_secret(object: &Value) -> bool {
    object["kind"] == "Secret" && object["apiVersion"] == "v1"
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// `stringData` wins over `data`, as in the server.
fn encode_string_data(fields: &mut Map<String, Value>) {
    let Some(Value::Object(plain)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        data.insert(key, Value::String(BASE64.encode(text)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_keeps_is_no_content() {
        let live = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "s", "namespace": "n", "resourceVersion": "1", "uid": "u", "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [],
                "annotations": {LAST_APPLIED: "{}"},
            },
            "data": {"a": "b2xk"}, "stringData": {"a": "new", "b": ""},
            "status": {"x": 1},
        });
        let content = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "s", "namespace": "n"},
            "data": {"a": "bmV3", "b": ""},
        });
        assert_eq!(normalise(&live), content);
        assert_eq!(normalise(&content), content);
    }
}
