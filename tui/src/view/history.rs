//! The list of syncs.

use ratatui::layout::Rect;

use crate::column::Cell;
use crate::meaning::of_phase;
use crate::model::Model;
use crate::model::records::Record as _;
use crate::model::screen::HistoryScreen;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::history::{Row, columns};

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
    let seen = Rows { top: records.top, cursor: records.cursor, count: records.len() };
    let lines = |place| records.lines(place, area.width);
    list::draw(painter, (&columns(), false), area, seen, lines, |place| {
        let sync = records.row(place)?;
        let below = Cell::text(sync.below()).toned(of_phase(sync.phase).tone);
        Some(Line { row: Row { sync, built }, below, is_old: false })
    });
}
