//! What holds of every model after every message. Tests ask it while they play with the console; the console itself never
//! does.

use crate::model::Model;
use crate::model::screen::Place;

/// Panics where a cursor is not on a row, or what is selected is not what lies under it.
pub fn assert_sound(model: &Model) {
    assert!(!model.screens.is_empty());
    let inside = |cursor: usize, top: usize, rows: usize| cursor < rows.max(1) && top <= cursor;
    match &model.screen().place {
        Place::Table(table) => {
            assert!(inside(table.cursor, table.top, table.rows().len()), "{table:?}");
            let under = table.slot().and_then(|slot| model.fleet.key(slot));
            assert!(table.rows().is_empty() || table.selected.as_ref() == under, "{table:?}");
            assert!(table.rows().iter().all(|row| model.fleet.object(row.slot).is_some()));
        }
        Place::Application(screen) => {
            assert!(inside(screen.tree.cursor, screen.tree.top, screen.tree.rows().len()));
            let under = screen.tree.slot().and_then(|slot| model.fleet.key(slot));
            assert_eq!(screen.tree.selected.as_ref(), under);
        }
        Place::Events(screen) => assert!(inside(screen.records.cursor, screen.records.top, screen.records.len())),
        Place::History(screen) => assert!(inside(screen.records.cursor, screen.records.top, screen.records.len())),
        Place::Diff(screen) => assert!(screen.top < screen.rows.len().max(1)),
        Place::Text(screen) => assert!(screen.top < screen.lines().len().max(1)),
        Place::Logs(_) | Place::ConsoleLog => {}
    }
}
