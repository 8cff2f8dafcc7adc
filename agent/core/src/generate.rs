//! What a template is filled in with: elements, each some values by their names, and the filling in itself. Pure.
//!
//! ```text
//! a list, directories, files, clusters, branches, merge requests ─► elements ─ combine ─► elements ─ fill(template) ─► applications
//! ```
//! A value is put into the texts of a template that was read already, and so cannot become anything but text. Only whole
//! placeholders are known: `{app}`, `{cluster.region}`, `{path.basename|dns}`. One that nothing gives is an error with its place.

pub mod combine;
pub mod files;
pub mod functions;
pub mod globs;

use std::collections::BTreeMap;

use quarterdeck_shared::revision::CommitId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::functions::Function;
use crate::directories::Directory;
use crate::tree::paths::{file_name, parent};
use crate::yaml::Part;

/// Placeholders that options of applications know themselves (`image_tag`, `promote.message`): they are left as they are.
pub const OF_OPTIONS: [&str; 7] = ["suffix", "tag", "commit", "short_commit", "application", "environment", "images"];

/// Characters of a slug: with the name of an application before it and its own hash behind it, it still fits into a DNS label.
const SLUG_MAX: usize = 32;

/// The values of one application or environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Element {
    /// By the names of their placeholders, without braces.
    pub values: BTreeMap<String, String>,
    /// What it is of, for messages: `apps/shop/qa`, `branch fix`.
    pub of: String,
}

/// An open merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its number.
    pub number: u64,
    /// Its branch.
    pub branch: String,
    /// Its newest commit.
    pub commit: CommitId,
    /// The branch that it would be merged into.
    pub target: String,
}

/// A placeholder that nothing gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Where in the template.
    pub at: Vec<Part>,
    /// With its braces.
    pub placeholder: String,
}

impl Element {
    fn new<const N: usize>(of: String, values: [(&str, String); N]) -> Self {
        Self { values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), of }
    }

    /// Of an entry of a list.
    pub fn of_list(number: usize, values: &BTreeMap<String, String>) -> Self {
        Self { values: values.clone(), of: format!("number {number} of the list") }
    }

    /// Of a directory.
    pub fn of_directory(directory: &Directory) -> Self {
        let mut element = Self::new(directory.path.clone(), [("app", directory.application.to_string())]);
        element.values.extend(directory.environment.iter().map(|name| ("env".to_owned(), name.to_string())));
        element
    }

    /// Of a folder by its path: the parts of that are numbered from 0.
    pub fn of_folder(path: &str) -> Self {
        let values = [("path", path.to_owned()), ("path.basename", file_name(path).to_owned())];
        let mut element = Self::new(path.to_owned(), values);
        let parts = path.split('/').enumerate();
        element.values.extend(parts.map(|(number, part)| (format!("path.{number}"), part.to_owned())));
        element
    }

    /// Of a file by its path, with what is written in it; what its path gives counts.
    pub fn of_file(path: &str, written: BTreeMap<String, String>) -> Self {
        let mut element = Self::of_folder(parent(path));
        element.values.insert("path.file".to_owned(), file_name(path).to_owned());
        element.values = written.into_iter().chain(element.values).collect();
        Self { of: path.to_owned(), ..element }
    }

    /// The same with these values too; its own count.
    pub fn with(mut self, values: &BTreeMap<String, String>) -> Self {
        for (name, value) in values {
            self.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// The same with `prefix.` before each name.
    pub fn prefixed(self, prefix: &str) -> Self {
        let values = self.values.into_iter().map(|(name, value)| (format!("{prefix}.{name}"), value)).collect();
        Self { values, ..self }
    }

    /// Of a cluster with its labels.
    pub fn of_cluster(name: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut element = Self::new(format!("cluster {name}"), [("cluster", name.to_owned())]);
        element.values.extend(labels.iter().map(|(key, value)| (format!("cluster.{key}"), value.clone())));
        element
    }

    /// Of a branch.
    pub fn of_branch(name: &str, commit: &CommitId) -> Self {
        let values = [("branch", name.to_owned()), ("branch.slug", slug(name)), ("branch.commit", commit.to_string())];
        Self::new(format!("branch {name}"), values)
    }

    /// Of a merge request.
    pub fn of_merge_request(Preview { number, branch, commit, target }: &Preview) -> Self {
        let values = [
            ("merge_request", number.to_string()),
            ("merge_request.branch", branch.clone()),
            ("merge_request.slug", slug(branch)),
            ("merge_request.commit", commit.to_string()),
            ("merge_request.target", target.clone()),
        ];
        Self::new(format!("merge request {number}"), values)
    }
}

/// Whether an entry of a list may have a value of this name: `tier`, `values.tier`.
pub fn is_name(name: &str) -> bool {
    is_placeholder(name) && !OF_OPTIONS.contains(&name)
}

/// Whether a placeholder of this name is known as one.
pub fn is_placeholder(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_part)
}

