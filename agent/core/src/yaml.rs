//! The one place that reads and writes YAML: text in, JSON values out, with the meaning that `kubectl` gives to it.
//!
//! ```text
//! bytes ─ text (encoding, marks) ─► the parser's events ─ compose ─► values     each word by scalar
//! ```
//! `kubectl` reads YAML 1.1 through JSON: `yes` is a boolean, `0644` is 420, `1.0` is the number 1. A manifest that
//! means one thing here and another there would be drift for ever, so every reader of manifests comes through here. A
//! table holds the two together (`yaml/kubectl.jsonl`, what kubectl's own reader makes of some hundred texts), and each
//! difference that stays is in the guide (`sync.md`).
//!
//! A text is data from a repository: its size, depth, number of nodes and alias expansions are bounded, see the limits
//! below. Not here: what a document means (that is [`crate::render`]).

pub mod comments;
mod compose;
mod place;
mod scalar;
pub(crate) mod text;
pub(crate) mod tree;

use std::borrow::Cow;
use std::fmt;

use quarterdeck_shared::error::Hint;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::SerializerOptions;

pub use self::place::{Part, locate, locate_key};

/// A text longer than this, in bytes, is refused. An API server takes objects of 1.5 MiB; a file with all CRDs of a large operator has 5 MiB.
pub const TEXT_BYTES_MAX: usize = 32 << 20;

/// Sequences and mappings in one another; the deepest CRD schemas in use have about 50.
const DEPTH_MAX: usize = 128;

/// Nodes of one text: three times what [`TEXT_BYTES_MAX`] of ordinary manifests holds.
const NODES_MAX: usize = 8_000_000;

/// Documents of one text: the output of a renderer for some thousand objects, with room.
const DOCUMENTS_MAX: usize = 100_000;

/// What anchors and aliases may add in memory, over the whole text. Anchors in manifests repeat a few dozen lines;
/// an alias bomb needs gigabytes.
const ALIAS_BYTES_MAX: usize = 64 << 20;

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its place among the documents of the text that hold something, from 1.
    pub number: usize,
    /// The line that it begins at, from 1.
    pub line: u64,
    /// What it says.
    pub value: Value,
}

/// A text that is no YAML, or more than we take.
#[derive(Debug, Clone, thiserror::Error)]
pub enum YamlError {
    /// It does not parse.
    #[error("document {document}, line {line}, column {column}: {what}")]
    Syntax {
        /// Its place among the documents, from 1.
        document: usize,
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// What is wrong.
        what: String,
    },
    /// It is not even text.
    #[error("line {line}: it is not UTF-8")]
    NotUtf8 {
        /// The line of the first byte that is none.
        line: u64,
    },
    /// It is text of another encoding.
    #[error("it seems to be {seems}")]
    Encoding {
        /// Which.
        seems: &'static str,
    },
    /// It is too long.
    #[error("{bytes} bytes are more than the {} that a file of manifests may have", TEXT_BYTES_MAX)]
    TooLong {
        /// How long.
        bytes: usize,
    },
}

impl Hint for YamlError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Syntax { .. } => "",
            Self::NotUtf8 { .. } | Self::Encoding { .. } => "save the file as UTF-8",
            Self::TooLong { .. } => "split it",
        }
        .into()
    }
}

/// Reads every document of a text, YAML or JSON; documents that hold nothing but comments are left out.
///
/// # Errors
/// Says the document, line and column of what is wrong. Nothing is returned of a text that is wrong in part.
pub fn parse(bytes: &[u8]) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    each(bytes, |document| documents.push(document))?;
    Ok(documents)
}

/// The same, one by one as they are read: not all of a large text are in memory at once.
///
/// # Errors
/// As [`parse`]; those that are before what is wrong were given by then.
pub fn each(bytes: &[u8], mut take: impl FnMut(Document)) -> Result<(), YamlError> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(YamlError::TooLong { bytes: bytes.len() });
    }
    let text = text::decode(bytes)?.text;
    let (text, blanks) = text::without_marks(&text);
    let line = |line: u64| text::written_line(line as usize, &blanks) as u64;
    let read = each_in(&text, &mut |document| take(Document { line: line(document.line), ..document }));
    read.map_err(|error| match error {
        YamlError::Syntax { document, line: at, column, what } => {
            YamlError::Syntax { document, line: line(at), column, what }
        }
        other => other,
    })
}

