//! Variables in manifests: `${name}` in the text of an object becomes what the environment says.
//!
//! The form is that of Flux's `postBuild`, so that its manifests mean the same here: see [`expression`]. Where a value stands
//! alone it is read as YAML again, so that `replicas: ${replicas}` becomes a number; where Kubernetes knows text alone (labels,
//! annotations, the data of a ConfigMap or Secret, the environment and arguments of containers) it stays text, which Flux
//! leaves to whoever writes the quotes.
//!
//! Not here: where values come from, which is the agent's to read.

mod expression;

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

pub use self::expression::ExpressionError;
use crate::sync::digest::ContentDigest;
use crate::yaml;

/// An object that says one of these, as a label or an annotation, is left as it is. The first is ours, the second that of Flux.
const OPT_OUT: [&str; 2] = ["quarterdeck.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"];

/// The values of an environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, Variable>,
    /// Whether one that has no value is an error, and not nothing.
    strict: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Variable {
    value: String,
    is_secret: bool,
}

/// They are told by their names.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Variables {
    /// None yet.
    pub fn new(strict: bool) -> Self {
        Self { values: BTreeMap::new(), strict }
    }

    /// Sets one; a later value overrules an earlier one. What is no name of a variable is left out: a ConfigMap may hold files
    /// beside them. A line break at the end is not part of a value, since blocks of YAML end with one.
    pub fn set(&mut self, name: &str, value: &str, is_secret: bool) {
        if is_name(name) {
            let value = value.trim_end_matches(['\r', '\n']).to_owned();
            self.values.insert(name.to_owned(), Variable { value, is_secret });
        }
    }

    /// The values that are shown to nobody.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.values.values().filter(|variable| variable.is_secret).map(|variable| &*variable.value)
    }

    /// Of all of them: the same digest gives the same manifests.
    pub fn digest(&self) -> ContentDigest {
        let mut hasher = Sha256::new();
        hasher.update([u8::from(self.strict)]);
        for (name, Variable { value, is_secret: _ }) in &self.values {
            for text in [name, value] {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text);
            }
        }
        ContentDigest(hasher.finalize().into())
    }

    /// An object with the values in place of their names.
    ///
    /// # Errors
    /// Where an expression is not understood, or names what has no value.
    pub fn substitute(&self, object: Value) -> Result<Value, ExpressionError> {
        if opts_out(&object) {
            return Ok(object);
        }
        let is_data = matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret")) && object["apiVersion"] == "v1";
        self.within(object, &mut Vec::new(), is_data)
    }

    fn within(&self, value: Value, path: &mut Vec<String>, is_data: bool) -> Result<Value, ExpressionError> {
        match value {
            Value::String(text) if text.contains('$') => {
                let expanded = expression::expand(&text, &|name| self.value(name))?;
                let only_text = is_text(path, is_data);
                Ok(if stands_alone(&text) { read_again(expanded, only_text) } else { Value::String(expanded) })
            }
            Value::Array(items) => {
                path.push("[]".to_owned());
                let items = items.into_iter().map(|item| self.within(item, path, is_data)).collect::<Result<_, _>>()?;
                path.pop();
                Ok(Value::Array(items))
            }
            Value::Object(fields) => {
                let mut all = Map::new();
                for (key, value) in fields {
                    let key = if key.contains('$') { expression::expand(&key, &|name| self.value(name))? } else { key };
                    path.push(key.clone());
                    all.insert(key, self.within(value, path, is_data)?);
                    path.pop();
                }
                Ok(Value::Object(all))
            }
            other => Ok(other),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(|variable| &*variable.value);
        if self.strict { value } else { value.or(Some("")) }
    }
}

/// Whether this may be the name of a variable, as in a shell.
pub fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// What a ConfigMap or a Secret says, by key. What is no text is left out.
pub fn data_of(object: &Value) -> BTreeMap<String, String> {
    let is_secret = object["kind"] == "Secret";
    let text = |value: &str| {
        if !is_secret {
            return Some(value.to_owned());
        }
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(value).ok()?).ok()
    };
    let fields = object["data"].as_object().into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), text(value.as_str()?)?))).collect()
}

fn opts_out(object: &Value) -> bool {
    let says = |words: &str| OPT_OUT.iter().any(|name| object["metadata"][words][*name] == "disabled");
    says("labels") || says("annotations")
}

/// Whether Kubernetes takes nothing but text at a path.
fn is_text(path: &[String], is_data: bool) -> bool {
    let at = |back: usize| path.len().checked_sub(back).map_or("", |place| &*path[place]);
    match (at(3), at(2), at(1)) {
        ("metadata", "labels" | "annotations", _) => true,
        (_, "matchLabels" | "selector" | "nodeSelector", _) | (_, "command" | "args", "[]") => true,
        ("env", "[]", "value") => true,
        _ => is_data && matches!(path.first().map(String::as_str), Some("data" | "stringData")),
    }
}

/// Whether a text would be written without quotes in YAML, so that what comes in its place is read like any word.
fn stands_alone(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_whitespace() || "[]{}&*!|>'\"%@`#,?:-".contains(c));
    let ends = text.ends_with(|c: char| c.is_whitespace() || c == ':');
    !begins && !ends && !text.contains('\n') && !text.contains(": ") && !text.contains(" #")
}

fn read_again(text: String, only_text: bool) -> Value {
    let read = yaml::parse(text.as_bytes()).ok().filter(|documents| documents.len() < 2);
    match read.map(|mut documents| documents.pop().map_or(Value::Null, |document| document.value)) {
        Some(Value::String(read)) => Value::String(read),
        Some(read) if !only_text => read,
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests;
