//! What lies over a screen: an empty area with a title.

use ratatui::layout::Rect;

use crate::paint::painter::Painter;
use crate::status_style::Tone;

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
