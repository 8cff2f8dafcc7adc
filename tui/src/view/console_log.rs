//! The console's own log, shown by the library that collects it. It makes the lines harmless itself: cells never hold
//! control characters.

use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerWidget};

use crate::meaning::Tone;
use crate::own_log;
use crate::paint::painter::Painter;

/// Draws the newest lines, or those that were scrolled to.
pub(super) fn draw(painter: &mut Painter, area: Rect) {
    let theme = painter.theme;
    let widget = TuiLoggerWidget::default()
        .style_error(theme.tone(Tone::Bad))
        .style_warn(theme.tone(Tone::Warning))
        .style_info(theme.tone(Tone::Plain))
        .style_debug(theme.tone(Tone::Quiet))
        .style_trace(theme.tone(Tone::Quiet))
        .output_separator(' ')
        .output_timestamp(Some("%H:%M:%S".to_owned()))
        .output_level(Some(TuiLoggerLevelOutput::Long))
        .output_target(true)
        .output_file(false)
        .output_line(false);
    own_log::with_state(|state| widget.state(state).render(area, painter.buffer()));
    // Lines come without a message of their own.
    let soon = painter.now().saturating_add(own_log::SHOWN_WITHIN);
    painter.changes_at(soon.unwrap_or(jiff::Timestamp::MAX));
}
