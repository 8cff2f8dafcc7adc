//! Bringing a screen into line with the fleet and the terminal: rows, selection, viewport.

use crate::model::screen::Place;
use crate::model::{Model, geometry};

/// Derives all that the seen screen shows anew: it came on top, the terminal was resized, the state was loaded, a
/// filter changed.
pub(super) fn rebuild(model: &mut Model) {
    let Model { fleet, screens, size, .. } = model;
    let Some(screen) = screens.last_mut() else { return };
    match &mut screen.place {
        Place::Table(table) => {
            table.rebuild(fleet, size.0);
            table.settle(fleet, geometry::table_lines(*size));
        }
        Place::Application(screen) => {
            screen.tree.rebuild(fleet, &screen.name, geometry::application(*size).tree.height);
        }
        Place::Events(screen) => screen.records.rebuild(*size),
        Place::History(screen) => screen.records.rebuild(*size),
        Place::Diff(screen) => screen.rebuild(size.0 >= geometry::SIDES_COLUMNS),
        Place::Text(_) | Place::Logs(_) | Place::ConsoleLog => {}
    }
}
