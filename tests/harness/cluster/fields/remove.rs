//! Takes fields out of an object.

use serde_json::{Map, Value};

use super::set::{Element, FieldSet};
use super::walk::element_of;
use crate::cluster::schema::Shape;

/// `object` without the paths in `gone`. A map or list that loses its last member becomes null, which disappears from
/// the API's own types, and which the schema of a custom resource may well refuse: so does a real server.
pub fn remove(object: &Value, gone: &FieldSet, shape: &Shape) -> Value {
    if gone.children.is_empty() || shape.atomic() {
        return object.clone();
    }
    let or_null = |value: Value, lost_all: bool| if lost_all { Value::Null } else { value };
    match (object, shape) {
        (Value::Object(map), _) => {
            let kept = map.iter().filter_map(|(key, item)| {
                let member = shape.member(key).unwrap_or(&Shape::Any);
                Some((key.clone(), keep(item, gone.below(&Element::Field(key.clone())), member)?))
            });
            let kept: Map<String, Value> = kept.collect();
            let lost_all = kept.is_empty() && !map.is_empty();
            or_null(Value::Object(kept), lost_all)
        }
        (Value::Array(items), Shape::List(of, _)) => {
            let kept = items.iter().filter_map(|item| {
                let gone = element_of(item, shape).and_then(|element| gone.below(&element));
                keep(item, gone, of)
            });
            let kept: Vec<Value> = kept.collect();
            let lost_all = kept.is_empty() && !items.is_empty();
            or_null(Value::Array(kept), lost_all)
        }
        _ => object.clone(),
    }
}

fn keep(item: &Value, gone: Option<&FieldSet>, shape: &Shape) -> Option<Value> {
    match gone {
        None => Some(item.clone()),
        Some(gone) if gone.member => None,
        Some(gone) => Some(remove(item, gone, shape)),
    }
}
