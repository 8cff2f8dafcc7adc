//! A screen with nothing on it says what would fill it, and one that cannot be filled says why.

use ratatui::layout::Rect;

use crate::model::fetched::Fetched;
use crate::model::link::Problem;
use crate::paint::painter::Painter;
use crate::status_style::Tone;
use crate::text;

/// Draws a sentence, and what to do below it.
pub(crate) fn draw(painter: &mut Painter, area: Rect, sentence: &str, hints: &[&str]) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let mut y = area.y + area.height / 4;
    let mut say = |painter: &mut Painter, text: &str, style| {
        for line in text::broken(text, area.width.saturating_sub(4)) {
            if y < area.bottom() {
                painter.text(Rect { x: area.x + 2, y, width: area.width.saturating_sub(2), height: 1 }, &line, style);
            }
            y += 1;
        }
    };
    say(painter, sentence, painter.theme.tone(Tone::Plain));
    for hint in hints {
        say(painter, hint, quiet);
    }
}

/// Draws what went wrong, and what to do.
pub(crate) fn problem(painter: &mut Painter, area: Rect, problem: &Problem) {
    let hints: Vec<&str> = problem.hints.iter().map(String::as_str).collect();
    let sentence = format!("✖ {}", problem.message);
    draw(painter, area, &sentence, &hints);
}

/// Draws why there is nothing of what was asked for yet; false where there is something.
pub(crate) fn waiting<T>(painter: &mut Painter, area: Rect, fetched: &Fetched<T>, asking: &str) -> bool {
    match (&fetched.value, &fetched.wait.problem) {
        (Some(_), _) => false,
        (None, Some(reason)) => {
            problem(painter, area, reason);
            true
        }
        (None, None) => {
            draw(painter, area, asking, &[]);
            true
        }
    }
}
