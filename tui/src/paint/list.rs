//! Lists: the places of their columns follow from the width of the terminal alone, never from what the rows hold, so that
//! nothing jumps while rows come and go.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::column::{Cell, Column, Form, Kind, Shown};
use crate::model::geometry::BELOW_INDENT;
use crate::paint::mark;
use crate::paint::painter::Painter;

/// Columns to the left of a table: the mark of the selected row, and a blank.
const MARGIN: u16 = 2;
/// Blanks between two columns.
const GAP: u16 = 1;
/// The width from which on signs have all of their words.
const NAMED: u16 = 40;

/// A row as it is drawn.
#[derive(Debug)]
pub struct Line<R> {
    /// What the columns show parts of.
    pub row: R,
    /// What is said below it.
    pub below: Cell,
    /// Whether this is what was so when it was last seen.
    pub is_old: bool,
}

/// The rows of a list: which is the first that is seen, which is selected, how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// The first that is seen.
    pub top: usize,
    /// The selected one.
    pub cursor: usize,
    /// All of them.
    pub count: usize,
}

/// Draws a list: the names of its columns, where there is a line for them, and the rows that are seen, of so many lines
/// each. Of one environment, the list is without what names it in each row.
pub(crate) fn draw<R>(
    painter: &mut Painter,
    (columns, of_one): (&[Column<R>], bool),
    area: Rect,
    seen: Rows,
    lines: impl Fn(usize) -> u16,
    line: impl Fn(usize) -> Option<Line<R>>,
) {
    let places = places(columns, of_one, area.width);
    let titles = if area.height > 1 { 1 } else { 0 };
    let style = painter.theme.line();
    for (column, x, width) in &places {
        let title = cell_area(Rect { height: titles, ..area }, *x, *width);
        if is_right(column.kind) {
            painter.right(title, column.title, style);
        } else {
            painter.text(title, column.title, style);
        }
    }
    let below = Rect { y: area.y + titles, height: area.height - titles, ..area };
    rows(painter, below, seen, lines, |painter, place, area, selected| {
        let Some(Line { row, below, is_old }) = line(place) else { return };
        for (column, x, width) in &places {
            cell(painter, column, (column.cell)(&row), cell_area(area, *x, *width), selected);
        }
        say_below(painter, &below, area);
        if is_old {
            painter.restyle(Rect { height: 1, ..area }, painter.theme.stale());
        }
    });
}

/// Draws the rows that are seen, of so many lines each: `draw` gets the place and the area of each, and whether it is the
/// selected one, whose mark is drawn here.
pub(crate) fn rows(
    painter: &mut Painter,
    area: Rect,
    Rows { top, cursor, count }: Rows,
    lines: impl Fn(usize) -> u16,
    mut draw: impl FnMut(&mut Painter, usize, Rect, bool),
) {
    let mut y = area.y;
    for row in top..count {
        let left = area.bottom().saturating_sub(y);
        if left == 0 {
            break;
        }
        let row_area = Rect { y, height: lines(row).min(left), ..area };
        let selected = row == cursor;
        draw(painter, row, row_area, selected);
        if selected {
            painter.text(Rect { width: 1, height: 1, ..row_area }, "▌", painter.theme.accent());
        }
        y += row_area.height;
    }
}

/// The columns that are shown in a list of this width: where each begins, and how wide it is. What is left over goes to
/// those that can take it, from the left: the names come first.
pub(crate) fn places<R>(columns: &[Column<R>], of_one: bool, width: u16) -> Vec<(&Column<R>, u16, u16)> {
    let is_shown = |column: &&Column<R>| {
        column.forms.contains(&Form::Screen) && width >= column.from && !(of_one && column.of_all)
    };
    let shown: Vec<_> = columns.iter().filter(is_shown).collect();
    let least = shown.iter().map(|column| column.width + GAP).sum::<u16>().saturating_sub(GAP);
    let mut left = width.saturating_sub(MARGIN + least);
    let mut x = MARGIN;
    let place = |column: &'_ Column<R>| {
        let more = left.min(column.width_max - column.width);
        left -= more;
        let place = (x, column.width + more);
        x += column.width + more + GAP;
        place
    };
    let places: Vec<_> = shown.iter().copied().map(place).collect();
    shown.into_iter().zip(places).map(|(column, (x, width))| (column, x, width)).collect()
}

