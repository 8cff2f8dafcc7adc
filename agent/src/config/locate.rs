//! Where in the text of a configuration an option stands, so that a message can name its line.

use quarterdeck_core::yaml::Part;
use toml::de::{DeTable, DeValue};

/// A step on the way to an option: `application[2]` is a key and an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(&'static str),
    /// An index of an array, from 0.
    Index(usize),
}

/// Line and column, from 1, of a byte offset.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

/// Line and column of the option at `place`, or of the nearest thing around it that is there.
pub fn locate(text: &str, place: &[Step]) -> (usize, usize) {
    locate_part(text, &parts(place))
}

/// The same steps, as of a place whose keys may be any.
pub fn parts(place: &[Step]) -> Vec<Part> {
    let part = |step: &Step| match step {
        Step::Key(key) => Part::Key((*key).to_owned()),
        Step::Index(index) => Part::Index(*index),
    };
    place.iter().map(part).collect()
}

/// Where the key of a place is, in what is around it; nothing where it is no key.
pub fn locate_key(text: &str, place: &[Part]) -> Option<(usize, usize)> {
    let root = DeTable::parse(text).ok()?;
    let (last, around) = place.split_last()?;
    let Part::Key(last) = last else { return None };
    let mut here: Option<&DeValue<'_>> = None;
    for part in around {
        here = Some(match (part, here) {
            (Part::Key(key), None) => root.get_ref().get(&**key)?.get_ref(),
            (Part::Key(key), Some(DeValue::Table(table))) => table.get(&**key)?.get_ref(),
            (Part::Index(index), Some(DeValue::Array(array))) => array.get(*index)?.get_ref(),
            _ => return None,
        });
    }
    let table = match here {
        None => root.get_ref(),
        Some(DeValue::Table(table)) => table,
        Some(_) => return None,
    };
    let (key, _) = table.get_key_value(&**last)?;
    Some(position(text, key.span().start))
}

/// As [`locate`].
pub fn locate_part(text: &str, place: &[Part]) -> (usize, usize) {
    let Ok(root) = DeTable::parse(text) else { return (1, 1) };
    let mut offset = root.span().start;
    let mut here: Option<&DeValue<'_>> = None;
    for step in place {
        let next = match (step, here) {
            (Part::Key(key), None) => root.get_ref().get(&**key),
            (Part::Key(key), Some(DeValue::Table(table))) => table.get(&**key),
            (Part::Index(index), Some(DeValue::Array(array))) => array.get(*index),
            _ => None,
        };
        let Some(value) = next else { break };
        offset = value.span().start;
        here = Some(value.get_ref());
    }
    position(text, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_by_its_place() {
        let text = "[agent]\nbanner = \"a\"\n\n[[application]]\nname = \"shop\"\n\n[[application]]\nname = \"cart\"\n[[application.image]]\nname = \"x\"\n";
        use Step::{Index, Key};
        for (place, expected) in [
            (vec![Key("agent"), Key("banner")], (2, 10)),
            (vec![Key("application"), Index(1), Key("name")], (8, 8)),
            (vec![Key("application"), Index(1), Key("image"), Index(0), Key("name")], (10, 8)),
            (vec![Key("application"), Index(0), Key("nothing")], (4, 1)),
        ] {
            assert_eq!(locate(text, &place), expected, "{place:?}");
        }
    }
}
