//! The syncs of an application, newest first: what to go back to.

use quarterdeck_shared::event::SyncRecord;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Tone, of_phase};
use crate::model::Model;
use crate::model::records::Record as _;
use crate::model::screen::HistoryScreen;
use crate::text;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, fixed, number, wide};
use crate::view::widgets::{empty, mark};

pub(super) const COLUMNS: [Column; 8] = [
    number("SYNC", 4, 0),
    fixed("STATE", 13, 20),
    wide("REVISION", 13, 26, 34),
    wide("IMAGE", 7, 16, 60),
    number("AGE", 4, 40),
    number("TOOK", 6, 70),
    wide("BY", 18, 30, 80),
    wide("WHAT", 20, 90, 110),
];

/// Draws the list.
pub(super) fn draw(painter: &mut Painter, model: &Model, screen: &HistoryScreen, area: Rect) {
    let records = &screen.records;
    if empty::waiting(painter, area, &records.all, "Asking for the syncs …") {
        return;
    }
    if records.is_empty() {
        let sentence = match records.filter.as_str() {
            "" => format!("{} was not synced yet. S does it.", screen.of),
            filter => format!("No sync holds {filter:?}."),
        };
        return empty::draw(painter, area, &sentence, &[]);
    }
    let built = model.fleet.application(&screen.of).and_then(|application| application.spec.image.as_deref());
    columns::table(
        painter,
        &COLUMNS,
        area,
        Rows { top: records.top, cursor: records.cursor, count: records.len() },
        |place| records.lines(place, area.width),
        |painter, places, place, area, selected| {
            if let Some(sync) = records.row(place) {
                row(painter, places, sync, built, area, selected);
            }
        },
    );
}

fn row(painter: &mut Painter, places: &Places<8>, sync: &SyncRecord, built: Option<&str>, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let name = if selected { painter.theme.selected() } else { Style::new() };
    painter.right(places.cell(area, 0), &sync.id.to_string(), quiet);
    mark::draw(painter, places.cell(area, 1), of_phase(sync.phase), sync.phase.word());
    painter.name(places.cell(area, 2), &sync.revision.short(), name);
    let image = text::own_image(&sync.images, built).map(text::image_version).unwrap_or_default();
    painter.name(places.cell(area, 3), &image, Style::new());
    painter.aged(places.cell(area, 4), sync.started, Style::new());
    let took = painter.span(Some(sync.started), sync.finished);
    painter.right(places.cell(area, 5), &took, quiet);
    painter.name(places.cell(area, 6), &sync.cause.words(), Style::new());
    match sync.below() {
        "" => _ = painter.text(places.cell(area, 7), &sync.message, quiet),
        why => columns::below(painter, area, why, painter.theme.tone(of_phase(sync.phase).tone)),
    }
}
