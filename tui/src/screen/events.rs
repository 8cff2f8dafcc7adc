//! What happened, newest first: when, to which application, by whom, and what.

use quarterdeck_shared::event::EventRecord;

use crate::column::{Cell, Column, Kind};
use crate::meaning::{Meaning, Tone};
use crate::model::records::Record as _;
use crate::words::{self, Told};

/// An event in a list.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The event.
    pub record: &'a EventRecord,
    /// When it was, in the zone of the reader; for tables.
    pub time: String,
}

/// The columns of events.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::time("AGE", 4, |row: &Row| Cell::age(Some(row.record.at)).quiet()).on_screen(0),
        Column::listed("TIME", Kind::Words, |row: &Row| Cell::text(&row.time).quiet()),
        Column::new("APPLICATION", Kind::Words, (11, 24), |row: &Row| {
            Cell::text(row.record.application.as_ref().map_or("agent", |name| name.as_str()))
        })
        .naming()
        .of_all()
        .on_screen(40),
        Column::listed("APPLICATION", Kind::Words, |row: &Row| {
            Cell::text(row.record.application.as_ref().map_or("", |name| name.as_str()))
        }),
        Column::new("EVENT", Kind::Prose, (42, 110), marked).on_screen(0),
        Column::new("CAUSE", Kind::Names, (16, 40), |row: &Row| Cell::text(row.record.cause.words()).quiet()).from(80),
        Column::listed("EVENT", Kind::Prose, |row: &Row| {
            let told = words::told(&row.record.event);
            Cell::text(told.line()).toned(told.tone)
        }),
    ]
}

/// What it was, with its sign; without the reason, where that is said below the row.
fn marked(row: &Row) -> Cell {
    let told = words::told(&row.record.event);
    let meaning = Meaning { tone: told.tone, sign: sign(&told) };
    if row.record.below().is_empty() { Cell::mark(meaning, told.line()) } else { Cell::mark(meaning, told.what) }
}

fn sign(told: &Told) -> char {
    match told.tone {
        Tone::Good => '✔',
        Tone::Busy => '◐',
        Tone::Warning => '!',
        Tone::Bad => '✖',
        Tone::Plain | Tone::Quiet | Tone::Strong => '·',
    }
}
