//! Replacing stretches of a text, from the last to the first so that places stay true.

use std::ops::Range;

use crate::yaml::tree::Node;

/// One stretch and what comes in its place; an empty stretch is an insertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) at: Range<usize>,
    pub(super) text: String,
}

/// The text with all splices done; `None` where two of them overlap, as one belongs to a node of its own.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|splice| (splice.at.start, splice.at.end));
    let mut out = String::with_capacity(text.len() + 128);
    let mut done = 0;
    for Splice { at, text: new } in splices {
        out.push_str(text.get(done..at.start)?);
        out.push_str(&new);
        done = at.end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// How a scalar comes to read `new` with its quotes kept; `None` for a style that is not changed by machine.
pub(super) fn reworded(text: &str, node: &Node, new: &str) -> Option<Splice> {
    let at = node.at();
    match node {
        Node::Alias { .. } => Some(Splice { at, text: word(new) }),
        Node::Scalar { value, plain, block, .. } => {
            let written = &text[at.clone()];
            if *plain && !written.contains('\n') {
                return Some(Splice { at, text: word(new) });
            }
            // Inside quotes or a block the value stands as it reads, unless it is escaped or folded.
            let value = value.trim();
            match written.find(value).filter(|_| !value.is_empty() && written.matches(value).count() == 1) {
                Some(start) => {
                    let start = at.start + start;
                    Some(Splice { at: start..start + value.len(), text: new.to_owned() })
                }
                None if *block => None,
                None => Some(Splice { at, text: format!("\"{new}\"") }),
            }
        }
        Node::Sequence { .. } | Node::Mapping { .. } => None,
    }
}

/// A word as a plain scalar where every YAML reader takes it for a string, else in quotes: a tag such as `1.4`, `2024`,
/// `1e5`, `0x1F`, `1_000`, `12:30`, `true`, `on` or `null` would be read as something else.
pub(super) fn word(text: &str) -> String {
    let starts_like_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    // A second dot, or a letter that no number has, makes it a word for all readers.
    let is_word = text.matches('.').count() > 1
        || text.bytes().any(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit() && !b"xXoO".contains(&b))
        || text.contains(['/', '@']);
    let keywords = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];
    let risky = starts_like_number && !is_word || keywords.contains(&text.to_ascii_lowercase().as_str());
    if risky || text.is_empty() { format!("\"{text}\"") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_that_overlap_are_refused() {
        let splice = |at, text: &str| Splice { at, text: text.to_owned() };
        let done = |splices| spliced("one two three", splices);
        assert_eq!(done(vec![splice(8..13, "3"), splice(0..3, "1")]).as_deref(), Some("1 two 3"));
        assert_eq!(done(vec![splice(0..7, ""), splice(4..7, "2")]), None);
    }

    #[test]
    fn what_a_reader_could_take_for_something_else_is_quoted() {
        for (text, quoted) in [
            ("1.4.0", false),
            ("v1", false),
            ("latest", false),
            ("1.4.0-rc1", false),
            ("2026-11-23-main", false),
            ("sha256:00ff", false),
            ("registry:5000/shop:1.4", false),
            ("1.4", true),
            ("2024", true),
            ("1e5", true),
            ("0x1F", true),
            ("0644", true),
            ("1_000", true),
            ("12:30", true),
            ("deadbeef", false),
            ("1234567", true),
            ("12e4567", true),
            ("2026-11-23", true),
            ("true", true),
            ("On", true),
            ("null", true),
        ] {
            assert_eq!(word(text).starts_with('"'), quoted, "{text}");
        }
    }
}
