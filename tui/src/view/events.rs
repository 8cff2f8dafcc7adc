//! The list of events.

use ratatui::layout::Rect;

use crate::column::Cell;
use crate::model::records::Record as _;
use crate::model::screen::EventsScreen;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::events::{Row, columns};
use crate::words;

/// Draws the list.
pub(super) fn draw(painter: &mut Painter, screen: &EventsScreen, area: Rect) {
    let records = &screen.records;
    if empty::waiting(painter, area, &records.all, "Asking for events …") {
        return;
    }
    if records.is_empty() {
        let sentence = match (records.filter.as_str(), &screen.of) {
            ("", Some(name)) => format!("Nothing happened to {name} yet."),
            ("", None) => "Nothing happened yet.".to_owned(),
            (filter, _) => format!("No event holds {filter:?}."),
        };
        return empty::draw(painter, area, &sentence, &[]);
    }
    let seen = Rows { top: records.top, cursor: records.cursor, count: records.len() };
    let lines = |place| records.lines(place, area.width);
    list::draw(painter, (&columns(), screen.of.is_some()), area, seen, lines, |place| {
        let record = records.row(place)?;
        let below = Cell::text(record.below()).toned(words::told(&record.event).tone);
        Some(Line { row: Row { record, time: String::new() }, below, is_old: false })
    });
}
