//! Moving within a screen, and switching how it shows what it shows.

use crate::effect::{Ask, Effect, OwnLog, Ticket};
use crate::keymap::Command;
use crate::model::log::Source;
use crate::model::records::{Record, Records};
use crate::model::screen::{ApplicationScreen, Place};
use crate::model::table::{Listing, Order};
use crate::model::toast::Said;
use crate::model::{Model, geometry};
use crate::update::{go, settle};

/// Columns that one key press scrolls to the side.
const SIDE_STEP: u16 = 16;
/// Columns that can be scrolled out to the left: a line of the largest kept width.
const SIDE_MAX: u16 = 16_384;

/// A move along rows or lines: by so many, or to an end.
#[derive(Debug, Clone, Copy)]
enum Move {
    By(isize),
    /// Viewport and cursor together.
    Page(isize),
    First,
    Last,
}

fn movement(command: Command, lines: u16) -> Option<Move> {
    let (half, page) = ((lines / 2).max(1) as isize, lines.saturating_sub(1).max(1) as isize);
    Some(match command {
        Command::Up => Move::By(-1),
        Command::Down => Move::By(1),
        Command::HalfUp => Move::Page(-half),
        Command::HalfDown => Move::Page(half),
        Command::PageUp => Move::Page(-page),
        Command::PageDown => Move::Page(page),
        Command::Top => Move::First,
        Command::Bottom => Move::Last,
        _ => return None,
    })
}

pub(super) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let size = model.size;
    let table_lines = geometry::table_lines(size);
    let body = geometry::regions(size).body.height;
    let Model { fleet, screens, .. } = model;
    let Some(screen) = screens.last_mut() else { return };
    let id = screen.id;
    match &mut screen.place {
        Place::Table(table) => match movement(command, table_lines) {
            Some(Move::By(by)) => table.select(fleet, table.cursor.saturating_add_signed(by), table_lines),
            Some(Move::Page(by)) => table.page(fleet, by, table_lines),
            Some(Move::First) => table.select(fleet, 0, table_lines),
            Some(Move::Last) => table.select(fleet, usize::MAX, table_lines),
            None => {}
        },
        Place::Application(screen) => {
            let lines = geometry::application(size).tree.height;
            let tree = &mut screen.tree;
            match movement(command, lines) {
                Some(Move::By(by) | Move::Page(by)) => tree.select(fleet, tree.cursor.saturating_add_signed(by), lines),
                Some(Move::First) => tree.select(fleet, 0, lines),
                Some(Move::Last) => tree.select(fleet, usize::MAX, lines),
                None => fold(model, command),
            }
        }
        Place::History(screen) => along(&mut screen.records, movement(command, table_lines), size),
        Place::Events(screen) => {
            along(&mut screen.records, movement(command, table_lines), size);
            older_events(model, id, effects);
        }
        Place::Logs(log) => {
            let room = log.room(size);
            match movement(command, room.lines) {
                Some(Move::By(by) | Move::Page(by)) => log.scroll(by, room),
                Some(Move::First) => log.to_top(),
                Some(Move::Last) => log.follow(),
                None => log.left = sideways(command, log.left),
            }
        }
        Place::Diff(screen) => {
            screen.left = sideways(command, screen.left);
            screen.top = text_top(screen.top, screen.rows.len(), body, movement(command, body));
        }
        Place::Text(screen) => {
            screen.left = sideways(command, screen.left);
            screen.top = text_top(screen.top, screen.lines().len(), body, movement(command, body));
        }
        Place::ConsoleLog => match command {
            Command::Up | Command::HalfUp | Command::PageUp => effects.push(Effect::OwnLog(OwnLog::PageUp)),
            Command::Down | Command::HalfDown | Command::PageDown => effects.push(Effect::OwnLog(OwnLog::PageDown)),
            Command::Bottom => effects.push(Effect::OwnLog(OwnLog::End)),
            _ => {}
        },
    }
}

fn along<T: Record>(records: &mut Records<T>, movement: Option<Move>, size: (u16, u16)) {
    match movement {
        Some(Move::By(by)) => records.select(records.cursor.saturating_add_signed(by), size),
        Some(Move::Page(by)) => records.page(by, size),
        Some(Move::First) => records.select(0, size),
        Some(Move::Last) => records.select(usize::MAX, size),
        None => {}
    }
}

