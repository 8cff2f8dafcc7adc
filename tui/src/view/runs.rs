//! The list of runs.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;

use crate::column::Cell;
use crate::meaning::of_phase;
use crate::model::Model;
use crate::model::table::Table;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::runs::columns;

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if table.rows().is_empty() {
        return nothing(painter, table, of, area);
    }
    let rows = table.rows();
    let seen = Rows { top: table.top, cursor: table.cursor, count: rows.len() };
    list::draw(
        painter,
        (&columns(), of.is_some()),
        area,
        seen,
        |place| rows[place].lines,
        |place| {
            let Object::Run(run) = model.fleet.object(rows[place].slot)? else { return None };
            let below = Cell::text(&run.message).toned(of_phase(run.phase).tone);
            Some(Line { row: &**run, below, is_old: false })
        },
    );
}

fn nothing(painter: &mut Painter, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if !table.filter.is_empty() {
        let sentence = format!("No run holds {:?}.", table.filter);
        return empty::draw(painter, area, &sentence, &["esc clears the filter."]);
    }
    let sentence = match of {
        Some(name) => format!("{name} was not built yet."),
        None => "Nothing was built yet.".to_owned(),
    };
    let hints = ["A tag does it: git tag build-1.0.0 && git push --tags", "b builds by hand, p pushes as well."];
    empty::draw(painter, area, &sentence, &hints);
}
