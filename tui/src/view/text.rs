//! YAML on screen: keys stand out a little, what is searched stands out fully.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::Tone;
use crate::model::text::{Subject, TextScreen};
use crate::paint::empty;
use crate::paint::painter::Painter;
use crate::text;

/// Draws the lines that are seen.
pub(super) fn draw(painter: &mut Painter, screen: &TextScreen, area: Rect) {
    let asking = match &screen.subject {
        Subject::Live(resource) => format!("Asking for {} …", resource.short()),
        Subject::Manifests(_) => "Asking for the manifests …".to_owned(),
    };
    if empty::waiting(painter, area, &screen.document, &asking) {
        return;
    }
    let mut y = area.y;
    for (number, line) in screen.lines().iter().enumerate().skip(screen.top) {
        if y >= area.bottom() {
            break;
        }
        let row = Rect { y, height: 1, ..area };
        if screen.found == Some(number) {
            painter.text(Rect { width: 1, ..row }, "▌", painter.theme.accent());
        }
        let inside = Rect { x: row.x + 2, width: row.width.saturating_sub(2), ..row };
        let parts = if screen.wrap { text::columns(line).div_ceil(usize::from(inside.width.max(1))).max(1) } else { 1 };
        for part in (0..u32::try_from(parts).unwrap_or(1)).take(usize::from(area.bottom() - y)) {
            let first = if screen.wrap { part * u32::from(inside.width) } else { u32::from(screen.left) };
            yaml(painter, Rect { y, ..inside }, line, first, &screen.search, screen.wrap);
            y += 1;
        }
    }
}

/// A line of YAML: comments and the marks between documents are quiet, keys have the accent's colour.
fn yaml(painter: &mut Painter, area: Rect, line: &str, first: u32, search: &str, wrap: bool) {
    let trimmed = line.trim_start();
    let is_quiet = trimmed.starts_with('#') || trimmed == "---";
    let style = if is_quiet { painter.theme.tone(Tone::Quiet) } else { Style::new() };
    highlighted(painter, area, line, first, style, search, wrap);
    if is_quiet || first > 0 {
        return;
    }
    let indent = line.len() - trimmed.len();
    let (dashes, key) = trimmed.strip_prefix("- ").map_or((0, trimmed), |rest| (2, rest));
    if let Some(end) = key.find(": ").or_else(|| key.strip_suffix(':').map(str::len))
        && !key[..end].contains(['"', '\'', ' '])
    {
        let x = u16::try_from(indent + dashes).unwrap_or(u16::MAX);
        let width = u16::try_from(end).unwrap_or(u16::MAX);
        if x < area.width {
            let key = Rect { x: area.x + x, width: width.min(area.width - x), ..area };
            let style = painter.theme.key();
            painter.restyle(key, style);
        }
    }
}

/// Writes the part of a text from a column on, and marks what is searched.
pub(super) fn highlighted(
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
