//! The whole of an object, kept small.
//!
//! As a tree of values each mapping takes a map of its own, and the leaf of a B-tree has room for eleven entries: 632 bytes
//! for one. A definition of kinds is thousands of small mappings, so that its tree takes about ten times its JSON, and what
//! large projects ship is dozens of them. So a large object is kept as the JSON that is sent, and is a tree only while
//! somebody reads more of it than its metadata.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::sync::digest::ContentDigest;

/// Bytes of JSON from which on an object is packed. Nearly all objects have less than 16 KiB; nearly all definitions have more.
const PACKED_FROM: usize = 16 << 10;

/// Collections in one another that a packed object may have: whoever reads JSON back refuses more than 127.
const PACKED_DEPTH_MAX: usize = 100;

/// The whole of an object. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Content(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Tree(Arc<Value>),
    Packed {
        /// `apiVersion`, `kind` and `metadata`.
        head: Arc<Value>,
        json: Arc<[u8]>,
    },
}

impl Content {
    /// Of an object, with the digest of it.
    pub fn digested(object: Value) -> (Self, ContentDigest) {
        let json = serde_json::to_vec(&object).unwrap_or_default();
        let digest = ContentDigest::of_json(&json);
        (Self::packed(object, json), digest)
    }

    fn packed(object: Value, json: Vec<u8>) -> Self {
        Self(match object {
            Value::Object(mut fields) if json.len() >= PACKED_FROM && is_flat(&fields) => {
                let keys = ["apiVersion", "kind", "metadata"];
                let head = keys.iter().filter_map(|key| fields.remove_entry(*key)).collect::<Map<_, _>>();
                Form::Packed { head: Arc::new(head.into()), json: json.into() }
            }
            object => Form::Tree(Arc::new(object)),
        })
    }

    /// At least its `apiVersion`, `kind` and `metadata`.
    pub fn head(&self) -> &Value {
        match &self.0 {
            Form::Tree(object) | Form::Packed { head: object, .. } => object,
        }
    }

    /// All of it. The tree of a large one is made for the caller, and goes with what is returned.
    pub fn value(&self) -> Arc<Value> {
        match &self.0 {
            Form::Tree(object) => object.clone(),
            Form::Packed { json, .. } => Arc::new(read(json)),
        }
    }

    /// All of it, to be changed.
    pub fn into_value(self) -> Value {
        match self.0 {
            Form::Tree(object) => Arc::unwrap_or_clone(object),
            Form::Packed { json, .. } => read(&json),
        }
    }

    /// Whether what [`Content::json`] says can be read back: its collections are not too deep in one another.
    pub(crate) fn is_flat(&self) -> bool {
        match &self.0 {
            Form::Tree(object) => object.as_object().is_some_and(is_flat),
            Form::Packed { .. } => true,
        }
    }

    /// As it is sent.
    pub fn json(&self) -> Cow<'_, [u8]> {
        match &self.0 {
            Form::Tree(object) => serde_json::to_vec(object).unwrap_or_default().into(),
            Form::Packed { json, .. } => (&**json).into(),
        }
    }
}

impl From<Value> for Content {
    fn from(object: Value) -> Self {
        let json = serde_json::to_vec(&object).unwrap_or_default();
        Self::packed(object, json)
    }
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("it was a tree of this depth before")
}

fn is_flat(fields: &Map<String, Value>) -> bool {
    fn fits(value: &Value, room: usize) -> bool {
        match value {
            Value::Array(items) => room > 0 && items.iter().all(|item| fits(item, room - 1)),
            Value::Object(fields) => room > 0 && fields.values().all(|field| fits(field, room - 1)),
            _ => true,
        }
    }
    fields.values().all(|field| fits(field, PACKED_DEPTH_MAX - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(spec: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pot", "metadata": {"name": "tea", "labels": {"a": "b"}}, "spec": spec})
    }

    fn is_packed(content: &Content) -> bool {
        matches!(content.0, Form::Packed { .. })
    }

    #[test]
    fn what_is_large_is_packed_and_says_the_same() {
        let nested = |depth| (0..depth).fold(json!("x".repeat(PACKED_FROM)), |inner, _| json!([inner]));
        for (spec, packed) in [
            (json!({"a": 1}), false),
            (json!("x".repeat(PACKED_FROM)), true),
            (nested(PACKED_DEPTH_MAX - 1), true),
            (nested(PACKED_DEPTH_MAX), false),
        ] {
            let object = object(spec);
            let (content, digest) = Content::digested(object.clone());
            assert_eq!(is_packed(&content), packed);
            assert_eq!(digest, ContentDigest::of(&object));
            assert_eq!(*content.value(), object);
            assert_eq!(content.head()["metadata"], object["metadata"]);
            assert_eq!(content.json(), serde_json::to_vec(&object).unwrap());
            assert_eq!(content.clone(), Content::from(object.clone()));
            assert_eq!(content.into_value(), object);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), // what is no number becomes null
            Just(Value::from(f64::MAX)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_of_what_is_packed(spec in any_value()) {
            let object = object(json!([spec, "x".repeat(PACKED_FROM)]));
            let content = Content::from(object.clone());
            prop_assert!(is_packed(&content));
            prop_assert_eq!(content.into_value(), object);
        }
    }
}
