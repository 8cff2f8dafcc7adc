//! The list of applications. What fails says why below its row.

use quarterdeck_shared::snapshot::{ApplicationStatus, Object};
use ratatui::layout::Rect;

use crate::meaning::{Tone, of_health};
use crate::model::Model;
use crate::model::table::Table;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::applications::{Row, columns, explained};
use crate::unseen;

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    if table.rows().is_empty() {
        return nothing(painter, model, table, area);
    }
    let rows = table.rows();
    let seen = Rows { top: table.top, cursor: table.cursor, count: rows.len() };
    list::draw(
        painter,
        (&columns(), false),
        area,
        seen,
        |place| rows[place].lines,
        |place| {
            let object = model.fleet.object(rows[place].slot)?;
            let Object::Application(application) = object else { return None };
            let row = Row { application, now: model.now, says_below: rows[place].lines > 1 };
            Some(Line { row, below: explained(&row).toned(tone(application)), is_old: model.fleet.is_old(object) })
        },
    );
}

/// Of one that is well, it is something to look at.
fn tone(application: &ApplicationStatus) -> Tone {
    match of_health(application.health).tone {
        Tone::Good => Tone::Warning,
        _ if unseen::told(application).is_some() => Tone::Warning,
        tone => tone,
    }
}

fn nothing(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    if !table.filter.is_empty() {
        let sentence = format!("No application holds {:?}.", table.filter);
        return empty::draw(painter, area, &sentence, &["esc clears the filter."]);
    }
    let configuration = model.fleet.agent().map_or("the agent's configuration", |agent| &agent.configuration);
    let sentence = format!("No applications yet. Add one to {configuration}, or try: cargo demo");
    empty::draw(painter, area, &sentence, &["The agent reads its configuration again on SIGHUP."]);
}
