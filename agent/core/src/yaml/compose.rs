//! From the parser's events to values, with the meaning that go-yaml 2 gives to them for `kubectl`: what a word means is
//! [`super::scalar`], a merge key merges where it stands, and a key that is written twice is an error.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};

use super::{ALIAS_BYTES_MAX, DEPTH_MAX, DOCUMENTS_MAX, Document, NODES_MAX, scalar};

/// What is wrong, and where in the text that was parsed.
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

impl Fault {
    fn at(start: Marker, what: impl Into<String>) -> Self {
        Self { line: start.line().max(1), column: start.col() + 1, what: what.into() }
    }

    fn of(error: &ScanError) -> Self {
        let (line, column) = (error.marker().line().max(1), error.marker().col() + 1);
        let what = match error.info() {
            info if info.contains("unknown anchor") => "alias references unknown anchor".to_owned(),
            info => info.to_owned(),
        };
        Self { line, column, what }
    }
}

/// Gives the documents of a text that hold something, one by one.
pub(super) fn documents(text: &str, take: &mut dyn FnMut(Document)) -> Result<(), Fault> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Fault::of(&error))?;
        reader.take(event, span.start)?;
        reader.document.take().into_iter().for_each(&mut *take);
    }
    Ok(())
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    /// How many documents held something.
    documents: usize,
    /// The last of them, which is to be given.
    document: Option<Document>,
    /// Collections whose end has not come yet.
    open: Vec<Open>,
    /// The nodes of this document that have an anchor, complete ones alone.
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    /// What anchors keep and aliases repeat, as [`Weight`] counts it.
    repeated: usize,
}

/// A node that was read.
struct Node {
    value: Value,
    /// The word of a scalar, as it is a key.
    word: Option<String>,
    is_merge: bool,
}

/// A node that an alias may stand for.
struct Anchored {
    value: Value,
    word: Option<String>,
    weight: Weight,
}

struct Open {
    /// 0 for none.
    anchor: usize,
    start: Marker,
    holds: Holds,
}

enum Holds {
    List(Vec<Value>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    fields: Map<String, Value>,
    /// Keys that came of a merge alone: these may be written once more.
    merged: BTreeSet<String>,
    key: Option<Key>,
}

enum Key {
    Word(String),
    Merge,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, start: Marker) -> Result<(), Fault> {
        match event {
            Event::DocumentEnd => self.anchors.clear(),
            Event::Scalar(word, style, anchor, tag) => {
                let node = scalar_node(word, style, tag.as_deref()).map_err(|what| Fault::at(start, what))?;
                self.keep(anchor, &node.value, node.word.as_deref(), start)?;
                self.put(node, start)?;
            }
            Event::Alias(id) => {
                let node = self.alias(id, start)?;
                self.put(node, start)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, Holds::List(Vec::new()), start)?,
            Event::MappingStart(_, anchor, _) => self.begin(anchor, Holds::Mapping(Mapping::default()), start)?,
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, start, holds }) = self.open.pop() else { return Ok(()) };
                let value = match holds {
                    Holds::List(items) => Value::Array(items),
                    Holds::Mapping(mapping) => Value::Object(mapping.fields),
                };
                self.keep(anchor, &value, None, start)?;
                self.put(Node { value, word: None, is_merge: false }, start)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, anchor: usize, holds: Holds, start: Marker) -> Result<(), Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::at(start, format!("more than {DEPTH_MAX} collections in one another")));
        }
        self.open.push(Open { anchor, start, holds });
        Ok(())
    }

    /// Puts a node where it belongs: a document, an item, a key or a value.
    fn put(&mut self, node: Node, start: Marker) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Fault::at(start, format!("more than {NODES_MAX} values in one file")));
        }
        match self.open.last_mut().map(|open| &mut open.holds) {
            None if node.value.is_null() => {}
            None => {
                let number = self.documents + 1;
                if number > DOCUMENTS_MAX {
                    return Err(Fault::at(start, format!("more than {DOCUMENTS_MAX} documents in one file")));
                }
                let line = start.line().max(1) as u64;
                self.documents = number;
                self.document = Some(Document { number, line, value: node.value });
            }
            Some(Holds::List(items)) => items.push(node.value),
            Some(Holds::Mapping(mapping)) => mapping.put(node).map_err(|what| Fault::at(start, what))?,
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, value: &Value, word: Option<&str>, start: Marker) -> Result<(), Fault> {
        if anchor == 0 {
            return Ok(());
        }
        let weight = Weight::of(value);
        self.repeat(weight, start)?;
        self.anchors.insert(anchor, Anchored { value: value.clone(), word: word.map(str::to_owned), weight });
        Ok(())
    }

    fn alias(&mut self, id: usize, start: Marker) -> Result<Node, Fault> {
        let Some(Anchored { value, word, weight }) = self.anchors.get(&id) else {
            return Err(Fault::at(start, "an alias is inside the value that its anchor names"));
        };
        let (node, weight) = (Node { value: value.clone(), word: word.clone(), is_merge: false }, *weight);
        if self.open.len() + weight.depth > DEPTH_MAX {
            return Err(Fault::at(start, format!("more than {DEPTH_MAX} collections in one another")));
        }
        self.repeat(weight, start)?;
        Ok(node)
    }

    fn repeat(&mut self, weight: Weight, start: Marker) -> Result<(), Fault> {
        self.repeated += weight.bytes;
        if self.repeated > ALIAS_BYTES_MAX {
            return Err(Fault::at(start, format!("aliases expand it beyond {} MiB", ALIAS_BYTES_MAX >> 20)));
        }
        Ok(())
    }
}

