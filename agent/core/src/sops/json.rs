//! A file of JSON, decrypted with its keys in their order: the MAC goes by it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::seal::{Opened, Opener, Written};
use super::{Format, SopsError};

/// The text in clear, without the metadata.
pub(super) fn decrypt(text: &str, opener: &mut Opener<'_>) -> Result<String, SopsError> {
    let mut document = read(text, Format::Json)?;
    document.remove("sops");
    opener.is_secret = matches!(document.get("kind"), Some(Node::Text(kind)) if kind == "Secret");
    open(&mut document, &mut Vec::new(), opener)?;
    let written = serde_json::to_string_pretty(&document);
    written.map(|text| text + "\n").map_err(|error| wrong(Format::Json, &error))
}

/// The file that is the one value of the document.
pub(super) fn decrypt_binary(text: &str, opener: &mut Opener<'_>) -> Result<Vec<u8>, SopsError> {
    let document = read(text, Format::Binary)?;
    match document.get("data") {
        Some(Node::Text(data)) => match opener.open(&["data".to_owned()], &Written::Text(data))? {
            Opened::Text(content) => Ok(content),
            Opened::Kept => Ok(data.clone().into_bytes()),
            Opened::Word(_) | Opened::Comment => Err(wrong(Format::Binary, &"its data is not text")),
        },
        _ => Err(wrong(Format::Binary, &"its data is not text")),
    }
}

fn read(text: &str, format: Format) -> Result<Node, SopsError> {
    // By `crate::yaml` it was read before, which bounds how deep and how large it is.
    serde_json::from_str(text).map_err(|error| wrong(format, &error))
}

fn wrong(format: Format, problem: &dyn fmt::Display) -> SopsError {
    SopsError::Text { format, problem: problem.to_string() }
}

/// A value whose keys keep their order.
enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn remove(&mut self, name: &str) {
        if let Self::Map(fields) = self {
            fields.retain(|(key, _)| key != name);
        }
    }
}

fn open(node: &mut Node, path: &mut Vec<String>, opener: &mut Opener<'_>) -> Result<(), SopsError> {
    let opened = match node {
        Node::Null => return Ok(()),
        Node::Bool(value) => opener.open(path, &Written::Other(if *value { "True" } else { "False" }.to_owned()))?,
        Node::Number(number) => opener.open(path, &Written::Other(counted(number)))?,
        Node::Text(text) => opener.open(path, &Written::Text(text))?,
        Node::List(items) => {
            return items.iter_mut().try_for_each(|item| open(item, path, opener));
        }
        Node::Map(fields) => {
            return fields.iter_mut().try_for_each(|(key, value)| {
                path.push(key.clone());
                let opened = open(value, path, opener);
                path.pop();
                opened
            });
        }
    };
    match opened {
        Opened::Kept | Opened::Comment => {}
        Opened::Text(text) => {
            *node =
                Node::Text(String::from_utf8(text).map_err(|_| wrong(Format::Json, &"a value of it is not UTF-8"))?);
        }
        Opened::Word(word) => *node = read(&word, Format::Json)?,
    }
    Ok(())
}

/// Go's `Itoa`, or `FormatFloat(_, 'f', -1, 64)`.
fn counted(number: &serde_json::Number) -> String {
    match number.as_i64() {
        Some(number) => number.to_string(),
        None => number.as_f64().unwrap_or_default().to_string(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Node::Map(all))
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
