//! Columns of a table: their places follow from the width of the terminal alone, never from what the rows hold, so that
//! nothing jumps while rows come and go.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::geometry::BELOW_INDENT;
use crate::view::painter::Painter;

/// Columns to the left of a table: the mark of the selected row, and a blank.
const MARGIN: u16 = 2;
/// Blanks between two columns.
const GAP: u16 = 1;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its title.
    pub title: &'static str,
    /// Its least width.
    pub width: u16,
    /// Its greatest width, where there is room.
    pub width_max: u16,
    /// Whether its texts end at its end.
    pub right: bool,
    /// The width of the table from which on it is shown.
    pub from: u16,
}

/// A column of a fixed width.
pub(crate) const fn fixed(title: &'static str, width: u16, from: u16) -> Column {
    Column { title, width, width_max: width, right: false, from }
}

/// A column that takes more where there is room.
pub(crate) const fn wide(title: &'static str, width: u16, width_max: u16, from: u16) -> Column {
    Column { title, width, width_max, right: false, from }
}

/// A column whose texts end at its end.
pub(crate) const fn number(title: &'static str, width: u16, from: u16) -> Column {
    Column { title, width, width_max: width, right: true, from }
}

/// The columns without one: the application, where all rows are of the one that the title names.
pub(crate) fn without<const N: usize>(mut columns: [Column; N], hidden: Option<usize>) -> [Column; N] {
    if let Some(column) = hidden.and_then(|place| columns.get_mut(place)) {
        column.from = u16::MAX;
    }
    columns
}

/// Where the columns are, in a table of this width: from which column on, and how wide; `None` for those not shown.
#[derive(Debug, Clone)]
pub(crate) struct Places<const N: usize>([Option<(u16, u16)>; N]);

impl<const N: usize> Places<N> {
    /// Places columns. What is left over goes to those that can take it, from the left: the names come first.
    pub(crate) fn new(columns: &[Column; N], width: u16) -> Self {
        let mut widths = columns.map(|column| (width >= column.from).then_some(column.width));
        let shown = |widths: &[Option<u16>; N]| widths.iter().flatten().map(|w| w + GAP).sum::<u16>();
        let mut left = width.saturating_sub(MARGIN + shown(&widths).saturating_sub(GAP));
        for (column, width) in columns.iter().zip(&mut widths) {
            if let Some(width) = width {
                let more = left.min(column.width_max - *width);
                *width += more;
                left -= more;
            }
        }
        let mut x = MARGIN;
        Self(widths.map(|width| {
            let place = width.map(|width| (x, width));
            x += width.map_or(0, |width| width + GAP);
            place
        }))
    }

    /// Columns that they take with the margin before them.
    #[cfg(test)]
    pub(crate) fn end(&self) -> u16 {
        self.0.iter().flatten().map(|(x, width)| x + width).max().unwrap_or(0)
    }

    /// The cell of a column in the first line of a row; empty where the column is not shown.
    pub(crate) fn cell(&self, row: Rect, column: usize) -> Rect {
        match self.0.get(column).copied().flatten() {
            Some((x, width)) if x < row.width => {
                Rect { x: row.x + x, width: width.min(row.width - x), height: row.height.min(1), ..row }
            }
            _ => Rect { width: 0, height: 0, ..row },
        }
    }

    /// Writes the titles.
    pub(crate) fn titles(&self, painter: &mut Painter, columns: &[Column; N], row: Rect) {
        let style = painter.theme.line();
        for (place, column) in columns.iter().enumerate() {
            let cell = self.cell(row, place);
            if column.right {
                painter.right(cell, column.title, style);
            } else {
                painter.text(cell, column.title, style);
            }
        }
    }
}

/// The rows of a table: which is the first that is seen, which is selected, how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// The first that is seen.
    pub top: usize,
    /// The selected one.
    pub cursor: usize,
    /// All of them.
    pub count: usize,
}

/// Draws a table: its titles, where there is a line for them, and its rows. `draw` gets where its columns are, too.
pub(crate) fn table<const N: usize>(
    painter: &mut Painter,
    columns: &[Column; N],
    area: Rect,
    seen: Rows,
    lines: impl Fn(usize) -> u16,
    mut draw: impl FnMut(&mut Painter, &Places<N>, usize, Rect, bool),
) {
    let places = Places::new(columns, area.width);
    let titles = if area.height > 1 { 1 } else { 0 };
    places.titles(painter, columns, Rect { height: titles, ..area });
    let below = Rect { y: area.y + titles, height: area.height - titles, ..area };
    rows(painter, below, seen, lines, |painter, row, area, selected| draw(painter, &places, row, area, selected));
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

/// Writes what is said below the first line of a row.
pub(crate) fn below(painter: &mut Painter, row: Rect, text: &str, style: Style) {
    let indent = BELOW_INDENT.min(row.width);
    let below =
        Rect { x: row.x + indent, y: row.y + 1, width: row.width - indent, height: row.height.saturating_sub(1) };
    painter.paragraph(below, text, style);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_goes_to_the_left() {
        let columns = [wide("A", 10, 20, 0), fixed("B", 5, 0), wide("C", 10, 100, 50), number("D", 4, 0)];
        let widths = |width| Places::new(&columns, width).0;
        assert_eq!(widths(30), [Some((2, 17)), Some((20, 5)), None, Some((26, 4))]);
        assert_eq!(widths(60), [Some((2, 20)), Some((23, 5)), Some((29, 26)), Some((56, 4))]);
        assert_eq!(widths(52), [Some((2, 20)), Some((23, 5)), Some((29, 18)), Some((48, 4))]);
        assert_eq!(widths(0), [Some((2, 10)), Some((13, 5)), None, Some((19, 4))], "what has no room is cut off");
    }

    #[test]
    fn a_cell_ends_where_its_row_ends() {
        let columns = [wide("A", 10, 20, 0), fixed("B", 5, 0)];
        let places = Places::new(&columns, 15);
        let row = Rect::new(0, 3, 15, 2);
        assert_eq!(places.cell(row, 0), Rect::new(2, 3, 10, 1));
        assert_eq!(places.cell(row, 1), Rect::new(13, 3, 2, 1));
        assert!(places.cell(Rect::new(0, 3, 5, 2), 1).is_empty());
        assert!(places.cell(row, 7).is_empty());
    }
}
