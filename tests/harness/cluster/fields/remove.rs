//! Takes fields out of an object.

use serde_json::{Map, Value};

use super::set::{Element, FieldSet};
use super::walk::element_of;
use crate::cluster::schema::Shape;

/// `object` without the paths in `gone`. A map or list that loses its last member goes too.
pub fn remove(object: &Value, gone: &FieldSet, shape: &Shape) -> Value {
    below(object, gone, shape).unwrap_or_else(|| Value::Object(Map::new()))
}

fn below(value: &Value, gone: &FieldSet, shape: &Shape) -> Option<Value> {
    if gone.children.is_empty() || shape.atomic() {
        return Some(value.clone());
    }
    match (value, shape) {
        (Value::Object(map), _) => {
            let kept = map.iter().filter_map(|(key, item)| {
                let member = shape.member(key).unwrap_or(&Shape::Any);
                Some((key.clone(), keep(item, gone.below(&Element::Field(key.clone())), member)?))
            });
            let kept: Map<String, Value> = kept.collect();
            (!kept.is_empty() || map.is_empty()).then_some(Value::Object(kept))
        }
        (Value::Array(items), Shape::List(of, _)) => {
            let kept = items.iter().filter_map(|item| {
                let gone = element_of(item, shape).and_then(|element| gone.below(&element));
                keep(item, gone, of)
            });
            let kept: Vec<Value> = kept.collect();
            (!kept.is_empty() || items.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

fn keep(item: &Value, gone: Option<&FieldSet>, shape: &Shape) -> Option<Value> {
    match gone {
        None => Some(item.clone()),
        Some(gone) if gone.member => None,
        Some(gone) => below(item, gone, shape),
    }
}
