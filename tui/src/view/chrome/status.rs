//! The line above the keys: where in the list one is, what is filtered or searched, how a log runs.

use ratatui::layout::Rect;

use crate::console::Model;
use crate::paint::painter::Painter;
use crate::screen::status::Status;
use crate::status_style::Tone;

/// Draws it: what is special on the left, where one is on the right.
pub(super) fn draw(painter: &mut Painter, model: &Model, area: Rect) {
    let Status { left, right, calls } = model.place().status(&model.world);
    let quiet = painter.theme.tone(Tone::Plain);
    if !left.is_empty() {
        painter.text(Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, &format!(" {left} "), quiet);
    }
    if !right.is_empty() {
        let style = if calls { painter.theme.accent() } else { quiet };
        painter.right(Rect { width: area.width.saturating_sub(1), ..area }, &format!(" {right} "), style);
    }
}
