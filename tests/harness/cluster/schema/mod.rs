//! What shape an object has: which fields, of which type, and how lists and maps merge.
//!
//! Server-side apply, strict decoding and the round trip through the API's own types all need this knowledge, so it is
//! data: `kubernetes.txt` holds one line a type for the kinds served here, and a CustomResourceDefinition brings its own
//! (`custom.rs`). The facts in `kubernetes.txt` are those of the OpenAPI description of Kubernetes 1.35 and of the tags
//! of its Go types; the notation is ours and is described in `text.rs`.

mod text;

pub mod custom;

pub mod normal;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// The shape of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A leaf.
    Scalar(Scalar),
    /// A list.
    List(Box<Shape>, ListKind),
    /// A map with keys of the user's choice (labels, data). The flag says that it is owned and replaced as a whole.
    Map(Box<Shape>, bool),
    /// A struct of `kubernetes.txt`, by name, so that types can refer to themselves.
    Named(&'static str),
    /// A struct given in place.
    Struct(Arc<Struct>),
    /// Anything: maps merge by key, lists are owned as a whole.
    Any,
}

/// What a leaf holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Bool,
    /// A quantity, a time, or a number that may be text: taken as it comes.
    Untyped,
}

/// How a list merges.
#[derive(Debug, Clone, PartialEq)]
pub enum ListKind {
    /// Owned and replaced as a whole.
    Atomic,
    /// A set of scalars.
    Set,
    /// A map in list's clothing, with the fields that identify an item.
    Map(Vec<String>),
}

/// A struct and its fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Struct {
    /// Its fields by their JSON name.
    pub fields: HashMap<String, Field>,
    /// Owned and replaced as a whole.
    pub atomic: bool,
    /// Fields that the shape does not name are kept (custom resources only).
    pub open: bool,
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The shape of its value.
    pub shape: Shape,
    /// Left out when it has its zero value.
    pub omitted_when_zero: bool,
    /// Always there, as `{}` when nothing was given.
    pub always: bool,
    /// Shown as zero or null when nothing was given.
    pub shown_when_unset: bool,
    /// A strategic merge patch keeps only the keys that it names (`retainKeys`).
    pub retain_keys: bool,
    /// How a strategic merge patch treats a list, where that is not as apply treats it.
    pub patch: ListPatch,
    /// The value that the API gives where none was given (custom resources only).
    pub default: Option<Value>,
    /// Must be given (custom resources only).
    pub required: bool,
    /// The values allowed (custom resources only).
    pub allowed: Option<Vec<Value>>,
}

/// How a strategic merge patch treats a list.
#[derive(Debug, Clone, PartialEq)]
pub enum ListPatch {
    /// As apply does.
    AsApply,
    /// By this key.
    By(String),
    /// As a set.
    Union,
    /// As a whole.
    Whole,
}

impl Field {
    /// A field with nothing special about it.
    pub fn plain(shape: Shape) -> Field {
        Field {
            shape,
            omitted_when_zero: false,
            always: false,
            shown_when_unset: false,
            retain_keys: false,
            patch: ListPatch::AsApply,
            default: None,
            required: false,
            allowed: None,
        }
    }
}

static ANY: Shape = Shape::Any;

impl Shape {
    /// The struct behind this shape, if it is one.
    pub fn fields(&self) -> Option<&Struct> {
        match self {
            Shape::Named(name) => builtin().get(name),
            Shape::Struct(of) => Some(of),
            _ => None,
        }
    }

    /// Whether the value is owned and replaced as a whole.
    pub fn atomic(&self) -> bool {
        match self {
            Shape::Map(_, atomic) => *atomic,
            Shape::List(_, kind) => *kind == ListKind::Atomic,
            _ => self.fields().is_some_and(|of| of.atomic),
        }
    }

    /// What identifies an item of this shape where it leaves the key `key` out: the API's own types have the zero value
    /// then (and `TCP` for a protocol), custom ones what their schema says.
    pub fn key_default(&self, key: &str) -> Option<Value> {
        let field = self.fields()?.fields.get(key)?;
        match (self, &field.shape) {
            (Shape::Named(_), _) if key == "protocol" => Some(Value::from("TCP")),
            (Shape::Named(_), Shape::Scalar(Scalar::Text)) => Some(Value::from("")),
            (Shape::Named(_), Shape::Scalar(Scalar::Integer)) => Some(Value::from(0)),
            _ => field.default.clone(),
        }
    }

    /// The shape of the member `key` of a struct or map; `None` where the shape does not allow such a member.
    pub fn member(&self, key: &str) -> Option<&Shape> {
        match self {
            Shape::Map(of, _) => Some(of),
            Shape::Any => Some(&ANY),
            _ => {
                let of = self.fields()?;
                of.fields.get(key).map(|field| &field.shape).or(of.open.then_some(&ANY))
            }
        }
    }
}

/// The shape of a kind served here by its struct's name, `None` where this stand-in does not know it.
pub fn known(name: &str) -> Option<Shape> {
    builtin().get_key_value(name).map(|(name, _)| Shape::Named(name))
}

fn builtin() -> &'static HashMap<&'static str, Struct> {
    static BUILTIN: OnceLock<HashMap<&'static str, Struct>> = OnceLock::new();
    BUILTIN.get_or_init(|| text::parse(include_str!("kubernetes.txt")))
}
