//! What will it do? Both sides of each object, what differs within a line marked; beside each other where there is room.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Tone, of_action};
use crate::model::diff::{DiffDocument, DiffRow, DiffScreen, ObjectLines, SideLine};
use crate::model::geometry::SIDES_COLUMNS;
use crate::paint::empty;
use crate::paint::painter::Painter;
use crate::text;

/// Draws the rows that are seen.
pub(super) fn draw(painter: &mut Painter, screen: &DiffScreen, area: Rect) {
    if empty::waiting(painter, area, &screen.document, "Comparing git with the cluster …") {
        return;
    }
    let Some(document) = &screen.document.value else { return };
    if document.objects.is_empty() {
        let sentence = format!("✔ No difference: the cluster is as {} says.", document.plan.revision.short());
        return empty::draw(painter, area, &sentence, &[&document.plan.summary()]);
    }
    let sides = screen.sides && area.width >= SIDES_COLUMNS;
    for (place, y) in (screen.top..screen.rows.len()).zip(area.y..area.bottom()) {
        let row_area = Rect { y, height: 1, ..area };
        if screen.found == Some(place) {
            painter.text(Rect { width: 1, ..row_area }, "▌", painter.theme.accent());
        }
        let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..row_area };
        row(painter, document, screen, &screen.rows[place], sides, inside);
    }
}

fn row(painter: &mut Painter, document: &DiffDocument, screen: &DiffScreen, row: &DiffRow, sides: bool, area: Rect) {
    let quiet = painter.theme.tone(Tone::Quiet);
    match *row {
        DiffRow::Blank => {}
        DiffRow::Title(object) => {
            if let Some(object) = document.objects.get(object) {
                title(painter, object, area);
            }
        }
        DiffRow::Field(object, field) => {
            let text = document.objects.get(object).and_then(|object| object.fields.get(field));
            painter.text(
                Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area },
                text.map_or("", |t| t),
                quiet,
            );
        }
        DiffRow::Fold(lines) => {
            painter.text(area, &format!("  ┄┄ {lines} lines alike"), quiet);
        }
        DiffRow::Lines { object, live, desired, alike } => {
            let Some(object) = document.objects.get(object) else { return };
            let live = live.and_then(|line| Some((line, object.live.get(line as usize)?)));
            let desired = desired.and_then(|line| Some((line, object.desired.get(line as usize)?)));
            if sides {
                let half = area.width / 2;
                let (removed, added) = (painter.theme.removed(), painter.theme.added());
                side(
                    painter,
                    live,
                    (if alike { " " } else { "-" }, removed),
                    alike,
                    screen.left,
                    Rect { width: half, ..area },
                );
                let right = Rect { x: area.x + half, width: area.width - half, ..area };
                side(painter, desired, (if alike { " " } else { "+" }, added), alike, screen.left, right);
            } else {
                let (line, sign) = match (alike, live, desired) {
                    (true, _, line) => (line, (" ", Style::new())),
                    (false, Some(line), _) => (Some(line), ("-", painter.theme.removed())),
                    (false, None, line) => (line, ("+", painter.theme.added())),
                };
                side(painter, line, sign, alike, screen.left, area);
            }
        }
    }
}

/// `~ Deployment/shop in prod   configure`.
fn title(painter: &mut Painter, object: &ObjectLines, area: Rect) {
    let meaning = of_action(object.action);
    let (tone, quiet) = (painter.theme.tone(meaning.tone), painter.theme.tone(Tone::Quiet));
    let reason = object.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let action = format!("   {}{reason}", object.action);
    let sign = format!("{} ", meaning.sign);
    let name = painter.theme.tone(Tone::Strong);
    painter.texts(area, [(&*sign, tone), (&*object.title, name), (&*action, quiet)]);
}

/// A line of one side: its number, its sign, its text with the marks of what differs within it.
fn side(
    painter: &mut Painter,
    line: Option<(u32, &SideLine)>,
    (sign, style): (&str, Style),
    alike: bool,
    left: u16,
    area: Rect,
) {
    const NUMBER: u16 = 5;
    let Some((number, line)) = line else { return };
    let quiet = painter.theme.tone(Tone::Quiet);
    painter.right(Rect { width: NUMBER.min(area.width), ..area }, &(number + 1).to_string(), quiet);
    let style = if alike { Style::new() } else { style };
    let after = Rect { x: area.x + NUMBER + 1, width: area.width.saturating_sub(NUMBER + 2), ..area };
    painter.text(after, sign, style);
    let text_area = Rect { x: after.x + 2, width: after.width.saturating_sub(2), ..after };
    let hidden = hidden_bytes(&line.text, left);
    painter.text(text_area, &line.text[hidden..], style);
    let differs = painter.theme.differs();
    for (start, end) in &line.marks {
        let (start, end) = ((*start as usize).max(hidden), (*end as usize).max(hidden));
        let (Some(before), Some(marked)) = (line.text.get(hidden..start), line.text.get(start..end)) else { continue };
        let (x, width) = (columns(before), columns(marked));
        if x < text_area.width {
            let marked = Rect { x: text_area.x + x, width: width.min(text_area.width - x), ..text_area };
            painter.restyle(marked, differs);
        }
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(text::columns(text)).unwrap_or(u16::MAX)
}

/// Bytes of a text that are scrolled out to the left.
fn hidden_bytes(text: &str, left: u16) -> usize {
    text.char_indices().nth(usize::from(left)).map_or(text.len(), |(at, _)| at)
}
