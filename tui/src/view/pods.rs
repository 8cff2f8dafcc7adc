//! The list of pods.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;

use crate::column::Cell;
use crate::meaning::of_health;
use crate::model::Model;
use crate::model::table::Table;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::pods::{Row, columns};

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if table.rows().is_empty() {
        let sentence = match (table.filter.is_empty(), of) {
            (false, _) => format!("No pod holds {:?}.", table.filter),
            (true, Some(name)) => format!("{name} has no pods."),
            (true, None) => "No pods yet. Pods of the objects that are synced appear here.".to_owned(),
        };
        let hints: &[&str] = if table.filter.is_empty() { &[] } else { &["esc clears the filter."] };
        return empty::draw(painter, area, &sentence, hints);
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
            let object = model.fleet.object(rows[place].slot)?;
            let Object::Pod(pod) = object else { return None };
            let is_old = model.fleet.is_old(object);
            let row = Row { pod, is_old, over: None, now: model.now };
            let below = Cell::text(&pod.message).toned(of_health(pod.health).tone);
            Some(Line { row, below, is_old })
        },
    );
}
