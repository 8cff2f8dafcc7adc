//! Texts that are searched: what is found stands out.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::paint::painter::Painter;
use crate::text;

/// Writes the part of a text from a column on, and marks what is searched.
pub(crate) fn highlighted(
    painter: &mut Painter,
    area: Rect,
    whole: &str,
    first: u32,
    style: Style,
    search: &str,
    wrap: bool,
) {
    let shown = &whole[byte_at(whole, first)..];
    // A broken line goes on below; the part of it must not end in `…`.
    let shown = if wrap { &shown[..byte_at(shown, u32::from(area.width))] } else { shown };
    painter.text(area, shown, style);
    if search.is_empty() {
        return;
    }
    let found = painter.theme.found();
    for range in matches(shown, search) {
        let x = text::columns(&shown[..range.start]);
        let width = text::columns(&shown[range]);
        let (Ok(x), Ok(width)) = (u16::try_from(x), u16::try_from(width)) else { break };
        if x >= area.width {
            break;
        }
        painter.restyle(Rect { x: area.x + x, width: width.min(area.width - x), ..area }, found);
    }
}

/// The byte at which a column begins.
fn byte_at(line: &str, column: u32) -> usize {
    let column = column as usize;
    if line.is_ascii() {
        return column.min(line.len());
    }
    let mut taken = 0;
    for (at, c) in line.char_indices() {
        if taken >= column {
            return at;
        }
        taken += text::columns(c.encode_utf8(&mut [0; 4]));
    }
    line.len()
}

/// Where a text is found in a line, in any case. Letters whose case takes another number of bytes are found as written.
fn matches(line: &str, search: &str) -> Vec<Range<usize>> {
    let search = search.to_lowercase();
    let lower = line.to_lowercase();
    let (line, lower) = if lower.len() == line.len() { (line, lower) } else { (line, line.to_owned()) };
    let found = lower.match_indices(&search).map(|(at, found)| at..at + found.len());
    found.filter(|range| line.is_char_boundary(range.start) && line.is_char_boundary(range.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_found_in_any_case() {
        assert_eq!(matches("Error: ERROR", "error"), [0..5, 7..12]);
        assert_eq!(matches("größe GRÖSSE", "GRÖ"), [0..4, 8..12]);
        assert_eq!(matches("İstanbul", "stan"), vec![2..6]);
    }

    #[test]
    fn columns_become_bytes() {
        assert_eq!((byte_at("abc", 1), byte_at("abc", 9)), (1, 3));
        assert_eq!((byte_at("äbc", 1), byte_at("日本", 1), byte_at("日本", 2)), (2, 3, 3));
    }
}
