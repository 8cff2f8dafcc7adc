//! Which rows of a list are seen. The viewport stands still while the cursor moves within it, so that a key press
//! repaints two rows and not the screen.

/// Rows that stay visible above and below the cursor, where there are any.
pub const SCROLL_OFF: usize = 2;

/// The first row to show, so that the cursor is seen with some rows around it and the viewport moves as little as it can.
///
/// `height` is in lines; a row may be more than one line high, which `lines` tells.
pub fn top(top: usize, cursor: usize, rows: usize, height: u16, lines: impl Fn(usize) -> u16) -> usize {
    if rows == 0 || height == 0 {
        return 0;
    }
    let cursor = cursor.min(rows - 1);
    // The rows around the cursor that must be seen with it; fewer where the viewport is low.
    let margin = SCROLL_OFF.min(usize::from(height.saturating_sub(1)) / 4);
    let first = cursor.saturating_sub(margin);
    let last = (cursor + margin).min(rows - 1);
    let top = top.min(first);
    let top = top.max(earliest(last, height, &lines).min(first));
    // No emptiness below the last row while there are rows above.
    top.min(earliest(rows - 1, height, &lines))
}

/// The smallest top with which the row `last` is wholly seen.
fn earliest(last: usize, height: u16, lines: &impl Fn(usize) -> u16) -> usize {
    let mut left = i32::from(height);
    let mut first = last;
    for row in (0..=last).rev() {
        left -= i32::from(lines(row));
        if left < 0 {
            break;
        }
        first = row;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewport_moves_as_little_as_it_can() {
        let one = |_: usize| 1;
        // top, cursor, rows, height -> top
        for (was, cursor, rows, height, is) in [
            (0, 0, 0, 10, 0),
            (0, 0, 100, 0, 0),
            (0, 7, 100, 10, 0),
            (0, 8, 100, 10, 1),
            (0, 50, 100, 10, 43),
            (43, 45, 100, 10, 43),
            (43, 44, 100, 10, 42),
            (43, 0, 100, 10, 0),
            (0, 99, 100, 10, 90),
            (95, 99, 100, 10, 90),
            (90, 99, 5, 10, 0),
            (0, 1, 3, 1, 1),
        ] {
            assert_eq!(top(was, cursor, rows, height, one), is, "{was} {cursor} {rows} {height}");
        }
    }

    #[test]
    fn high_rows_count_by_their_lines() {
        let two = |_: usize| 2;
        assert_eq!(top(0, 3, 10, 10, two), 1, "rows 1 to 5 fill ten lines");
        assert_eq!(top(0, 9, 10, 10, two), 5);
        let mixed = |row: usize| if row == 0 { 2 } else { 1 };
        assert_eq!(top(0, 7, 20, 10, mixed), 1, "the high first row leaves as soon as it must");
    }

    #[test]
    fn a_row_higher_than_the_viewport_is_still_reached() {
        assert_eq!(top(0, 4, 10, 1, |_| 2), 4);
    }
}
