//! A sign with its word, in the colour of its meaning.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::paint::painter::Painter;
use crate::status_style::{StatusStyle, Tone};

/// Writes `✔ Synced`: the sign always coloured, the word only where it is no good news.
pub(crate) fn draw(painter: &mut Painter, area: Rect, meaning: StatusStyle, word: &str) -> u16 {
    let style = painter.theme.tone(meaning.tone);
    let word_style = if meaning.tone == Tone::Good { Style::new() } else { style };
    let mut sign = [0; 4];
    let sign: &str = meaning.sign.encode_utf8(&mut sign);
    painter.texts(area, [(sign, style), (" ", Style::new()), (word, word_style)])
}

/// Writes `sync ✔`: the sign needs its room; a word that went well can do without.
pub(crate) fn ended(painter: &mut Painter, area: Rect, word: &str, meaning: StatusStyle) {
    let style = painter.theme.tone(meaning.tone);
    let taken = painter.text(area, word, if meaning.tone == Tone::Good { Style::new() } else { style });
    let rest = Rect { x: area.x + taken, width: area.width - taken, ..area };
    if rest.width >= 2 {
        painter.text(rest, &format!(" {}", meaning.sign), style);
    }
}

/// Writes signs one after the other, each with its word where it has one.
pub(crate) fn several(painter: &mut Painter, area: Rect, marks: &[(StatusStyle, String)]) {
    let mut x = area.x;
    for (meaning, word) in marks {
        let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
        if rest.width == 0 {
            break;
        }
        let taken = draw(painter, rest, *meaning, word);
        x += if word.is_empty() { 2 } else { taken + 2 };
    }
}