/// The cell of a column in the first line of a row.
fn cell_area(row: Rect, x: u16, width: u16) -> Rect {
    if x >= row.width {
        return Rect { width: 0, height: 0, ..row };
    }
    Rect { x: row.x + x, width: width.min(row.width - x), height: row.height.min(1), ..row }
}

fn is_right(kind: Kind) -> bool {
    matches!(kind, Kind::Numbers | Kind::Times)
}

fn cell<R>(painter: &mut Painter, column: &Column<R>, cell: Cell, area: Rect, selected: bool) {
    let style = match column.names_row && selected {
        true => painter.theme.selected(),
        false => painter.theme.tone(cell.tone),
    };
    if let Some(at) = cell.aging {
        painter.age(at);
    }
    match &cell.shown {
        Shown::Text(text) if is_right(column.kind) => _ = painter.right(area, text, style),
        Shown::Text(text) if column.kind == Kind::Prose => _ = painter.text(area, text, style),
        Shown::Text(text) => _ = painter.name(area, text, style),
        Shown::Mark(meaning, word) => _ = mark::draw(painter, area, *meaning, word),
        Shown::Ended(word, meaning) => mark::ended(painter, area, word, *meaning),
        Shown::Marks { short, long } => mark::several(painter, area, if area.width >= NAMED { long } else { short }),
        Shown::Age(at) => painter.aged(area, *at, style),
        Shown::Took(started, finished) => {
            let took = painter.span(*started, *finished);
            painter.right(area, &took, style);
        }
    }
}

/// Writes what is said below the first line of a row.
fn say_below(painter: &mut Painter, said: &Cell, row: Rect) {
    let Shown::Text(text) = &said.shown else { return };
    if let Some(at) = said.aging {
        painter.age(at);
    }
    let style: Style = painter.theme.tone(said.tone);
    let indent = BELOW_INDENT.min(row.width);
    let below =
        Rect { x: row.x + indent, y: row.y + 1, width: row.width - indent, height: row.height.saturating_sub(1) };
    painter.paragraph(below, text, style);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column<()>> {
        let column = |title, kind, widths| Column::new(title, kind, widths, |_: &()| Cell::nothing());
        vec![
            column("A", Kind::Names, (10, 20)),
            column("B", Kind::Text, (5, 5)),
            column("C", Kind::Prose, (10, 100)).from(50).of_all(),
            column("D", Kind::Numbers, (4, 4)),
            Column::listed("E", Kind::Text, |_: &()| Cell::nothing()),
        ]
    }

    #[test]
    fn what_is_left_over_goes_to_the_left() {
        let columns = columns();
        let widths = |width, of_one| {
            let places = places(&columns, of_one, width);
            places.iter().map(|(column, x, width)| (column.title, *x, *width)).collect::<Vec<_>>()
        };
        assert_eq!(widths(30, false), [("A", 2, 17), ("B", 20, 5), ("D", 26, 4)]);
        assert_eq!(widths(60, false), [("A", 2, 20), ("B", 23, 5), ("C", 29, 26), ("D", 56, 4)]);
        assert_eq!(widths(60, true), [("A", 2, 20), ("B", 23, 5), ("D", 29, 4)], "all rows are of one environment");
        assert_eq!(widths(52, false), [("A", 2, 20), ("B", 23, 5), ("C", 29, 18), ("D", 48, 4)]);
        assert_eq!(widths(0, false), [("A", 2, 10), ("B", 13, 5), ("D", 19, 4)], "what has no room is cut off");
    }

    #[test]
    fn a_cell_ends_where_its_row_ends() {
        let row = Rect::new(0, 3, 15, 2);
        assert_eq!(cell_area(row, 2, 10), Rect::new(2, 3, 10, 1));
        assert_eq!(cell_area(row, 13, 5), Rect::new(13, 3, 2, 1));
        assert!(cell_area(Rect::new(0, 3, 5, 2), 13, 5).is_empty());
    }
}
