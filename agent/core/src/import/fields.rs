//! An object that is read by taking fields out of it: what is left over in the end was not read, and is told.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Imported, Outcome, Place, Told, name_of};

/// The object, and what is said about it.
pub(super) struct Fields<'a> {
    rest: Value,
    /// Which object.
    pub(super) object: String,
    /// Where it is.
    pub(super) place: Place,
    told: &'a mut Vec<Told>,
}

/// Fields that a cluster writes, or that say nothing.
const SILENT: &[&str] = &[
    "apiVersion",
    "kind",
    "status",
    "operation",
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.creationTimestamp",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.ownerReferences",
    "metadata.resourceVersion",
    "metadata.uid",
];

impl<'a> Fields<'a> {
    pub(super) fn new(object: &Value, place: &Place, into: &'a mut Imported) -> Self {
        Self { rest: object.clone(), object: name_of(object), place: place.clone(), told: &mut into.told }
    }

    /// The value at a path, which is read by that. Null is none.
    pub(super) fn take(&mut self, path: &str) -> Option<Value> {
        take(&mut self.rest, &path.split('.').collect::<Vec<_>>()).filter(|value| !value.is_null())
    }

    /// A text; a number is read as one.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        match self.take(path)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn flag(&mut self, path: &str) -> Option<bool> {
        self.take(path)?.as_bool()
    }

    pub(super) fn list(&mut self, path: &str) -> Vec<Value> {
        match self.take(path) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    pub(super) fn map(&mut self, path: &str) -> Map<String, Value> {
        match self.take(path) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// Puts a value where another one stands, or none: it is read from there.
    pub(super) fn put(&mut self, path: &str, value: Value) {
        let mut at = &mut self.rest;
        for key in path.split('.') {
            let Value::Object(fields) = at else { return };
            at = fields.entry(key).or_insert_with(|| Value::Object(Map::new()));
        }
        *at = value;
    }

    /// Whether anything is there that was not read.
    pub(super) fn has(&self, path: &str) -> bool {
        path.split('.').try_fold(&self.rest, |value, key| value.get(key)).is_some_and(|value| !value.is_null())
    }

    pub(super) fn say(&mut self, field: &str, outcome: Outcome, words: impl Into<String>) {
        let (place, object) = (self.place.clone(), self.object.clone());
        self.told.push(Told { place, object, field: field.to_owned(), outcome, words: words.into() });
    }

    pub(super) fn otherwise(&mut self, field: &str, words: impl Into<String>) {
        self.say(field, Outcome::Otherwise, words);
    }

    pub(super) fn not(&mut self, field: &str, words: impl Into<String>) {
        self.say(field, Outcome::Not, words);
    }

    /// Says of all that was not read what `reasons` say of it: the words of the first path that it is, or is below, once.
    pub(super) fn tell_rest(&mut self, reasons: &[(&str, Outcome, &str)]) {
        let mut left = Vec::new();
        leaves(&self.rest, String::new(), &mut left);
        let mut said = BTreeSet::new();
        for field in left.iter().filter(|field| !SILENT.iter().any(|path| is_within(field, path))) {
            match reasons.iter().find(|(path, ..)| is_within(field, path)) {
                Some((path, ..)) if !said.insert(*path) => {}
                Some((path, outcome, words)) => self.say(path, *outcome, *words),
                None => self.not(field, "not supported"),
            }
        }
    }
}

fn is_within(field: &str, path: &str) -> bool {
    field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Removes the value, and each map that is empty without it.
fn take(value: &mut Value, path: &[&str]) -> Option<Value> {
    let fields = value.as_object_mut()?;
    match path {
        [] => None,
        [last] => fields.remove(*last),
        [first, rest @ ..] => {
            let below = fields.get_mut(*first)?;
            let taken = take(below, rest);
            if below.as_object().is_some_and(Map::is_empty) {
                fields.remove(*first);
            }
            taken
        }
    }
}

/// The paths of what is no map, or an empty one.
fn leaves(value: &Value, path: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, path, into);
            }
        }
        Value::Null => {}
        _ => into.push(path),
    }
}
