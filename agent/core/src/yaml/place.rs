//! Where in a text something stands, for messages.

use super::tree::{self, Node};

/// A step to a place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A key of a table.
    Key(String),
    /// An index of an array, from 0.
    Index(usize),
}

/// Line and column, from 1, of what is at a place in the first document of a text, or of the nearest thing around it that is
/// there. Of a table or a list, where its key is.
pub fn locate(text: &str, place: &[Part]) -> (usize, usize) {
    find(text, place, false)
}

/// The same of the key of it, where what is wrong is its name.
pub fn locate_key(text: &str, place: &[Part]) -> (usize, usize) {
    find(text, place, true)
}

fn find(text: &str, place: &[Part], wants_key: bool) -> (usize, usize) {
    let Ok(documents) = tree::parse(text) else { return (1, 1) };
    let Some(mut here) = documents.first() else { return (1, 1) };
    let anchors = tree::anchors(here);
    let mut offset = here.at().start;
    for (number, part) in place.iter().enumerate() {
        let wants_key = wants_key && number + 1 == place.len();
        while let Node::Alias { anchor, .. } = here {
            let Some(there) = anchors.get(anchor) else { return position(text, offset) };
            here = there;
        }
        let next = match (part, here) {
            (Part::Key(name), Node::Mapping { entries, .. }) => {
                entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(key, value)| {
                    let is_word = matches!(value, Node::Scalar { .. });
                    offset = if is_word && !wants_key { value.at().start } else { key.at().start };
                    value
                })
            }
            (Part::Index(index), Node::Sequence { items, .. }) => {
                items.get(*index).inspect(|item| offset = item.at().start)
            }
            _ => None,
        };
        let Some(next) = next else { break };
        here = next;
    }
    position(text, offset)
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_or_the_nearest_around_it() {
        let text =
            "# who\napplication:\n- name: shop\n  environment: &all\n  - name: qa\n- name: cart\n  environment: *all\n";
        let key = |name: &str| Part::Key(name.to_owned());
        let of = |place: &[Part]| locate(text, place);
        assert_eq!(of(&[key("application")]), (2, 1));
        assert_eq!(of(&[key("application"), Part::Index(1), key("name")]), (6, 9));
        let name = [key("application"), Part::Index(0), key("environment"), Part::Index(0), key("name")];
        assert_eq!(of(&name), (5, 11));
        assert_eq!(of(&[key("application"), Part::Index(0), key("missing")]), (3, 3));
        assert_eq!(of(&[key("application"), Part::Index(7)]), (2, 1));
        let aliased = [key("application"), Part::Index(1), key("environment"), Part::Index(0), key("name")];
        assert_eq!(of(&aliased), (5, 11));
        assert_eq!(locate_key(text, &name), (5, 5));
        assert_eq!((locate("a: [", &[]), locate("", &[key("a")])), ((1, 1), (1, 1)));
    }
}
