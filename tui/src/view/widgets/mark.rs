//! A sign with its word, in the colour of its meaning.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Meaning, Tone};
use crate::view::painter::Painter;

/// Writes `✔ Synced`: the sign always coloured, the word only where it is no good news.
pub(crate) fn draw(painter: &mut Painter, area: Rect, meaning: Meaning, word: &str) -> u16 {
    let style = painter.theme.tone(meaning.tone);
    let word_style = if meaning.tone == Tone::Good { Style::new() } else { style };
    let mut sign = [0; 4];
    let sign: &str = meaning.sign.encode_utf8(&mut sign);
    painter.texts(area, [(sign, style), (" ", Style::new()), (word, word_style)])
}