fn each_in(text: &str, take: &mut dyn FnMut(Document)) -> Result<(), YamlError> {
    if text.trim_start().starts_with('{') {
        parse_flow(text)?.into_iter().for_each(take);
        return Ok(());
    }
    each_of_yaml(text, take)
}

/// JSON is nearly YAML; tabs, documents without a separator and long keys are what is not. What begins like JSON and is
/// none may be a YAML mapping in flow style, so that is tried too; of what is neither, whoever read further tells.
fn parse_flow(text: &str) -> Result<Vec<Document>, YamlError> {
    let parse_yaml = |text| {
        let mut documents = Vec::new();
        each_of_yaml(text, &mut |document| documents.push(document)).map(|()| documents)
    };
    let place = |error: &YamlError| match error {
        YamlError::Syntax { line, column, .. } => (*line, *column),
        _ => (0, 0),
    };
    parse_json(text)
        .or_else(|json| parse_yaml(text).map_err(|yaml| if place(&yaml) > place(&json) { yaml } else { json }))
}

/// Writes a value for people to read, and for [`parse`] to read back: keys sorted, text of several lines as a block.
pub fn write(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        // Folding would break long arguments and annotations over lines, and a changed word would shift the rest.
        folded_wrap_chars: usize::MAX,
    };
    write_with(value, options)
}

/// Writes several values as documents of one text.
pub fn write_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let documents: Vec<String> = values.into_iter().map(write).collect();
    documents.join("---\n")
}

fn write_with(value: &Value, options: SerializerOptions) -> String {
    let mut out = String::new();
    match serde_saphyr::to_fmt_writer_with_options(&mut out, value, options) {
        Ok(()) if out.ends_with('\n') => out,
        Ok(()) => out + "\n",
        // JSON is YAML: the reader loses the layout, not the content.
        Err(_) => format!("{value:#}\n"),
    }
}

fn each_of_yaml(text: &str, take: &mut dyn FnMut(Document)) -> Result<(), YamlError> {
    compose::documents(text, take).map_err(|compose::Fault { line, column, what }| {
        let (line, column) = (line as u64, column as u64);
        YamlError::Syntax { document: document_at(text, line), line, column, what }
    })
}

fn parse_json(text: &str) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Node>();
    loop {
        let line = line_of(text.as_bytes(), stream.byte_offset());
        let number = documents.len() + 1;
        match stream.next() {
            None => return Ok(documents),
            Some(Ok(node)) => documents.push(Document { number, line, value: node.0 }),
            Some(Err(error)) => {
                let whole = error.to_string();
                let what = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
                return Err(YamlError::Syntax {
                    document: number,
                    line: error.line() as u64,
                    column: error.column() as u64,
                    what,
                });
            }
        }
    }
}

/// The place of the document that a line belongs to, counted as [`parse`] counts: those that hold something.
fn document_at(text: &str, line: u64) -> usize {
    let mut documents = 0;
    let mut holds_something = false;
    for text in text.lines().take(usize::try_from(line).unwrap_or(usize::MAX)) {
        let marker = text.strip_prefix("---");
        if marker.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            holds_something = false;
        }
        let content = marker.unwrap_or(text).trim();
        if !content.is_empty() && !content.starts_with(['#', '%']) && !holds_something {
            holds_something = true;
            documents += 1;
        }
    }
    documents.max(1)
}

fn line_of(bytes: &[u8], offset: usize) -> u64 {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() as u64
}

/// A JSON value that refuses a key written twice, and reads numbers as `kubectl` sends them.
struct Node(Value);

impl<'de> de::Deserialize<'de> for Node {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Node)
    }
}

struct NodeVisitor;

impl<'de> DeserializeSeed<'de> for NodeVisitor {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        scalar::unsigned(value).map(Value::Number).ok_or_else(|| E::custom(format!("{value} is not a JSON number")))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        scalar::float(value).map(Value::Number).ok_or_else(|| E::custom(format!("{value} is not a JSON number")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(NodeVisitor)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if all.contains_key(&key) {
                return Err(de::Error::custom(format!("the key {key:?} is defined twice")));
            }
            let value = entries.next_value_seed(NodeVisitor)?;
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests;
