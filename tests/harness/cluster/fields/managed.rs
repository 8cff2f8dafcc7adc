//! The `metadata.managedFields` of an object, read and written.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::set::FieldSet;

/// Who manages fields: what tells one entry from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// True for server-side apply, false for every other write.
    pub applies: bool,
    /// The name that the client gave (`fieldManager`, else the start of its user agent).
    pub name: String,
    /// The version of the API that it wrote through.
    pub api_version: String,
    /// `status` or `scale` where it wrote through that.
    pub subresource: String,
}

impl Manager {
    fn is(&self, other: &Manager) -> bool {
        // An applier stays the same one when it moves to another version of the API.
        self.applies == other.applies
            && self.name == other.name
            && self.subresource == other.subresource
            && (self.applies || self.api_version == other.api_version)
    }

    /// As a conflict names it.
    pub fn described(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who.
    pub manager: Manager,
    /// When it last changed something, RFC 3339 to the second; `None` if it never did.
    pub time: Option<String>,
    /// What.
    pub fields: FieldSet,
}

/// All entries of an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Managed(pub Vec<Entry>);

impl Managed {
    /// Reads them off an object. What has no fields in a form we know is left out.
    pub fn of(object: &Value) -> Managed {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        Managed(entries.into_iter().flatten().filter_map(decode).collect())
    }

    /// As they stand in an object, in the server's order.
    pub fn encode(&self) -> Value {
        let mut entries: Vec<&Entry> = self.0.iter().collect();
        entries.sort_by(|a, b| order(a, b));
        Value::Array(entries.into_iter().map(encode).collect())
    }

    /// The entry of this manager.
    pub fn get(&self, manager: &Manager) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.manager.is(manager))
    }

    /// Sets what this manager owns; an empty set takes the entry away.
    pub fn set(&mut self, manager: &Manager, fields: FieldSet) {
        let at = self.0.iter().position(|entry| entry.manager.is(manager));
        match (at, fields.is_empty()) {
            (Some(at), true) => drop(self.0.remove(at)),
            (Some(at), false) => {
                self.0[at].fields = fields;
                self.0[at].manager = manager.clone();
            }
            (None, true) => {}
            (None, false) => self.0.push(Entry { manager: manager.clone(), time: None, fields }),
        }
    }

    /// Notes when this manager changed something.
    pub fn touch(&mut self, manager: &Manager, now: &str) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.manager.is(manager)) {
            entry.time = Some(now.to_owned());
        }
    }
}

/// Whether two encoded lists say the same but for their times.
pub fn same_but_for_time(a: &Value, b: &Value) -> bool {
    let timeless = |list: &Value| -> Vec<Value> {
        let mut entries = list.as_array().cloned().unwrap_or_default();
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        entries.sort_by_key(Value::to_string); // their order follows their times
        entries
    };
    timeless(a) == timeless(b)
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    let (one, two) = (&a.manager, &b.manager);
    two.applies
        .cmp(&one.applies)
        .then_with(|| a.time.cmp(&b.time))
        .then_with(|| one.name.cmp(&two.name))
        .then_with(|| one.api_version.cmp(&two.api_version))
        .then_with(|| one.subresource.cmp(&two.subresource))
}

fn decode(entry: &Value) -> Option<Entry> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let manager = Manager {
        applies: text("operation") == "Apply",
        name: text("manager"),
        api_version: text("apiVersion"),
        subresource: text("subresource"),
    };
    let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
    Some(Entry { manager, time, fields: FieldSet::decode(entry.get("fieldsV1")?) })
}

fn encode(entry: &Entry) -> Value {
    let Entry { manager: Manager { applies, name, api_version, subresource }, time, fields } = entry;
    let mut out = json!({
        "manager": name,
        "operation": if *applies { "Apply" } else { "Update" },
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields.encode(),
    });
    if let Some(time) = time {
        out["time"] = json!(time);
    }
    if !subresource.is_empty() {
        out["subresource"] = json!(subresource);
    }
    out
}
