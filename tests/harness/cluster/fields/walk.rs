//! Reads sets of fields off objects: what an object names, and how two objects differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::set::{Element, FieldSet};
use crate::cluster::schema::{ListKind, Scalar, Shape};

/// Why an object is not of its shape, as the typed merge of the server says it: path, then what was wrong there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Untyped {
    /// `.spec.template.spec.containers[name="web"].imagee`
    pub path: String,
    /// `field not declared in schema`
    pub problem: String,
}

/// The fields that `object` names: leaves, items of lists, keys of maps, and structs that are empty.
pub fn field_set(object: &Value, shape: &Shape) -> FieldSet {
    let mut set = FieldSet::default();
    collect(object, shape, &mut set);
    set
}

fn collect(value: &Value, shape: &Shape, node: &mut FieldSet) {
    match (value, view(value, shape)) {
        (Value::Object(map), View::Granular) => {
            for (key, item) in map {
                let child = node.children.entry(Element::Field(key.clone())).or_default();
                collect(item, shape.member(key).unwrap_or(&Shape::Any), child);
                let named = shape.fields().is_some_and(|of| of.fields.contains_key(key));
                child.member |= !named || item.is_null() || item.as_object().is_some_and(Map::is_empty);
                prune_empty(node, Element::Field(key.clone()));
            }
        }
        (Value::Array(items), View::Granular) => {
            for item in items {
                if let (Some(element), Shape::List(of, _)) = (element_of(item, shape), shape) {
                    let child = node.children.entry(element).or_default();
                    collect(item, of, child);
                    child.member = true;
                }
            }
        }
        (Value::Null, View::Granular) => {}
        _ => node.member = true,
    }
}

fn prune_empty(node: &mut FieldSet, element: Element) {
    if node.below(&element).is_some_and(FieldSet::is_empty) {
        node.children.remove(&element);
    }
}

/// Whether a value is entered field by field or taken as a whole.
enum View {
    Granular,
    Leaf,
}

fn view(value: &Value, shape: &Shape) -> View {
    let granular = match shape {
        Shape::Scalar(_) => false,
        Shape::Any => value.is_object(),
        _ => !shape.atomic(),
    };
    if granular { View::Granular } else { View::Leaf }
}

/// What identifies `item` in a list of this shape; `None` if a key is missing or the list has no identity.
pub fn element_of(item: &Value, shape: &Shape) -> Option<Element> {
    let Shape::List(of, kind) = shape else { return None };
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(Element::Value(item.to_string())),
        ListKind::Map(keys) => {
            let map = item.as_object()?;
            let values: BTreeMap<&str, Value> = keys
                .iter()
                .filter_map(|key| Some((key.as_str(), map.get(key).cloned().or_else(|| of.key_default(key))?)))
                .collect();
            let json = serde_json::to_string(&values).ok()?;
            (!values.is_empty()).then_some(Element::Key(json))
        }
    }
}

/// How two objects differ.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    /// Only in the new one.
    pub added: FieldSet,
    /// In both, with another value.
    pub modified: FieldSet,
    /// Only in the old one.
    pub removed: FieldSet,
}

impl Comparison {
    /// Added or modified.
    pub fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// Leaves out everything at and below the plain-field paths in `ignored`.
    pub fn without(mut self, ignored: &[Vec<Element>]) -> Comparison {
        for path in ignored {
            for set in [&mut self.added, &mut self.modified, &mut self.removed] {
                cut(set, path);
            }
        }
        self
    }
}

/// Removes `path` and all that is below it.
pub fn cut(set: &mut FieldSet, path: &[Element]) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        set.children.remove(first);
    } else if let Some(child) = set.children.get_mut(first) {
        cut(child, rest);
        if child.is_empty() {
            set.children.remove(first);
        }
    }
}

/// Compares two objects of one shape.
pub fn compare(old: &Value, new: &Value, shape: &Shape) -> Comparison {
    let mut comparison = Comparison::default();
    Compare { out: &mut comparison, path: Vec::new() }.values(Some(old), Some(new), shape);
    comparison
}

struct Compare<'a> {
    out: &'a mut Comparison,
    path: Vec<Element>,
}

