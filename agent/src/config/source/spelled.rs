//! The text of a file of a source, in TOML or in YAML: what it says, and where in it something stands.

use quarterdeck_core::yaml::{self, Part, YamlError};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::locate;

/// In what a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// TOML.
    Toml,
    /// YAML, with the same names.
    Yaml,
}

impl Syntax {
    /// By the end of a file's name; nothing for files that define no applications.
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct FileProblem {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A text.
#[derive(Debug, Clone)]
pub struct Spelled<'a> {
    /// As it is in the file.
    pub text: &'a str,
    /// In what it is written.
    pub syntax: Syntax,
    /// Where in it everything is; empty where it is the whole text.
    pub below: Vec<Part>,
}

impl<'a> Spelled<'a> {
    /// A whole text.
    pub fn whole(text: &'a str, syntax: Syntax) -> Self {
        Self { text, syntax, below: Vec::new() }
    }
}

impl Spelled<'_> {
    /// What it says.
    ///
    /// # Errors
    /// Where it cannot be read, with the line.
    pub fn value(&self) -> Result<Value, FileProblem> {
        match self.syntax {
            Syntax::Toml => toml::from_str(self.text).map_err(|error| self.unreadable(&error)),
            Syntax::Yaml => self.yaml(),
        }
    }

    /// A text that is not TOML, or has an option that does not exist.
    pub(super) fn unreadable(&self, error: &toml::de::Error) -> FileProblem {
        let (line, column) = locate::position(self.text, error.span().map_or(0, |span| span.start));
        FileProblem { line, column, message: error.message().to_owned() }
    }

    /// The same of a file whose values may be nothing.
    ///
    /// # Errors
    /// Where it cannot be read, with the line.
    pub fn value_with_nothing(&self) -> Result<Value, FileProblem> {
        match self.syntax {
            Syntax::Toml => self.value(),
            Syntax::Yaml => self.document(),
        }
    }

    fn yaml(&self) -> Result<Value, FileProblem> {
        let value = self.document()?;
        match nothing_at(&value, &mut Vec::new()) {
            Some(place) => {
                Err(self.problem_of_key(&place, "nothing is written here: write a value, or leave it out".to_owned()))
            }
            None => Ok(value),
        }
    }

    fn document(&self) -> Result<Value, FileProblem> {
        let documents = yaml::parse(self.text.as_bytes()).map_err(|error| {
            let (line, column, message) = match error {
                YamlError::Syntax { line, column, what, .. } => (line, column, what),
                YamlError::NotUtf8 { line } => (line, 1, error.to_string()),
                other => (1, 1, other.to_string()),
            };
            FileProblem { line: line as usize, column: column as usize, message }
        })?;
        if let Some(second) = documents.get(1) {
            let message = "a second document: write one, with all applications in its list".to_owned();
            return Err(FileProblem { line: second.line as usize, column: 1, message });
        }
        Ok(documents.into_iter().next().map_or_else(|| Value::Object(serde_json::Map::new()), |one| one.value))
    }

    /// Something wrong at a place.
    pub fn problem(&self, place: &[Part], message: String) -> FileProblem {
        let (line, column) = self.locate(place);
        FileProblem { line, column, message }
    }

    /// A key at a place that is wrong.
    pub(super) fn problem_of_key(&self, place: &[Part], message: String) -> FileProblem {
        let whole = self.place(place);
        let (line, column) = match self.syntax {
            Syntax::Toml => locate::locate_key(self.text, &whole).unwrap_or_else(|| self.locate(place)),
            Syntax::Yaml => yaml::locate_key(self.text, &whole),
        };
        FileProblem { line, column, message }
    }

    /// Line and column of what is at a place, or of the nearest thing around it that is there.
    pub fn locate(&self, place: &[Part]) -> (usize, usize) {
        let place = self.place(place);
        match self.syntax {
            Syntax::Toml => locate::locate_part(self.text, &place),
            Syntax::Yaml => yaml::locate(self.text, &place),
        }
    }

    fn place(&self, place: &[Part]) -> Vec<Part> {
        self.below.iter().chain(place).cloned().collect()
    }
}

/// The place of the first thing that is nothing: TOML has no word for it.
fn nothing_at(value: &Value, at: &mut Vec<Part>) -> Option<Vec<Part>> {
    let mut below = |part: Part, value: &Value| {
        at.push(part);
        let found = nothing_at(value, at);
        at.pop();
        found
    };
    match value {
        Value::Null => Some(at.clone()),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| below(Part::Index(index), item)),
        Value::Object(entries) => entries.iter().find_map(|(key, item)| below(Part::Key(key.clone()), item)),
        _ => None,
    }
}

/// What is at an offset of a TOML text: the key or the value with the least text around it, and whether it is the key.
pub(super) fn place_at(text: &str, offset: usize) -> (Vec<Part>, bool) {
    let Ok(root) = DeTable::parse(text) else { return (Vec::new(), false) };
    let mut nearest = Nearest { offset, found: Vec::new(), length: usize::MAX, is_key: false };
    nearest.table(root.get_ref(), &mut Vec::new());
    (nearest.found, nearest.is_key)
}

struct Nearest {
    offset: usize,
    found: Vec<Part>,
    length: usize,
    is_key: bool,
}

impl Nearest {
    fn see(&mut self, span: std::ops::Range<usize>, at: &[Part], is_key: bool) {
        if span.contains(&self.offset) && span.len() < self.length {
            (self.length, self.is_key) = (span.len(), is_key);
            self.found = at.to_vec();
        }
    }

    fn table(&mut self, table: &DeTable<'_>, at: &mut Vec<Part>) {
        for (key, value) in table {
            at.push(Part::Key(key.get_ref().to_string()));
            self.see(key.span(), at, true);
            self.value(value, at);
            at.pop();
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, at: &mut Vec<Part>) {
        self.see(value.span(), at, false);
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, at),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.push(Part::Index(index));
                    self.value(item, at);
                    at.pop();
                }
            }
            _ => {}
        }
    }
}
