//! From the commit to the rollout, on three lines: the steps, where each stands, what is delivered.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::Tone;
use crate::model::timeline::{State, Step};
use crate::view::painter::Painter;

/// The widest that a step becomes: on a wide terminal the steps stay together.
const STEP_MAX: u16 = 26;

/// Draws the steps into two lines, and the caption below them.
pub(crate) fn draw(painter: &mut Painter, steps: &[Step], caption: &(State, String), area: Rect) {
    if area.height == 0 || steps.is_empty() {
        return;
    }
    let count = u16::try_from(steps.len()).unwrap_or(u16::MAX);
    let room = area.width.saturating_sub(2);
    let width = (room / count).min(STEP_MAX);
    for (step, nth) in steps.iter().zip(0..) {
        let x = area.x + 2 + nth * width;
        let cell = Rect { x, y: area.y, width: width.saturating_sub(1), height: 1 };
        painter.text(cell, step.title, painter.theme.line());
        if area.height > 1 {
            // The last step may use what is left over.
            let width = if nth + 1 == count { area.width.saturating_sub(x - area.x) } else { width };
            mark(painter, step, nth + 1 == count, Rect { y: area.y + 1, width, ..cell });
        }
    }
    if area.height > 2 {
        let line = Rect { x: area.x + 2, y: area.y + 2, width: room, height: 1 };
        let style = match tone(caption.0) {
            Tone::Quiet => Style::new(),
            tone => painter.theme.tone(tone),
        };
        painter.text(line, &caption.1, style);
    }
}

/// The sign of a state.
pub(crate) fn sign(state: State) -> &'static str {
    match state {
        State::Absent => "–",
        State::Waiting => "·",
        State::Running => "◐",
        State::Done => "✔",
        State::Failed => "✖",
        State::Stopped => "‖",
        State::Unknown => "?",
    }
}

/// The tone of a state.
pub(crate) fn tone(state: State) -> Tone {
    match state {
        State::Absent | State::Waiting | State::Unknown => Tone::Quiet,
        State::Running => Tone::Busy,
        State::Done => Tone::Good,
        State::Failed => Tone::Bad,
        State::Stopped => Tone::Warning,
    }
}

/// `✔ 31s ───`: the sign, what it says, and the line to the next step.
fn mark(painter: &mut Painter, step: &Step, is_last: bool, area: Rect) {
    let style = painter.theme.tone(tone(step.state));
    let mut words = step.text.clone();
    let time = match (step.seconds, step.since) {
        (Some(seconds), _) => format!("{seconds}s"),
        (None, Some(since)) if step.state == State::Running => painter.span(Some(since), None),
        (None, Some(since)) if is_last => painter.age(since),
        _ => String::new(),
    };
    if !words.is_empty() && !time.is_empty() {
        words.push(' ');
    }
    words.push_str(&time);
    let plain = match step.state {
        State::Done | State::Running => Style::new(),
        _ => style,
    };
    let texts = [(sign(step.state), style), (" ", Style::new()), (words.as_str(), plain)];
    let texts = if words.is_empty() { &texts[..1] } else { &texts[..] };
    let room = if is_last { area.width } else { area.width.saturating_sub(1) };
    let taken = painter.texts(Rect { width: room, ..area }, texts.iter().copied());
    if !is_last && taken + 2 < area.width {
        let x = area.x + taken + 1;
        painter.rule(Rect { x, width: area.width - taken - 2, height: 1, ..area });
    }
}
