//! The shape of a custom resource, from the structural schema of its CustomResourceDefinition.
//!
//! Read are `type`, `properties`, `items`, `additionalProperties`, `required`, `enum`, `default`, and the extensions for
//! lists, maps and unknown fields. Not read: patterns, bounds, formats, `allOf` and its kin, and CEL rules.

use std::sync::Arc;

use serde_json::Value;

use super::{Field, ListKind, Scalar, Shape, Struct, known};

/// The shape of the resource that `schema` (`openAPIV3Schema`) describes. Without a schema anything is allowed.
pub fn shape_of(schema: Option<&Value>) -> Shape {
    let mut root = match schema.map(shape) {
        Some(Shape::Struct(of)) => (*of).clone(),
        _ => Struct { open: true, ..Struct::default() },
    };
    let meta = known("ObjectMeta").unwrap_or(Shape::Any);
    root.fields.insert("metadata".into(), Field { always: true, ..Field::plain(meta) });
    for name in ["apiVersion", "kind"] {
        root.fields.insert(name.into(), Field::plain(Shape::Scalar(Scalar::Text)));
    }
    Shape::Struct(Arc::new(root))
}

fn shape(schema: &Value) -> Shape {
    let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
    if flag("x-kubernetes-int-or-string") {
        return Shape::Scalar(Scalar::Untyped);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Shape::Scalar(Scalar::Text),
        Some("integer") => Shape::Scalar(Scalar::Integer),
        Some("number") => Shape::Scalar(Scalar::Number),
        Some("boolean") => Shape::Scalar(Scalar::Bool),
        Some("array") => {
            let items = schema.get("items").map_or(Shape::Any, shape);
            Shape::List(Box::new(items), list_kind(schema))
        }
        Some("object") => object(schema, flag("x-kubernetes-preserve-unknown-fields")),
        _ => Shape::Any,
    }
}

fn object(schema: &Value, open: bool) -> Shape {
    let atomic = schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
    if let Some(values) = schema.get("additionalProperties").filter(|of| of.as_bool() != Some(false)) {
        return Shape::Map(Box::new(if values.is_object() { shape(values) } else { Shape::Any }), atomic);
    }
    let required: Vec<&str> = words(schema.get("required"));
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(name, of)| {
        let field = Field {
            default: of.get("default").cloned(),
            required: required.contains(&name.as_str()),
            allowed: of.get("enum").and_then(Value::as_array).cloned(),
            ..Field::plain(shape(of))
        };
        (name.clone(), field)
    });
    let fields: std::collections::HashMap<_, _> = fields.collect();
    Shape::Struct(Arc::new(Struct { fields, atomic, open }))
}

fn list_kind(schema: &Value) -> ListKind {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => {
            ListKind::Map(words(schema.get("x-kubernetes-list-map-keys")).into_iter().map(str::to_owned).collect())
        }
        _ => ListKind::Atomic,
    }
}

fn words(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
