//! A line that is typed.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use tui_input::Input;

use crate::paint::painter::Painter;
use crate::text;

/// Draws a line of input, scrolled so that its cursor is seen; where that is comes back.
pub(crate) fn draw(painter: &mut Painter, input: &Input, area: Rect) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let scroll = input.visual_scroll(usize::from(area.width.saturating_sub(1)));
    let mut columns = 0;
    let hidden = |c: &char| {
        let is_hidden = columns < scroll;
        columns += text::columns(c.encode_utf8(&mut [0; 4]));
        is_hidden
    };
    let shown: String = input.value().chars().skip_while(hidden).collect();
    painter.text(area, &shown, Style::new());
    let cursor = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or(u16::MAX);
    Some(Position { x: (area.x + cursor.min(area.width - 1)), y: area.y })
}
