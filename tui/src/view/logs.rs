//! What does it say? Lines as they come, a thin colour for each who writes, gaps told where they are.

use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::Tone;
use crate::model::Model;
use crate::model::log::ring::{Line, LineKind};
use crate::model::log::scroll::{Room, Shown, TIME_COLUMNS};
use crate::model::log::{LogScreen, Source, Stream};
use crate::paint::empty;
use crate::paint::painter::Painter;
use crate::view::text::highlighted;

/// Draws the lines that are seen.
pub(super) fn draw(painter: &mut Painter, model: &Model, log: &LogScreen, area: Rect) {
    if log.ring.is_empty() {
        match &log.stream {
            Stream::Opening => empty::draw(painter, area, "Asking for lines …", &[]),
            Stream::Open => match lost_cluster(model, log) {
                Some(cluster) => {
                    let sentence = format!("Cluster {cluster} is away. Lines appear when it is back.");
                    empty::draw(painter, area, &sentence, &[]);
                }
                None => empty::draw(painter, area, "Nothing was written yet. Lines appear as they come.", &[]),
            },
            Stream::Ended => empty::draw(painter, area, "Nothing was written.", &[]),
            Stream::Broken(problem) => empty::problem(painter, area, problem),
        }
        return;
    }
    let room = log.room(model.size);
    for (shown, y) in log.shown(room).into_iter().zip(area.y..area.bottom()) {
        if let Some(line) = log.ring.get(shown.line) {
            draw_line(painter, log, line, shown, room, &model.zone, Rect { y, height: 1, ..area });
        }
    }
}

/// The cluster of the pods, where it is away.
fn lost_cluster<'a>(model: &'a Model, log: &LogScreen) -> Option<&'a str> {
    let Source::Pods { of, .. } = &log.source else { return None };
    model.fleet.lost_cluster(model.fleet.application(of)?)
}

fn draw_line(
    painter: &mut Painter,
    log: &LogScreen,
    line: &Line,
    shown: Shown,
    room: Room,
    zone: &TimeZone,
    area: Rect,
) {
    if log.found == Some(shown.line) {
        painter.text(Rect { width: 1, ..area }, "▌", painter.theme.accent());
    }
    if let LineKind::Gap | LineKind::Notice = line.kind {
        return say(painter, line, Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area });
    }
    let mut x = area.x + 1;
    let label = log.label_columns();
    if label > 0 {
        if shown.part == 0
            && let Some(lane) = log.lanes.get(usize::from(line.lane))
        {
            let style = painter.theme.lane(line.lane);
            painter.text(Rect { x, width: label, ..area }.intersection(area), &lane.label, style);
        }
        x += label + 1;
    }
    if log.times {
        if let (0, Some(at)) = (shown.part, line.at) {
            let time = at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            let style = painter.theme.tone(Tone::Quiet);
            painter.text(Rect { x, width: TIME_COLUMNS - 1, ..area }.intersection(area), &time, style);
        }
        x += TIME_COLUMNS;
    }
    let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
    let first = if log.wrap { u32::from(shown.part) * u32::from(room.columns) } else { u32::from(log.left) };
    let style = if line.kind == LineKind::Error { painter.theme.tone(Tone::Bad) } else { Style::new() };
    highlighted(painter, rest, &line.text, first, style, &log.search, log.wrap);
}

/// `┄┄┄┄ 214 lines missing here: … ┄┄┄┄`.
fn say(painter: &mut Painter, line: &Line, area: Rect) {
    let (tone, text) = match line.kind {
        LineKind::Gap => (Tone::Warning, format!("┄┄┄┄ {} ┄┄┄┄", line.text)),
        _ => (Tone::Quiet, format!("┄┄┄┄ {}", line.text)),
    };
    let style = painter.theme.tone(tone);
    painter.text(area, &text, style);
}
