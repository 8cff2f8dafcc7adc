//! What a template makes now, beside what the set makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::super::Imported;
use super::super::super::draft::Draft;
use super::super::set::{self, Given};
use super::super::tables::{self, Known, Table};
use super::{Reading, value, word};
use crate::generate::{Unknown, fill};

impl Reading<'_> {
    /// What the template makes now, by name; or the first that is another one than what the set makes.
    pub(super) fn compared(
        &self,
        template: &Value,
        tables: &[Table],
        draft: &Draft,
        own_cluster: &str,
        scratch: &mut Imported,
    ) -> Result<Vec<(String, Value)>, String> {
        let Known { documents, around, is_go } = self.known;
        let given = set::generate(self.generator, &Given { documents, around, is_go }, 0)?;
        let (mut theirs, mut told) = (BTreeMap::new(), Vec::new());
        for parameters in &given {
            let made = set::made(template, parameters, is_go, self.document, documents);
            let made = made.map_err(|expression| format!("{{{{{expression}}}}} is not known of all that it makes"))?;
            let mut one = Imported::default();
            let value = value(&self.draft(&made, own_cluster, &mut one)?);
            told.append(&mut one.told);
            theirs.insert(value["name"].as_str().unwrap_or_default().to_owned(), value);
        }
        let written = self.with_placeholders(&value(draft));
        let mut ours = BTreeMap::new();
        for element in tables::elements(tables, self.known, own_cluster)? {
            let filled = fill(&written, &element).map_err(|unknown: Vec<Unknown>| {
                let placeholder = unknown.first().map(|one| one.placeholder.clone()).unwrap_or_default();
                format!("nothing gives {placeholder} for {}", element.of)
            })?;
            ours.insert(filled["name"].as_str().unwrap_or_default().to_owned(), filled);
        }
        if let Some(name) = theirs.keys().find(|name| !ours.contains_key(*name)) {
            return Err(format!("a template would not make {name}"));
        }
        for (name, ours) in &ours {
            let theirs = theirs.get(name).ok_or_else(|| format!("a template would make {name}, too"))?;
            if let Some((field, there, here)) = difference(theirs, ours, "") {
                return Err(format!("{field} of {name} is {there}, and would be {here}"));
            }
        }
        // What is told of each is told instead of what would be told of the template.
        if !given.is_empty() {
            scratch.told = told;
        }
        Ok(ours.into_iter().collect())
    }

    fn with_placeholders(&self, value: &Value) -> Value {
        let text = |text: &String| {
            self.words
                .iter()
                .enumerate()
                .fold(text.clone(), |text, (index, inner)| text.replace(&word(index), &format!("{{{inner}}}")))
        };
        match value {
            Value::String(one) => Value::String(text(one)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.with_placeholders(item)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (text(key), self.with_placeholders(value))).collect())
            }
            other => other.clone(),
        }
    }
}

/// The first place at which two are not the same, and both.
fn difference(one: &Value, other: &Value, at: &str) -> Option<(String, String, String)> {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| difference(&one[key.as_str()], &other[key.as_str()], &below(key)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(a, b, &below(&index.to_string())))
        }
        (one, other) if one == other => None,
        (one, other) => Some((at.replace("environment.0.", ""), shown(one), shown(other))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        other => other.to_string(),
    }
}
