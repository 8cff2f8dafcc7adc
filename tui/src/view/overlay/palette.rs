//! The palette: what is typed, and what matches it, with the key that does the same.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::model::overlay::{PALETTE_LINES, Palette};
use crate::paint::input;
use crate::paint::painter::Painter;
use crate::status_style::Tone;

/// Columns of the names.
const NAMES: u16 = 26;

/// Draws it over the bottom of the screen; where the cursor is comes back.
pub(crate) fn draw(painter: &mut Painter, palette: &Palette, area: Rect) -> Option<Position> {
    let lines = PALETTE_LINES.min(area.height.saturating_sub(2));
    let sheet = Rect { y: area.bottom() - (lines + 2).min(area.height), height: (lines + 2).min(area.height), ..area };
    painter.clear(sheet);
    painter.rule(Rect { height: 1, ..sheet });
    let (accent, quiet) = (painter.theme.accent(), painter.theme.tone(Tone::Quiet));
    let rows = palette.entries.iter().enumerate().skip(palette.top).zip(sheet.y + 1..sheet.bottom().saturating_sub(1));
    for ((place, entry), y) in rows {
        let row = Rect { x: sheet.x, y, width: sheet.width.saturating_sub(1), height: 1 };
        let selected = place == palette.cursor;
        if selected {
            painter.text(Rect { width: 1, ..row }, "▌", accent);
        }
        let key = painter.right(row, &entry.key, accent);
        let inside = Rect { x: row.x + 2, width: row.width.saturating_sub(key + 4), ..row };
        let name = Rect { width: NAMES.min(inside.width), ..inside };
        let taken = painter.text(name, &entry.name, if selected { accent } else { Style::new() }).max(NAMES) + 2;
        let rest = Rect { x: inside.x + taken, width: inside.width.saturating_sub(taken), ..inside };
        painter.text(rest, &entry.help, quiet);
    }
    if palette.entries.is_empty() {
        let row = Rect { x: sheet.x + 2, y: sheet.y + 1, width: sheet.width.saturating_sub(2), height: 1 };
        painter.text(row.intersection(sheet), "nothing is called that", quiet);
    }
    let line = Rect { y: sheet.bottom() - 1, height: 1, ..sheet };
    let taken = painter.texts(line, [(" : ", accent)]);
    let rest = Rect { x: line.x + taken, width: line.width - taken, ..line };
    input::draw(painter, &palette.input, rest)
}
