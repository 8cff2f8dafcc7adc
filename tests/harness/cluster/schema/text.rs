//! Reads `kubernetes.txt`. One line is one type: `Name = field:shape field:shape …`; `Name~` is owned as a whole.
//!
//! ```text
//! name?:…   left out when zero       s  text      [x]            a list owned as a whole
//! name!:…   always there             i  integer   [x]set         a set
//! name=:…   zero or null when unset  n  number    [x]by(a,b)     a list of items known by a and b
//! name^:…   patched with retainKeys  b  bool      …patch(k)      which a strategic patch merges by k (by nothing: a set)
//! any       anything                 q t x bytes  …whole         which a strategic patch replaces
//! Name      another type                          quantity, time, int-or-string, base64
//! {x}       a map, {x}~ as a whole
//! ```

use std::collections::HashMap;

use super::{Field, ListKind, ListPatch, Scalar, Shape, Struct};

/// Parses the whole text. The text is part of this program: a line that does not parse is a broken build.
pub(super) fn parse(text: &'static str) -> HashMap<&'static str, Struct> {
    text.lines().map(line).collect()
}

fn line(line: &'static str) -> (&'static str, Struct) {
    let (name, fields) = line.split_once(" =").unwrap_or_else(|| panic!("kubernetes.txt: no ` =` in {line:?}"));
    let atomic = name.ends_with('~');
    let fields = fields.split_whitespace().map(field).collect();
    (name.trim_end_matches('~'), Struct { fields, atomic, open: false })
}

fn field(text: &'static str) -> (String, Field) {
    let (name, rest) = text.split_once(':').unwrap_or_else(|| panic!("kubernetes.txt: no shape in {text:?}"));
    let (shape, patch) = shape(rest);
    let field = Field {
        omitted_when_zero: name.contains('?'),
        always: name.contains('!'),
        shown_when_unset: name.contains('='),
        retain_keys: name.contains('^'),
        patch,
        ..Field::plain(shape)
    };
    (name.trim_end_matches(['?', '!', '=', '^']).to_owned(), field)
}

fn shape(text: &'static str) -> (Shape, ListPatch) {
    if let Some(rest) = text.strip_prefix('[') {
        let end = rest.rfind(']').unwrap_or_else(|| panic!("kubernetes.txt: open list in {text:?}"));
        let (kind, patch) = list_kind(&rest[end + 1..]);
        return (Shape::List(Box::new(shape(&rest[..end]).0), kind), patch);
    }
    if let Some(rest) = text.strip_prefix('{') {
        let end = rest.rfind('}').unwrap_or_else(|| panic!("kubernetes.txt: open map in {text:?}"));
        return (Shape::Map(Box::new(shape(&rest[..end]).0), rest.ends_with('~')), ListPatch::AsApply);
    }
    let shape = match text {
        "s" | "bytes" => Shape::Scalar(Scalar::Text),
        "i" => Shape::Scalar(Scalar::Integer),
        "n" => Shape::Scalar(Scalar::Number),
        "b" => Shape::Scalar(Scalar::Bool),
        "q" | "t" | "x" => Shape::Scalar(Scalar::Untyped),
        "any" => Shape::Any,
        name => Shape::Named(name.trim_end_matches('~')),
    };
    (shape, ListPatch::AsApply)
}

fn list_kind(text: &str) -> (ListKind, ListPatch) {
    let argument = |word: &str| {
        let (_, rest) = text.split_once(&format!("{word}("))?;
        rest.split_once(')').map(|(inside, _)| inside.to_owned())
    };
    let kind = match argument("by") {
        Some(keys) => ListKind::Map(keys.split(',').map(str::to_owned).collect()),
        None if text.starts_with("set") => ListKind::Set,
        None => ListKind::Atomic,
    };
    let patch = match argument("patch") {
        Some(key) if key.is_empty() => ListPatch::Union,
        Some(key) => ListPatch::By(key),
        None if text.ends_with("whole") => ListPatch::Whole,
        None => ListPatch::AsApply,
    };
    (kind, patch)
}

#[cfg(test)]
mod tests {
    use super::super::known;
    use super::*;

    #[test]
    fn every_named_type_is_there() {
        let types = parse(include_str!("kubernetes.txt"));
        fn check(shape: &Shape) {
            match shape {
                Shape::Named(name) => assert!(known(name).is_some(), "{name} is named, not described"),
                Shape::List(of, _) | Shape::Map(of, _) => check(of),
                _ => {}
            }
        }
        types.values().flat_map(|of| of.fields.values()).for_each(|field| check(&field.shape));
    }

    #[test]
    fn ports_are_known_by_two_keys_and_patched_by_one() {
        let types = parse(include_str!("kubernetes.txt"));
        let ports = &types["Container"].fields["ports"];
        assert_eq!(ports.patch, ListPatch::By("containerPort".into()));
        assert!(matches!(&ports.shape, Shape::List(_, ListKind::Map(keys)) if keys == &["containerPort", "protocol"]));
        assert!(types["LabelSelector"].atomic && types["DeploymentSpec"].fields["strategy"].retain_keys);
    }
}