/// The same template with this word for each placeholder: what is wrong with its form is wrong whatever is filled in.
pub fn with_word(template: &Value, word: &str) -> Value {
    let mut filling = Filling { by: By::Word(word), at: Vec::new(), unknown: Vec::new() };
    filling.value(template)
}

/// A branch as a DNS label: what cannot be in one is a hyphen, and a hash keeps `a/b` and `a-b` apart.
pub fn slug(branch: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = branch.chars().map(word).take(SLUG_MAX).collect();
    let text = text.trim_matches('-');
    if text == branch {
        return text.to_owned();
    }
    let hash: String = Sha256::digest(branch)[..3].iter().map(|byte| format!("{byte:02x}")).collect();
    if text.is_empty() { hash } else { format!("{text}-{hash}") }
}

/// A template with the values of an element in it, or the placeholders that nothing gives. `{{name}}` stands for `{name}` itself,
/// and `${name}` is no placeholder: it is a variable of manifests.
///
/// # Errors
/// Each placeholder that is neither of the element nor of an option.
pub fn fill(template: &Value, element: &Element) -> Result<Value, Vec<Unknown>> {
    let mut filling = Filling { by: By::Element(element), at: Vec::new(), unknown: Vec::new() };
    let filled = filling.value(template);
    if filling.unknown.is_empty() { Ok(filled) } else { Err(filling.unknown) }
}

/// What is filled in.
enum By<'a> {
    Element(&'a Element),
    /// This, whatever is asked for.
    Word(&'a str),
}

impl By<'_> {
    fn value(&self, wanted: &Wanted<'_>) -> Option<String> {
        let value = match self {
            Self::Element(element) => element.values.get(wanted.name)?,
            Self::Word(word) => return Some((*word).to_owned()),
        };
        Some(wanted.functions.iter().fold(value.clone(), |value, function| function.apply(&value)))
    }
}

struct Filling<'a> {
    by: By<'a>,
    at: Vec<Part>,
    unknown: Vec<Unknown>,
}

impl Filling<'_> {
    fn value(&mut self, template: &Value) -> Value {
        match template {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Value::Array(items.map(|(index, item)| self.below(Part::Index(index), item)).collect())
            }
            Value::Object(entries) => {
                let mut filled = Map::new();
                for (key, value) in entries {
                    let value = self.below(Part::Key(key.clone()), value);
                    filled.insert(self.text(key), value);
                }
                Value::Object(filled)
            }
            other => other.clone(),
        }
    }

    fn below(&mut self, part: Part, value: &Value) -> Value {
        self.at.push(part);
        let filled = self.value(value);
        self.at.pop();
        filled
    }

    fn text(&mut self, text: &str) -> String {
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            if let Some((_, inside)) = placeholder(&from[1..])
                && from[inside.len() + 3..].starts_with('}')
            {
                filled.push_str(&from[1..inside.len() + 3]);
                rest = &from[inside.len() + 4..];
                continue;
            }
            let Some((wanted, inside)) = placeholder(from) else {
                filled.push('{');
                rest = &from[1..];
                continue;
            };
            let (whole, after) = from.split_at(inside.len() + 2);
            rest = after;
            if before.ends_with('$') || OF_OPTIONS.contains(&wanted.name) {
                filled.push_str(whole);
            } else if let Some(value) = self.by.value(&wanted) {
                filled.push_str(&value);
            } else {
                self.unknown.push(Unknown { at: self.at.clone(), placeholder: whole.to_owned() });
            }
        }
        filled + rest
    }
}

/// A value by its name, and what is done with it.
struct Wanted<'a> {
    name: &'a str,
    functions: Vec<Function>,
}

/// What is between braces at the beginning of a text: words with dots, dashes and slashes in between, as labels have them, and
/// functions behind. What is anything else is no placeholder.
fn placeholder(text: &str) -> Option<(Wanted<'_>, &str)> {
    let inside = text.strip_prefix('{')?;
    let inside = &inside[..inside.find('}')?];
    let mut parts = inside.split('|');
    let name = parts.next().filter(|name| is_placeholder(name))?;
    let functions = parts.map(Function::parse).collect::<Option<Vec<Function>>>()?;
    Some((Wanted { name, functions }, inside))
}

#[cfg(test)]
mod tests;
