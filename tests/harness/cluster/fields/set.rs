//! A set of field paths, as a tree in the shape of `fieldsV1`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::cluster::schema::Shape;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// `f:name`: a field of a struct, or a key of a map.
    Field(String),
    /// `k:{"name":"x"}`: an item of a list that is known by keys; the JSON of these, keys sorted.
    Key(String),
    /// `v:"x"`: a member of a set; its JSON.
    Value(String),
}

impl Element {
    fn parse(text: &str) -> Option<Element> {
        match text.split_at_checked(2)? {
            ("f:", rest) => Some(Element::Field(rest.to_owned())),
            ("k:", rest) => Some(Element::Key(rest.to_owned())),
            ("v:", rest) => Some(Element::Value(rest.to_owned())),
            _ => None,
        }
    }

    fn encode(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Key(keys) => format!("k:{keys}"),
            Element::Value(value) => format!("v:{value}"),
        }
    }

    /// As the server writes it in a path: `.image`, `[name="web"]`, `[="a"]`.
    pub fn write(&self, path: &mut String) {
        let _ = match self {
            Element::Field(name) => write!(path, ".{name}"),
            Element::Value(value) => write!(path, "[={value}]"),
            Element::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(path, "[{}]", keys.join(","))
            }
        };
    }
}

/// A set of paths. The root stands for the object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSet {
    /// Whether the path to here is itself in the set (`.`, or a leaf).
    pub member: bool,
    /// What is below.
    pub children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// Reads `fieldsV1`. What it cannot read it leaves out.
    pub fn decode(fields: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        for (key, below) in fields.as_object().into_iter().flatten() {
            if key == "." {
                set.member = true;
            } else if let Some(element) = Element::parse(key) {
                let mut child = FieldSet::decode(below);
                child.member |= child.children.is_empty();
                set.children.insert(element, child);
            }
        }
        set
    }

    /// Writes `fieldsV1`.
    pub fn encode(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        map.extend(self.children.iter().map(|(element, child)| (element.encode(), child.encode())));
        Value::Object(map)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Puts a path in.
    pub fn insert(&mut self, path: &[Element]) {
        let mut node = self;
        for element in path {
            node = node.children.entry(element.clone()).or_default();
        }
        node.member = true;
    }

    /// What is below `element`, or nothing.
    pub fn below(&self, element: &Element) -> Option<&FieldSet> {
        self.children.get(element)
    }

    /// What is in either.
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut out = self.clone();
        out.member |= other.member;
        for (element, theirs) in &other.children {
            let ours = out.children.remove(element).unwrap_or_default();
            out.children.insert(element.clone(), ours.union(theirs));
        }
        out
    }

    /// What is here and not in `other`. A path in `other` takes away that path, not what is below it.
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet { member: self.member && !other.member, children: BTreeMap::new() };
        for (element, ours) in &self.children {
            let left = other.below(element).map_or_else(|| ours.clone(), |theirs| ours.difference(theirs));
            if !left.is_empty() {
                out.children.insert(element.clone(), left);
            }
        }
        out
    }

    /// What is in both.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet { member: self.member && other.member, children: BTreeMap::new() };
        for (element, ours) in &self.children {
            let both = other.below(element).map(|theirs| ours.intersection(theirs)).unwrap_or_default();
            if !both.is_empty() {
                out.children.insert(element.clone(), both);
            }
        }
        out
    }

    /// The same set, with every named struct field on the way to a member a member itself.
    pub fn with_named_fields(&self, shape: &Shape) -> FieldSet {
        let mut out = FieldSet { member: self.member, children: BTreeMap::new() };
        for (element, child) in &self.children {
            let (named, below) = match element {
                Element::Field(name) => {
                    let named = shape.fields().is_some_and(|of| of.fields.contains_key(name));
                    (named, shape.member(name).unwrap_or(&Shape::Any))
                }
                Element::Key(_) | Element::Value(_) => match shape {
                    Shape::List(of, _) => (false, of.as_ref()),
                    _ => (false, &Shape::Any),
                },
            };
            let mut child = child.with_named_fields(below);
            child.member |= named;
            out.children.insert(element.clone(), child);
        }
        out
    }

    /// Every path in the set, as the server writes it and in its order: what is here, then what is below.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect(&mut String::new(), &mut out);
        out
    }

    fn collect(&self, path: &mut String, out: &mut Vec<String>) {
        let length = path.len();
        for (element, _) in self.children.iter().filter(|(_, child)| child.member) {
            element.write(path);
            out.push(path.clone());
            path.truncate(length);
        }
        for (element, child) in &self.children {
            element.write(path);
            child.collect(path, out);
            path.truncate(length);
        }
    }
}

/// A path of plain fields.
pub fn fields(names: &[&str]) -> Vec<Element> {
    names.iter().map(|name| Element::Field((*name).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_v1_round_trip() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {".": {}, "v:\"a/b\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}},
        });
        let set = FieldSet::decode(&fields);
        assert_eq!(set.encode(), fields);
        assert_eq!(
            set.paths(),
            [
                ".metadata.finalizers",
                ".metadata.labels",
                ".metadata.finalizers[=\"a/b\"]",
                ".metadata.labels.app",
                ".spec.containers[name=\"web\"]",
                ".spec.containers[name=\"web\"].image",
            ]
        );
    }

    #[test]
    fn difference_takes_the_path_and_not_what_is_below() {
        let all = FieldSet::decode(&json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let some = FieldSet::decode(&json!({"f:a": {}}));
        assert_eq!(all.difference(&some).encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(all.intersection(&some).encode(), json!({"f:a": {}}));
        assert_eq!(some.union(&all), all);
    }
}
