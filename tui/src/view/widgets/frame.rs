//! What lies over a screen: an empty area with a title, and text broken into lines.

use ratatui::layout::Rect;

use crate::meaning::Tone;
use crate::text;
use crate::view::painter::Painter;

/// Clears an area of so many lines at the bottom of another one, draws a line and a title above it; what is inside comes
/// back. What is asked stands near where the eye is: above the keys.
pub(crate) fn sheet(painter: &mut Painter, area: Rect, title: &str, lines: u16) -> Rect {
    let height = (lines + 2).min(area.height);
    let sheet = Rect { y: area.bottom() - height, height, ..area };
    painter.clear(sheet);
    if height == 0 {
        return sheet;
    }
    painter.rule(Rect { height: 1, ..sheet });
    if height > 1 {
        let line = Rect { x: sheet.x + 1, y: sheet.y + 1, width: sheet.width.saturating_sub(1), height: 1 };
        painter.text(line, title, painter.theme.tone(Tone::Strong));
    }
    Rect { x: sheet.x + 2, y: sheet.y + 2, width: sheet.width.saturating_sub(2), height: height.saturating_sub(2) }
        .intersection(sheet)
}

/// A text broken between its words into lines of at most so many columns. A longer word is broken within.
pub(crate) fn broken(paragraph: &str, columns: u16) -> Vec<String> {
    let columns = usize::from(columns.max(1));
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is a line from the beginning");
            let taken = text::columns(line);
            let gap = usize::from(taken > 0);
            if taken + gap + text::columns(word) <= columns {
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
            let (head, rest) = word.split_at(fitting(word, columns));
            line.push_str(head);
            word = rest;
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Bytes of a word that fit into so many columns; at least one character.
fn fitting(word: &str, columns: usize) -> usize {
    let ends = word.char_indices().map(|(start, c)| start + c.len_utf8());
    let first = word.chars().next().map_or(0, char::len_utf8);
    ends.take_while(|end| text::columns(&word[..*end]) <= columns).last().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(broken("", 10), [""]);
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(broken("größer", 3), ["grö", "ßer"]);
        assert_eq!(broken("日本", 1), ["日", "本"], "a character wider than the line has a line of its own");
    }
}
