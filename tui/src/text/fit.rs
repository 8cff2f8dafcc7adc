//! Fitting text into columns: cut at its end, shortened in its middle, broken into lines.

use std::borrow::Cow;

use quarterdeck_shared::error::hint_line;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::text::columns;

/// The text in at most so many columns, its end replaced by `…` where it is longer.
pub fn cut(text: &str, columns_max: usize) -> Cow<'_, str> {
    if columns(text) <= columns_max {
        return Cow::Borrowed(text);
    }
    if columns_max == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(format!("{}…", &text[..head(text, columns_max - 1)]))
}

/// A name in at most so many columns, its middle replaced by `…` where it is longer: what tells a pod, a branch or a
/// repository from its neighbours stands at its end, and what it belongs to at its beginning.
pub fn shorten(name: &str, columns_max: usize) -> Cow<'_, str> {
    if columns(name) <= columns_max || columns_max < 3 {
        return cut(name, columns_max);
    }
    let head = &name[..head(name, (columns_max - 1) / 2)];
    let tail = &name[tail(name, columns_max - 1 - columns(head))..];
    Cow::Owned(format!("{head}…{tail}"))
}

/// A message with what to do next in a line of its own, as [`paragraphs`] shows it.
pub fn with_hint<'a>(message: &'a str, hint: &str) -> Cow<'a, str> {
    if hint.is_empty() || message.is_empty() {
        message.into()
    } else {
        format!("{message}\n{}", hint_line(hint)).into()
    }
}

/// The lines of a text, each broken as [`broken`] does it.
pub fn paragraphs(text: &str, columns_max: u16) -> Vec<String> {
    text.split('\n').flat_map(|line| broken(line, columns_max)).collect()
}

/// A text broken between its words into lines of at most so many columns. A longer word is broken within: where one of
/// its parts ends, as the names of images and addresses have them, else where the line ends.
pub fn broken(paragraph: &str, columns_max: u16) -> Vec<String> {
    let columns_max = usize::from(columns_max.max(1));
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is a line from the beginning");
            let taken = columns(line);
            let gap = usize::from(taken > 0);
            if taken + gap + columns(word) <= columns_max {
                if gap > 0 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if taken > 0 {
                lines.push(String::new());
                continue;
            }
            let (part, rest) = word.split_at(part(word, columns_max));
            line.push_str(part);
            word = rest;
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Bytes of a word, longer than a line, that go into it; at least one cluster, or this would not end.
fn part(word: &str, columns_max: usize) -> usize {
    let first = word.graphemes(true).next().map_or(0, str::len);
    let fits = head(word, columns_max).max(first);
    // A line that is less than half full looks torn.
    match word[..fits].rfind(['/', ':', '@', ',', '-']) {
        Some(end) if end >= fits / 2 => end + 1,
        _ => fits,
    }
}

/// Bytes of the beginning of a text that fit into so many columns.
fn head(text: &str, columns_max: usize) -> usize {
    let ends = text.grapheme_indices(true).map(|(start, cluster)| (start + cluster.len(), cluster));
    fitting(ends, columns_max).unwrap_or(0)
}

/// Where the end of a text begins that fits into so many columns.
fn tail(text: &str, columns_max: usize) -> usize {
    fitting(text.grapheme_indices(true).rev(), columns_max).unwrap_or(text.len())
}

/// The place that goes with the last of these clusters that still fits. What a person reads as one is never cut apart.
fn fitting<'a>(places: impl Iterator<Item = (usize, &'a str)>, columns_max: usize) -> Option<usize> {
    let mut taken = 0;
    let fits = places.take_while(|(_, cluster)| {
        taken += columns(cluster);
        taken <= columns_max
    });
    fits.last().map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_its_end() {
        for (text, columns_max, expected) in [
            ("shop", 4, "shop"),
            ("shop", 3, "sh…"),
            ("shop", 1, "…"),
            ("shop", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
        ] {
            assert_eq!(cut(text, columns_max), expected);
            assert!(columns(&cut(text, columns_max)) <= columns_max);
        }
    }

    #[test]
    fn names_are_shortened_in_their_middle() {
        for (name, columns_max, expected) in [
            ("shop", 4, "shop"),
            ("checkout-7b46d9f5c8-x9k2p", 25, "checkout-7b46d9f5c8-x9k2p"),
            ("checkout-7b46d9f5c8-x9k2p", 18, "checkout…5c8-x9k2p"),
            ("checkout-7b46d9f5c8-x9k2p", 13, "checko…-x9k2p"),
            ("checkout", 3, "c…t"),
            ("checkout", 2, "c…"),
            ("checkout", 1, "…"),
            ("checkout", 0, ""),
            ("日本語版", 6, "日…版"),
        ] {
            assert_eq!(shorten(name, columns_max), expected);
            assert!(columns(&shorten(name, columns_max)) <= columns_max);
        }
    }

    #[test]
    fn what_to_do_is_a_line_of_its_own() {
        assert_eq!(with_hint("it failed", ""), "it failed");
        assert_eq!(with_hint("", "fix it"), "", "nothing is wrong");
        assert_eq!(paragraphs(&with_hint("it failed", "fix it"), 10), ["it failed", "hint: fix", "it"]);
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(broken("", 10), [""]);
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(broken("größer", 3), ["grö", "ßer"]);
        assert_eq!(broken("registry.example/ops/shop:1.4.0", 20), ["registry.example/", "ops/shop:1.4.0"]);
        assert_eq!(broken("a/registry.example.of.ours", 20), ["a/registry.example.o", "f.ours"]);
        assert_eq!(broken("日本", 1), ["日", "本"], "a character wider than the line has a line of its own");
    }
}