/// Asks for older events where the reader came to the oldest one.
fn older_events(model: &mut Model, screen_id: u64, effects: &mut Vec<Effect>) {
    let number = model.number();
    let Place::Events(screen) = &mut model.screen_mut().place else { return };
    let records = &mut screen.records;
    let at_end = records.cursor + 1 >= records.len() && records.filter.is_empty();
    let oldest = records.all.value.as_ref().and_then(|all| all.last()).map(|record| record.id);
    if let (true, Some(oldest)) = (at_end && records.older && records.all.pending.is_none(), oldest) {
        records.all.pending = Some(number);
        records.asking_older = Some(number);
        let ask = Ask::Events(screen.of.clone(), Some(oldest));
        effects.push(Effect::Ask(Ticket::of(screen_id, number), ask));
    }
}

fn text_top(top: usize, rows: usize, lines: u16, movement: Option<Move>) -> usize {
    // Of a terminal that has no room for any, the last row is still one that is there.
    let last = rows.saturating_sub(usize::from(lines.max(1)));
    match movement {
        Some(Move::By(by) | Move::Page(by)) => top.saturating_add_signed(by).min(last),
        Some(Move::First) => 0,
        Some(Move::Last) => last,
        None => top,
    }
}

fn sideways(command: Command, left: u16) -> u16 {
    match command {
        Command::Left => left.saturating_sub(SIDE_STEP),
        Command::Right => (left + SIDE_STEP).min(SIDE_MAX),
        _ => left,
    }
}

/// Opens and closes branches; on what has none, left goes to its owner.
fn fold(model: &mut Model, command: Command) {
    let lines = geometry::application(model.size).tree.height;
    let Model { fleet, screens, .. } = model;
    let Some(Place::Application(ApplicationScreen { tree, .. })) = screens.last_mut().map(|screen| &mut screen.place)
    else {
        return;
    };
    let Some(row) = tree.rows().get(tree.cursor).copied() else { return };
    let key = row.slot.and_then(|slot| fleet.key(slot)).cloned();
    match (command, row.open, key) {
        (Command::Left | Command::Fold, Some(true), Some(key)) => drop(tree.closed.insert(key)),
        (Command::Right | Command::Fold, Some(false), Some(key)) => drop(tree.closed.remove(&key)),
        (Command::Left, ..) => {
            if let Some(owner) = tree.owner() {
                tree.select(fleet, owner, lines);
            }
        }
        _ => {}
    }
    settle::rebuild(model);
}

/// Switches how the screen shows what it shows.
pub(super) fn switch(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let size = model.size;
    let mut said = None;
    match (&mut model.screen_mut().place, command) {
        (Place::Table(table), Command::Sort) => {
            let has_orders = matches!(table.listing, Listing::Applications | Listing::Pods(_));
            table.order = if has_orders { table.order.next() } else { Order::Name };
            // A new order is for seeing what it brings to the top.
            (table.selected, table.cursor, table.top) = (None, 0, 0);
            said = Some(format!("sorted {}", table.order.word()));
        }
        (Place::Logs(log), Command::Wrap) => {
            log.wrap = !log.wrap;
            log.left = 0;
        }
        (Place::Text(screen), Command::Wrap) => {
            screen.wrap = !screen.wrap;
            screen.left = 0;
        }
        (Place::Logs(log), Command::Times) => log.times = !log.times,
        (Place::Logs(log), Command::PreviousContainer) => {
            if let Source::Pods { of, pod, previous } = log.source.clone() {
                return go::push_log(model, Source::Pods { of, pod, previous: !previous }, effects);
            }
            said = Some("only pods have containers that were restarted".to_owned());
        }
        (Place::Diff(screen), Command::Context) => screen.whole = !screen.whole,
        (Place::Diff(screen), Command::Sides) => {
            screen.sides = !screen.sides;
            if size.0 < geometry::SIDES_COLUMNS {
                said = Some(format!("both sides need a terminal of {} columns", geometry::SIDES_COLUMNS));
            }
        }
        _ => {}
    }
    settle::rebuild(model);
    if let Some(said) = said {
        model.toast(Said::Note, said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_a_row_of_it_also_where_none_has_room() {
        for (rows, lines, top) in [(0, 0, 0), (0, 9, 0), (5, 0, 4), (5, 1, 4), (5, 3, 2), (5, 9, 0)] {
            assert_eq!(text_top(0, rows, lines, Some(Move::Last)), top, "{rows} rows, room for {lines}");
        }
    }
}
