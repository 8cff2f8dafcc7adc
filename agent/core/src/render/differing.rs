//! Objects of two renders of one chart that are not the same: what it makes up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::yaml::{self, YamlError};

/// Objects that are named in a message.
const NAMED_MAX: usize = 5;

/// Which objects of two renders differ, of those that are used. What differs in words that no object has, such as a comment, is
/// no difference.
pub(super) fn differing(one: &[u8], other: &[u8], is_used: impl Fn(&Value) -> bool) -> Result<Vec<String>, YamlError> {
    if one == other {
        return Ok(Vec::new());
    }
    let objects = |output: &[u8]| -> Result<BTreeMap<String, Value>, YamlError> {
        let used = yaml::parse(output)?.into_iter().map(|document| document.value).filter(|value| is_used(value));
        Ok(used.map(|value| (named(&value), value)).collect())
    };
    let (one, other) = (objects(one)?, objects(other)?);
    let names = one.keys().chain(other.keys()).filter(|name| one.get(*name) != other.get(*name));
    let names: BTreeSet<String> = names.cloned().collect();
    Ok(names.into_iter().collect())
}

/// Kind and name of an object, for people.
pub(super) fn named(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

/// The first few, and how many more there are.
pub(super) fn few(mut names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names
}