impl Mapping {
    fn put(&mut self, node: Node) -> Result<(), String> {
        match self.key.take() {
            None if node.is_merge => self.key = Some(Key::Merge),
            None => {
                let word = node.word.filter(|_| !node.value.is_null()).ok_or("a key has to be text")?;
                if self.fields.contains_key(&word) && !self.merged.contains(&word) {
                    return Err(format!("the key {word:?} is defined twice"));
                }
                self.key = Some(Key::Word(word));
            }
            Some(Key::Word(word)) => {
                self.merged.remove(&word);
                self.fields.insert(word, node.value);
            }
            Some(Key::Merge) => self.merge(node.value)?,
        }
        Ok(())
    }

    /// Merges where the key stands, so that it wins over what is before it and what follows wins over it: this is how
    /// go-yaml 2 reads it. Of a list the first wins.
    fn merge(&mut self, value: Value) -> Result<(), String> {
        let sources = match value {
            Value::Array(items) => items.into_iter().rev().collect(),
            other => vec![other],
        };
        for source in sources {
            let Value::Object(fields) = source else {
                return Err("what is merged has to be a mapping, or a list of mappings".to_owned());
            };
            for (key, value) in fields {
                if !self.fields.contains_key(&key) {
                    self.merged.insert(key.clone());
                }
                self.fields.insert(key, value);
            }
        }
        Ok(())
    }
}

fn scalar_node(word: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    let is_plain = style == ScalarStyle::Plain;
    let core = tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
    let is_merge = match &core {
        None => is_plain,
        Some(tag) => tag.as_deref() == Some("merge"),
    };
    let is_merge = is_merge && word == "<<";
    let value = match core {
        None if is_plain => scalar::plain(&word)?,
        Some(Some(core)) => scalar::tagged(&core, &word)?,
        // A tag of somebody's own.
        None | Some(None) => Value::String(word.clone().into_owned()),
    };
    Ok(Node { value, word: Some(word.into_owned()), is_merge })
}

/// What a copy of a value costs.
#[derive(Clone, Copy)]
struct Weight {
    /// Its text, and what a node takes beside its text.
    bytes: usize,
    depth: usize,
}

impl Weight {
    fn of(value: &Value) -> Self {
        let own = std::mem::size_of::<Value>();
        let (text, inner) = match value {
            Value::String(text) => (text.len(), None),
            Value::Array(items) => (0, items.iter().map(Self::of).reduce(Self::with)),
            Value::Object(fields) => {
                let keys = fields.keys().map(String::len).sum();
                (keys, fields.values().map(Self::of).reduce(Self::with))
            }
            _ => (0, None),
        };
        let is_collection = usize::from(value.is_array() || value.is_object());
        let inner = inner.unwrap_or(Self { bytes: 0, depth: 0 });
        Self { bytes: own + text + inner.bytes, depth: is_collection + inner.depth }
    }

    fn with(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, depth: self.depth.max(other.depth) }
    }
}
