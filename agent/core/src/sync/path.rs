//! A path to a field of an object, as plans and diffs name it and as a person may name it back:
//! `spec.template.spec.containers[name=shop].image`, `metadata.annotations["example.com/x"]`.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// A step of a path through an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// An item of a list that is known by the value of some of its fields; a null is a field that it does not have.
    Item(Vec<(Cow<'static, str>, Value)>),
    /// An item of a list that is known by its place.
    Index(usize),
    /// At the end of a path: the items of a list are the same, and their order is not.
    Order,
}

impl Step {
    /// Whether an item of a list is the one that this step means: what both name of it is the same, and there is such.
    pub fn is_item(&self, item: &Value) -> bool {
        let Self::Item(known) = self else { return false };
        let same = |(name, value): &(Cow<'static, str>, Value)| Some(bare(item.get(&**name)?) == bare(value));
        known.iter().filter_map(same).reduce(|a, b| a && b).unwrap_or(false)
    }
}

/// The path as people read it; [`parse`] reads it again.
pub fn readable(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing into a String does not fail.
        let _ = match step {
            Step::Field(name) if is_plain(name) && text.is_empty() => write!(text, "{name}"),
            Step::Field(name) if is_plain(name) => write!(text, ".{name}"),
            Step::Field(name) => write!(text, "[{}]", Value::from(name.as_str())),
            Step::Index(place) => write!(text, "[{place}]"),
            Step::Item(keys) => {
                let keys = keys.iter().filter(|(_, value)| !value.is_null());
                let keys: Vec<String> = keys.map(|(name, value)| format!("{name}={}", bare(value))).collect();
                write!(text, "[{}]", keys.join(","))
            }
            Step::Order => write!(text, "(order)"),
        };
    }
    text
}

/// Reads a path.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut path = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) if inner.starts_with('"') => quoted(inner)?,
            Some(inner) => item(inner)?,
            None if path.is_empty() => plain(rest)?,
            None => plain(rest.strip_prefix('.').ok_or_else(|| format!("{rest:?} begins with neither . nor ["))?)?,
        };
        path.push(step);
        rest = after;
    }
    if path.is_empty() { Err("it is empty".to_owned()) } else { Ok(path) }
}

fn plain(text: &str) -> Result<(Step, &str), String> {
    let (name, rest) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    if !is_plain(name) {
        return Err(format!("{name:?} is not a field name; write [\"{name}\"] if it is a key of a map"));
    }
    Ok((Step::Field(name.to_owned()), rest))
}

/// `"example.com/x"]`.
fn quoted(text: &str) -> Result<(Step, &str), String> {
    let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = names.next().and_then(Result::ok).ok_or_else(|| format!("the \" of [{text} is not closed"))?;
    let rest = &text[names.byte_offset()..];
    let rest = rest.strip_prefix(']').ok_or_else(|| format!("the [ before {name:?} is not closed"))?;
    Ok((Step::Field(name), rest))
}

/// `containerPort=80,protocol=TCP]`.
fn item(text: &str) -> Result<(Step, &str), String> {
    let (inner, rest) = text.split_once(']').ok_or_else(|| format!("[{text} is not closed"))?;
    let key = |part: &str| {
        let (name, value) = part.split_once('=').filter(|(name, _)| is_plain(name))?;
        Some((Cow::Owned(name.to_owned()), Value::from(value)))
    };
    let keys: Option<Vec<_>> = inner.split(',').map(key).collect();
    let keys = keys.ok_or_else(|| {
        format!("[{inner}] names no item; write [name=…], or a key of a map in quotes, or end the path at the list")
    })?;
    Ok((Step::Item(keys), rest))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A scalar without the quotes of a string: what a port is called in a path and in an object is the same then.
pub fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for text in [
            "spec",
            "spec.replicas",
            "spec.template.spec.containers[name=shop].image",
            "spec.ports[port=80,protocol=TCP].nodePort",
            r#"metadata.annotations["example.com/x"]"#,
            r#"data["a \"quoted\" key"].b"#,
        ] {
            assert_eq!(readable(&parse(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (text, told) in [
            ("", "it is empty"),
            ("spec..replicas", "\"\" is not a field name"),
            (".spec", "\"\" is not a field name"),
            ("/spec/replicas", "\"/spec/replicas\" is not a field name"),
            ("spec.containers[0]", "[0] names no item"),
            ("spec.containers[name=shop", "is not closed"),
            ("data[\"x]", "is not closed"),
            ("data[\"x\"", "is not closed"),
            ("data[\"x\"]y", "begins with neither . nor ["),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn an_item_is_known_by_what_it_has() {
        let step = |text: &str| parse(text).unwrap().pop().unwrap();
        let port = json!({"containerPort": 80, "name": "web"});
        for (text, is) in [
            ("p[containerPort=80]", true),
            ("p[containerPort=80,protocol=TCP]", true),
            ("p[containerPort=81,name=web]", false),
            ("p[protocol=TCP]", false),
            ("p.containerPort", false),
        ] {
            assert_eq!(step(text).is_item(&port), is, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_kept(text in r#"([a-c]{1,2}|\.|\[|\]|"|=|,|/|é){0,12}"#) {
            if let Ok(path) = parse(&text) {
                prop_assert_eq!(parse(&readable(&path)), Ok(path));
            }
        }
    }
}
