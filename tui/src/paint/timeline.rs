//! From the commit to the rollout, on three lines: the steps, where each stands, what is delivered.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::timeline::{State, Step};
use crate::paint::painter::Painter;
use crate::status_style::Tone;
use crate::text;

/// The step after which nothing comes.
const LAST: &str = "rollout";
/// Widths are whole multiples of this, so that a digit more in one step does not move the ones after it.
const STEP: u16 = 4;
/// The widest that a step becomes for looks alone: on a wide terminal the steps stay together.
const STEP_MAX: u16 = 24;

/// Draws the steps into two lines, and the caption below them.
pub(crate) fn draw(painter: &mut Painter, steps: &[Step], caption: &(State, String), area: Rect) {
    if area.height == 0 || steps.is_empty() {
        return;
    }
    let room = area.width.saturating_sub(2);
    let words: Vec<String> =
        steps.iter().zip(1..).map(|(step, nth)| beside(painter, step, nth == steps.len())).collect();
    let widths = widths(steps, &words, room);
    let mut x = area.x + 2;
    for ((step, words), width) in steps.iter().zip(&words).zip(widths) {
        let cell = Rect { x, y: area.y, width, height: 1 }.intersection(area);
        painter.text(Rect { width: cell.width.saturating_sub(1), ..cell }, step.title, painter.theme.line());
        if area.height > 1 {
            mark(painter, step, words, Rect { y: area.y + 1, ..cell });
        }
        x = x.saturating_add(width);
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

/// The widths of the steps: what each needs, then what is left over, for looks, by the same share. Where there is too
/// little, the longest give.
fn widths(steps: &[Step], words: &[String], room: u16) -> Vec<u16> {
    let need = |(step, words): (&Step, &String)| {
        // The sign, a blank, the words, and a line to the next step.
        let mark = if words.is_empty() { 1 } else { 2 + text::columns(words) };
        let need = u16::try_from(mark.max(step.title.len()) + 3).unwrap_or(u16::MAX).min(room);
        need.next_multiple_of(STEP)
    };
    let mut widths: Vec<u16> = steps.iter().zip(words).map(need).collect();
    let total = |widths: &[u16]| widths.iter().map(|width| u32::from(*width)).sum::<u32>();
    while total(&widths) > u32::from(room)
        && let Some(longest) = widths.iter_mut().max().filter(|longest| **longest > STEP)
    {
        *longest -= 1;
    }
    let count = u16::try_from(widths.len()).unwrap_or(u16::MAX);
    let share = u16::try_from(u32::from(room).saturating_sub(total(&widths))).unwrap_or(0) / count.max(1);
    for width in &mut widths {
        *width += share.min(STEP_MAX.saturating_sub(*width));
    }
    // The last one may use what is left over.
    let left = u32::from(room).saturating_sub(total(&widths));
    if let Some(last) = widths.last_mut() {
        *last += u16::try_from(left).unwrap_or(0);
    }
    widths
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

/// What a step says beside its sign: `43% 12s`.
fn beside(painter: &mut Painter, step: &Step, is_last: bool) -> String {
    let time = match (step.seconds, step.since) {
        (Some(seconds), _) => format!("{seconds}s"),
        (None, Some(since)) if step.state == State::Running => painter.span(Some(since), None),
        (None, Some(since)) if is_last => painter.age(since),
        _ => String::new(),
    };
    let both = !step.text.is_empty() && !time.is_empty();
    format!("{}{}{time}", step.text, if both { " " } else { "" })
}

/// `✔ 31s ───`: the sign, what it says, and the line to the next step.
fn mark(painter: &mut Painter, step: &Step, words: &str, area: Rect) {
    let style = painter.theme.tone(tone(step.state));
    let plain = match step.state {
        State::Done | State::Running => Style::new(),
        _ => style,
    };
    let texts = [(sign(step.state), style), (" ", Style::new()), (words, plain)];
    let texts = if words.is_empty() { &texts[..1] } else { &texts[..] };
    let is_last = step.title == LAST;
    let room = if is_last { area.width } else { area.width.saturating_sub(1) };
    let taken = painter.texts(Rect { width: room, ..area }, texts.iter().copied());
    if !is_last && taken + 2 < area.width {
        painter.rule(Rect { x: area.x + taken + 1, width: area.width - taken - 2, ..area });
    }
}
