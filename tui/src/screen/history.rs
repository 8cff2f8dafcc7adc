//! The syncs of an application, newest first: what to go back to.

use quarterdeck_shared::event::SyncRecord;

use crate::column::{Cell, Column, Kind};
use crate::meaning::of_phase;
use crate::model::records::Record as _;
use crate::text;

/// A sync in a list.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The sync.
    pub sync: &'a SyncRecord,
    /// The name of the image that is built for its application.
    pub built: Option<&'a str>,
}

/// The columns of syncs.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::number("SYNC", 4, |row: &Row| Cell::text(row.sync.id).quiet()).naming(),
        Column::new("REVISION", Kind::Names, (13, 26), |row: &Row| Cell::text(row.sync.revision.short()))
            .naming()
            .from(34),
        Column::words("PHASE", 13, |row: &Row| Cell::mark(of_phase(row.sync.phase), row.sync.phase.word())).from(20),
        Column::new("IMAGE", Kind::Names, (7, 16), |row: &Row| {
            let own = text::own_image(&row.sync.images, row.built);
            Cell::text(own.map(text::image_version).unwrap_or_default())
        })
        .on_screen(60),
        Column::new("CAUSE", Kind::Names, (18, 30), |row: &Row| Cell::text(row.sync.cause.words())).from(80),
        Column::time("AGE", 4, |row: &Row| Cell::age(Some(row.sync.started))).from(40),
        Column::time("TOOK", 6, |row: &Row| Cell::took(Some(row.sync.started), row.sync.finished).quiet()).from(70),
        Column::listed("IMAGES", Kind::Names, |row: &Row| Cell::text(row.sync.images.join(","))).wide(),
        Column::new("MESSAGE", Kind::Prose, (20, 90), |row: &Row| {
            let is_below = !row.sync.below().is_empty();
            if is_below { Cell::nothing() } else { Cell::text(&row.sync.message).quiet() }
        })
        .on_screen(110),
        Column::listed("MESSAGE", Kind::Prose, |row: &Row| Cell::text(&row.sync.message)),
    ]
}
