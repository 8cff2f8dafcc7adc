//! A request of a row, and what is wanted of its answer.
//!
//! `{ns}` is the row's namespace wherever it stands, in what is asked and in what is wanted; so is a word that an earlier
//! request kept ([`Step::keeps`]).

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::objects::path_of;
use super::target::{Answer, Ask, LOOK, PATIENCE, Target};

/// A request, and what is wanted of its answer. Without a word about it the status is 200.
pub struct Step {
    ask: Ask,
    code: u16,
    wanted: Vec<Wanted>,
    kept: Vec<(&'static str, &'static str)>,
    waits: bool,
}

/// One thing that an answer has to have.
enum Wanted {
    /// At a pointer this value; `None` for nothing at all.
    At(&'static str, Option<Value>),
    /// An entry of `managedFields` with these fields; `None` for no such entry.
    Managed { manager: &'static str, operation: &'static str, below: &'static str, fields: Option<Value> },
    /// The message of a refusal, whole, and its reason.
    Said(&'static str, String),
    /// All warnings.
    Warned(Vec<String>),
}

impl Step {
    fn new(method: &'static str, path: impl Into<String>, kind: &str, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = BTreeMap::from([("content-type", kind.to_owned())]);
        let ask = Ask { method, path: path.into(), headers, body };
        Self { ask, code: 200, wanted: Vec::new(), kept: Vec::new(), waits: false }
    }

    /// Adds to the query.
    pub fn with(mut self, more: &str) -> Self {
        self.ask.path.push(if self.ask.path.contains('?') { '&' } else { '?' });
        self.ask.path.push_str(more);
        self
    }

    /// Sends a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.ask.headers.insert(name, value.to_owned());
        self
    }

    /// Asks for another form.
    pub fn accepting(self, accept: &str) -> Self {
        self.header("accept", accept)
    }

    /// Sends this text in the place of the object.
    pub fn sending(mut self, text: &str) -> Self {
        self.ask.body = text.to_owned();
        self
    }

    /// Takes the fields of others.
    pub fn by_force(self) -> Self {
        self.with("force=true")
    }

    /// Asks again until all is as wanted, or too long for that.
    pub fn in_time(mut self) -> Self {
        self.waits = true;
        self
    }

    /// The status.
    pub fn gives(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    /// A refusal: its status, its reason and its whole message.
    pub fn refused(mut self, code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        self.wanted.push(Wanted::Said(reason, message.into()));
        self.gives(code)
    }

    /// A value at a pointer.
    pub fn has(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.wanted.push(Wanted::At(pointer, Some(value.into())));
        self
    }

    /// Nothing at a pointer.
    pub fn lacks(mut self, pointer: &'static str) -> Self {
        self.wanted.push(Wanted::At(pointer, None));
        self
    }

    /// What a manager owns that applied.
    pub fn owns(self, manager: &'static str, fields: Value) -> Self {
        self.managed(manager, "Apply", "", Some(fields))
    }

    /// What a manager owns that wrote in any other way.
    pub fn wrote(self, manager: &'static str, fields: Value) -> Self {
        self.managed(manager, "Update", "", Some(fields))
    }

    /// A manager that applied owns nothing any more.
    pub fn owns_nothing(self, manager: &'static str) -> Self {
        self.managed(manager, "Apply", "", None)
    }

    /// Any entry of `managedFields`.
    pub fn managed(
        mut self,
        manager: &'static str,
        operation: &'static str,
        below: &'static str,
        fields: Option<Value>,
    ) -> Self {
        self.wanted.push(Wanted::Managed { manager, operation, below, fields });
        self
    }

    /// All that it warns of.
    pub fn warns(mut self, warnings: &[&str]) -> Self {
        self.wanted.push(Wanted::Warned(warnings.iter().map(|one| (*one).to_owned()).collect()));
        self
    }

    /// Keeps the text at a pointer for later, as `{word}`.
    pub fn keeps(mut self, word: &'static str, pointer: &'static str) -> Self {
        self.kept.push((word, pointer));
        self
    }

    /// Asks, and looks at the answer.
    pub(super) async fn ask(&self, target: &Target, words: &mut BTreeMap<String, String>) -> Result<(), String> {
        let begun = Instant::now();
        let mut ask = self.ask.clone();
        (ask.path, ask.body) = (filled(&ask.path, words), filled(&ask.body, words));
        loop {
            let answer = target.send(&ask).await.map_err(|error| format!("{} {}: {error:#}", ask.method, ask.path))?;
            let missed: Vec<String> = self.missed(&answer, words);
            if missed.is_empty() {
                for (word, pointer) in &self.kept {
                    let text = answer.body.pointer(pointer).and_then(Value::as_str);
                    let text = text.ok_or_else(|| format!("nothing to keep at {pointer}: {}", answer.body))?;
                    words.insert((*word).to_owned(), text.to_owned());
                }
                return Ok(());
            }
            if !self.waits || begun.elapsed() > PATIENCE {
                let missed = missed.join("\n  ");
                let Answer { code, body, .. } = answer;
                return Err(format!("{} {}\n  {missed}\n  {code} {body}", ask.method, ask.path));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn missed(&self, answer: &Answer, words: &BTreeMap<String, String>) -> Vec<String> {
        let code = (answer.code != self.code).then(|| format!("{} instead of {}", answer.code, self.code));
        code.into_iter().chain(self.wanted.iter().filter_map(|wanted| wanted.missed(answer, words))).collect()
    }
}

impl Wanted {
    fn missed(&self, answer: &Answer, words: &BTreeMap<String, String>) -> Option<String> {
        let told = |what: &str, found: &Value, wanted: &Value| {
            let (found, wanted) = (filled_value(found, &BTreeMap::new()), filled_value(wanted, words));
            (found != wanted).then(|| format!("{what}:\n    is     {found}\n    wanted {wanted}"))
        };
        match self {
            Wanted::At(pointer, None) => {
                answer.body.pointer(pointer).map(|found| format!("{pointer} is there: {found}"))
            }
            Wanted::At(pointer, Some(value)) => match answer.body.pointer(pointer) {
                Some(found) => told(pointer, found, value),
                None => Some(format!("{pointer} is not there, wanted {value}")),
            },
            Wanted::Managed { manager, operation, below, fields } => {
                let found = entry(&answer.body, manager, operation, below);
                let what = format!("fields of {manager} by {operation} {below}");
                match (found, fields) {
                    (None, None) => None,
                    (Some(found), None) => Some(format!("{what}: {found}")),
                    (None, Some(_)) => Some(format!("{what}: none")),
                    (Some(found), Some(fields)) => told(&what, found, fields),
                }
            }
            Wanted::Said(reason, message) => {
                let found = answer.body.get("reason").cloned().unwrap_or_default();
                let reason = told("reason", &found, &if reason.is_empty() { Value::Null } else { (*reason).into() });
                reason.or_else(|| told("message", &answer.body["message"], &message.as_str().into()))
            }
            Wanted::Warned(warnings) => told("warnings", &answer.warnings.clone().into(), &warnings.as_slice().into()),
        }
    }
}

fn entry<'a>(object: &'a Value, manager: &str, operation: &str, below: &str) -> Option<&'a Value> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    let mut ours = entries.iter().filter(|entry| entry["manager"] == manager && entry["operation"] == operation);
    ours.find(|entry| entry["subresource"].as_str().unwrap_or_default() == below).map(|entry| &entry["fieldsV1"])
}

fn filled(text: &str, words: &BTreeMap<String, String>) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("{{{word}}}"), value))
}

fn filled_value(value: &Value, words: &BTreeMap<String, String>) -> Value {
    serde_json::from_str(&filled(&value.to_string(), words)).unwrap_or_default()
}

/// Server-side apply as this manager; the object says where.
pub fn apply(manager: &str, object: Value) -> Step {
    let path = format!("{}?fieldManager={manager}", path_of(&object));
    Step::new("PATCH", path, "application/apply-patch+yaml", &object)
}

/// The same, to another place than the object says.
pub fn apply_at(path: &str, manager: &str, object: &Value) -> Step {
    Step::new("PATCH", format!("{path}?fieldManager={manager}"), "application/apply-patch+yaml", object)
}

/// A JSON merge patch as this manager.
pub fn merge(path: &str, manager: &str, patch: &Value) -> Step {
    Step::new("PATCH", format!("{path}?fieldManager={manager}"), "application/merge-patch+json", patch)
}

/// A patch of another type.
pub fn patch(path: &str, kind: &str, patch: &Value) -> Step {
    Step::new("PATCH", path, kind, patch)
}

/// POST.
pub fn create(path: &str, object: &Value) -> Step {
    Step::new("POST", path, "application/json", object).gives(201)
}

/// PUT.
pub fn replace(path: &str, object: &Value) -> Step {
    Step::new("PUT", path, "application/json", object)
}

/// GET, of an object, a list, or a watch with what [`Step::with`] adds.
pub fn get(path: &str) -> Step {
    Step::new("GET", path, "application/json", &Value::Null)
}

/// DELETE with these options.
pub fn delete(path: &str, options: &Value) -> Step {
    Step::new("DELETE", path, "application/json", options)
}
