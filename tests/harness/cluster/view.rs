//! How an object is shown: in the version asked for, whole or only its metadata. Pure.

use serde_json::{Value, json};

use super::kinds::Kind;

/// What the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// The whole object.
    #[default]
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

impl View {
    /// Reads an `Accept` header: the first form in it that we can give.
    pub fn of_accept(accept: &str) -> View {
        let metadata = |part: &str| part.contains("as=PartialObjectMetadata") && part.contains("application/json");
        let whole = |part: &str| !part.contains("as=");
        let first = accept.split(',').find(|part| metadata(part) || whole(part));
        if first.is_some_and(metadata) { View::Metadata } else { View::Whole }
    }

    /// One object.
    pub fn show(self, kind: &Kind, object: &Value) -> Value {
        match self {
            View::Whole => {
                let mut shown = object.clone();
                shown["apiVersion"] = json!(kind.api_version());
                shown["kind"] = json!(kind.kind);
                shown
            }
            View::Metadata => json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
            }),
        }
    }

    /// One item of a list. Items of builtin kinds do not repeat their kind, as on a real server.
    pub fn show_item(self, kind: &Kind, object: &Value) -> Value {
        let mut shown = self.show(kind, object);
        if let (View::Whole, false, Some(map)) = (self, kind.custom, shown.as_object_mut()) {
            map.remove("apiVersion");
            map.remove("kind");
        }
        shown
    }

    /// The list around the items.
    pub fn list(self, kind: &Kind, items: Vec<Value>, mut metadata: Value) -> Value {
        if kind.custom && metadata.get("continue").is_none() {
            metadata["continue"] = json!(""); // lists of custom resources say so, others leave it out
        }
        let (api_version, name) = match self {
            View::Whole => (kind.api_version(), format!("{}List", kind.kind)),
            View::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned()),
        };
        // Metadata of nothing is null.
        let items = if self == View::Metadata && items.is_empty() { Value::Null } else { items.into() };
        json!({"kind": name, "apiVersion": api_version, "metadata": metadata, "items": items})
    }
}
