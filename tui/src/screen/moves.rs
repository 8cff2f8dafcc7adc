//! Moving along rows and lines, and to matches: the same keys mean the same on every screen.

use crate::keymap::Command;
use crate::model::records::{Record, Records};

/// Columns that one key press scrolls to the side.
const SIDE_STEP: u16 = 16;
/// Columns that can be scrolled out to the left: a line of the largest kept width.
const SIDE_MAX: u16 = 16_384;

/// A move along rows or lines: by so many, or to an end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    By(isize),
    /// Viewport and cursor together.
    Page(isize),
    First,
    Last,
}

/// The move that a command is, where so many lines are seen.
pub(super) fn movement(command: Command, lines: u16) -> Option<Move> {
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

/// Moves along records.
pub(super) fn along<T: Record>(records: &mut Records<T>, to: Move, size: (u16, u16)) {
    match to {
        Move::By(by) => records.select(records.cursor.saturating_add_signed(by), size),
        Move::Page(by) => records.page(by, size),
        Move::First => records.select(0, size),
        Move::Last => records.select(usize::MAX, size),
    }
}

/// The first line of a text that is seen after a move.
pub(super) fn text_top(top: usize, rows: usize, lines: u16, to: Move) -> usize {
    // Of a terminal that has no room for any, the last row is still one that is there.
    let last = rows.saturating_sub(usize::from(lines.max(1)));
    match to {
        Move::By(by) | Move::Page(by) => top.saturating_add_signed(by).min(last),
        Move::First => 0,
        Move::Last => last,
    }
}

/// The columns that are scrolled out to the left after a command.
pub(super) fn sideways(command: Command, left: u16) -> u16 {
    match command {
        Command::Left => left.saturating_sub(SIDE_STEP),
        Command::Right => (left + SIDE_STEP).min(SIDE_MAX),
        _ => left,
    }
}

/// The first row from `from` on for which something holds, around the end.
pub(super) fn around(rows: usize, from: usize, forward: bool, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let from = from.min(rows);
    if forward {
        (from..rows).chain(0..from).find(|row| holds(*row))
    } else {
        (0..from).rev().chain((from..rows).rev()).find(|row| holds(*row))
    }
}

/// The top with which a row is seen; the same as before where it is seen already.
pub(super) fn seen(top: usize, row: usize, lines: u16) -> usize {
    let lines = usize::from(lines);
    if (top..top + lines).contains(&row) { top } else { row.saturating_sub(lines / 3) }
}

/// What is told where a search finds nothing.
pub(super) fn not_here(search: &str) -> String {
    if search.is_empty() { "search first: /".to_owned() } else { format!("{search:?} is not here") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_a_row_of_it_also_where_none_has_room() {
        for (rows, lines, top) in [(0, 0, 0), (0, 9, 0), (5, 0, 4), (5, 1, 4), (5, 3, 2), (5, 9, 0)] {
            assert_eq!(text_top(0, rows, lines, Move::Last), top, "{rows} rows, room for {lines}");
        }
    }
}