impl Compare<'_> {
    fn values(&mut self, old: Option<&Value>, new: Option<&Value>, shape: &Shape) {
        if let (Some(before), Some(after), Shape::Any) = (old, new, shape) {
            // What was a map and is none any more loses its members, and the other way round.
            if before.is_object() != after.is_object() && !before.is_null() && !after.is_null() {
                self.members(old.filter(|old| old.is_object()), new.filter(|new| new.is_object()), shape);
                return self.leaf(old, new);
            }
        }
        let (Some(sample), empty) = (new.or(old), is_empty(old) && is_empty(new)) else { return };
        let granular = matches!(view(sample, shape), View::Granular) && !empty;
        if !granular {
            return self.leaf(old, new);
        }
        match shape {
            Shape::List(of, _) => self.items(old, new, of, shape),
            _ => self.members(old, new, shape),
        }
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            _ => {}
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            (Some(old), Some(new)) if !same(old, new) => self.out.modified.insert(&self.path),
            _ => {}
        }
    }

    fn members(&mut self, old: Option<&Value>, new: Option<&Value>, shape: &Shape) {
        let sides = [old, new].into_iter().flatten().filter_map(Value::as_object);
        let keys: BTreeSet<&String> = sides.flat_map(Map::keys).collect();
        for key in keys {
            let old = old.and_then(|old| old.get(key));
            let new = new.and_then(|new| new.get(key));
            self.path.push(Element::Field(key.clone()));
            self.values(old, new, shape.member(key).unwrap_or(&Shape::Any));
            self.path.pop();
        }
    }

    fn items(&mut self, old: Option<&Value>, new: Option<&Value>, of: &Shape, shape: &Shape) {
        let (old, new) = (indexed(old, shape), indexed(new, shape));
        let mut all: Vec<&Element> = old.keys().chain(new.keys()).collect();
        all.sort();
        all.dedup();
        for element in all {
            self.path.push(element.clone());
            self.values(old.get(element).copied(), new.get(element).copied(), of);
            self.path.pop();
        }
    }
}

fn indexed<'a>(list: Option<&'a Value>, shape: &Shape) -> BTreeMap<Element, &'a Value> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((element_of(item, shape)?, item))).collect()
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

/// Equal, with `1` and `1.0` the same number.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Checks that an applied object fits its shape and names no list item twice.
///
/// # Errors
/// The first misfit, in the words of the server's typed merge.
pub fn check(object: &Value, shape: &Shape) -> Result<(), Untyped> {
    check_at(object, shape, &mut String::new())
}

fn check_at(value: &Value, shape: &Shape, path: &mut String) -> Result<(), Untyped> {
    let wrong = |path: &str, problem: String| Err(Untyped { path: path.to_owned(), problem });
    match (shape, value) {
        (_, Value::Null) | (Shape::Any, _) => Ok(()),
        (Shape::Scalar(of), value) => match of {
            Scalar::Text if !value.is_string() => {
                wrong(path, format!("expected string, got &value.valueUnstructured{{Value:{}}}", go(value)))
            }
            Scalar::Integer | Scalar::Number if !value.is_number() => {
                let kind = if value.is_string() { "string" } else { "interface {}" };
                wrong(path, format!("expected numeric (int or float), got {kind}"))
            }
            Scalar::Bool if !value.is_boolean() => wrong(path, format!("expected boolean, got &{{{}}}", go(value))),
            _ => Ok(()),
        },
        (Shape::List(of, kind), Value::Array(items)) => check_items(items, of, kind, shape, path),
        (Shape::List(..), other) => wrong(path, format!("expected list, got &{{{}}}", go(other))),
        (_, Value::Object(map)) => {
            for (key, item) in map {
                let length = path.len();
                Element::Field(key.clone()).write(path);
                let Some(member) = shape.member(key) else {
                    return wrong(path, "field not declared in schema".to_owned());
                };
                check_at(item, member, path)?;
                path.truncate(length);
            }
            Ok(())
        }
        (_, other) => wrong(path, format!("expected map, got &{{{}}}", go(other))),
    }
}

/// A value as Go prints it.
fn go(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", go(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

fn check_items(items: &[Value], of: &Shape, kind: &ListKind, shape: &Shape, path: &mut String) -> Result<(), Untyped> {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let length = path.len();
        match (element_of(item, shape), kind) {
            (Some(element), _) => {
                let mut shown = String::new();
                element.write(&mut shown);
                if !seen.insert(element) {
                    return Err(Untyped { path: path.clone(), problem: format!("duplicate entries for key {shown}") });
                }
                path.push_str(&shown);
            }
            (None, ListKind::Map(keys)) => {
                let problem = format!(
                    "element {index}: associative list with keys has an element that omits key field \"{}\" (and doesn't have default value)",
                    keys.join("\", \"")
                );
                return Err(Untyped { path: path.clone(), problem });
            }
            _ => path.push_str(&format!("[{index}]")),
        }
        check_at(item, of, path)?;
        path.truncate(length);
    }
    Ok(())
}
