//! What happened, newest first: when, to which application, what, and by whom.

use quarterdeck_shared::event::EventRecord;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::Tone;
use crate::model::records::Record as _;
use crate::model::screen::EventsScreen;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, number, wide};
use crate::view::widgets::empty;
use crate::words;

pub(super) const COLUMNS: [Column; 4] =
    [number("AGE", 4, 0), wide("APPLICATION", 11, 24, 40), wide("WHAT", 42, 110, 0), wide("BY", 16, 40, 80)];

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
    let columns = columns::without(COLUMNS, screen.of.is_some().then_some(1));
    columns::table(
        painter,
        &columns,
        area,
        Rows { top: records.top, cursor: records.cursor, count: records.len() },
        |place| records.lines(place, area.width),
        |painter, places, place, area, selected| {
            if let Some(record) = records.row(place) {
                row(painter, places, record, area, selected);
            }
        },
    );
}

fn row(painter: &mut Painter, places: &Places<4>, record: &EventRecord, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let name = if selected { painter.theme.selected() } else { Style::new() };
    let told = words::told(&record.event);
    painter.aged(places.cell(area, 0), record.at, quiet);
    let who = record.application.as_ref().map_or("agent", |name| name.as_str());
    painter.name(places.cell(area, 1), who, name);
    let sign = match told.tone {
        Tone::Good => "✔ ",
        Tone::Busy => "◐ ",
        Tone::Warning => "! ",
        Tone::Bad => "✖ ",
        Tone::Plain | Tone::Quiet | Tone::Strong => "· ",
    };
    let style = painter.theme.tone(told.tone);
    let text = if matches!(told.tone, Tone::Bad | Tone::Warning) { style } else { Style::new() };
    let why = record.below();
    let what = if why.is_empty() { told.line() } else { told.what };
    painter.texts(places.cell(area, 2), [(sign, style), (&what, text)]);
    painter.name(places.cell(area, 3), &record.cause.words(), quiet);
    columns::below(painter, area, why, style);
}
