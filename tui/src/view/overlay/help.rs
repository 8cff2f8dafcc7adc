//! All keys of a screen, printed from the key table.

use ratatui::layout::Rect;

use crate::keymap::{Binding, EVERYWHERE};
use crate::paint::painter::Painter;
use crate::status_style::Tone;

/// Columns of the keys.
const KEYS: u16 = 18;

/// Draws the table over the screen.
pub(crate) fn draw(painter: &mut Painter, here: &'static [Binding], top: usize, area: Rect) {
    painter.clear(area);
    let sections = [("On this screen", here), ("Everywhere", EVERYWHERE)];
    let (key, quiet, strong) =
        (painter.theme.accent(), painter.theme.tone(Tone::Plain), painter.theme.tone(Tone::Strong));
    let mut lines = Vec::new();
    for (title, bindings) in sections {
        if bindings.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push((String::new(), "", strong));
        }
        lines.push((title.to_owned(), "", strong));
        lines.extend(bindings.iter().map(|binding| (format!("  {}", binding.keys), binding.help, key)));
    }
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    for ((keys, help, style), y) in lines.iter().skip(top).zip(area.y..area.bottom()) {
        let row = Rect { x: area.x + 1, y, width: area.width.saturating_sub(1), height: 1 };
        let taken = painter.text(row, keys, *style).max(KEYS);
        let rest = Rect { x: row.x + taken + 1, width: row.width.saturating_sub(taken + 1), ..row };
        painter.text(rest, help, quiet);
    }
}
