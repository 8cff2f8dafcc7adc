//! How the terminal is divided. Shared by the update, which scrolls by pages, and the view, which draws them.

use ratatui::layout::Rect;

use crate::text;

/// The parts of the screen, from top to bottom. A part that has no room is zero lines high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regions {
    /// Where one is, and how things stand.
    pub header: Rect,
    /// A line below it, which also carries what everyone must know.
    pub upper_rule: Rect,
    /// The screen itself.
    pub body: Rect,
    /// A line above the hints.
    pub lower_rule: Rect,
    /// Keys, or what is being typed.
    pub footer: Rect,
}

/// Divides the terminal. What a person can do without goes first: the rules, then the hints, then the header.
pub fn regions(size: (u16, u16)) -> Regions {
    let (width, height) = size;
    let (header, upper, lower, footer) = match height {
        0..=2 => (0, 0, 0, 0),
        3..=4 => (1, 0, 0, 0),
        5..=7 => (1, 0, 0, 1),
        8..=9 => (1, 1, 0, 1),
        _ => (1, 1, 1, 1),
    };
    let body = height - header - upper - lower - footer;
    let mut y = 0;
    let mut part = |height: u16| {
        let part = Rect { x: 0, y, width, height };
        y += height;
        part
    };
    Regions {
        header: part(header),
        upper_rule: part(upper),
        body: part(body),
        lower_rule: part(lower),
        footer: part(footer),
    }
}

/// Lines of a table: the body without its titles.
pub fn table_lines(size: (u16, u16)) -> u16 {
    let body = regions(size).body.height;
    if body > 1 { body - 1 } else { body }
}

/// Columns by which is indented what is said below a row.
pub const BELOW_INDENT: u16 = 4;

/// Lines that are said below a row at most: some 350 characters on the narrowest terminal that people have, as an API
/// server says that takes offence at several fields. More would be no list.
const BELOW_MAX: usize = 5;

/// Lines of a row with what is said below it, in a list of so many columns.
pub fn row_lines(below: &str, columns: u16) -> u16 {
    if below.is_empty() {
        return 1;
    }
    let lines = text::paragraphs(below, columns.saturating_sub(BELOW_INDENT)).len();
    1 + u16::try_from(lines.min(BELOW_MAX)).unwrap_or(1)
}

/// The parts of the screen of one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvironmentRegions {
    /// From the commit to the rollout.
    pub timeline: Rect,
    /// A line below it.
    pub rule: Rect,
    /// Its objects.
    pub tree: Rect,
    /// What is known of the selected one; zero columns wide where there is no room.
    pub pane: Rect,
}

/// Lines of the timeline: titles, marks, and what is delivered.
const TIMELINE_LINES: u16 = 3;

/// Divides the body of the screen of one environment. The pane needs 80 columns in all; the tree keeps the larger part.
pub fn environment(size: (u16, u16)) -> EnvironmentRegions {
    let body = regions(size).body;
    let (timeline, rule) = if body.height >= 10 { (TIMELINE_LINES, 1) } else { (0, 0) };
    let below = Rect { y: body.y + timeline + rule, height: body.height - timeline - rule, ..body };
    let pane = if body.width >= 72 { (body.width * 2 / 5).min(90) } else { 0 };
    EnvironmentRegions {
        timeline: Rect { height: timeline, ..body },
        rule: Rect { y: body.y + timeline, height: rule, ..body },
        tree: Rect { width: body.width - pane, ..below },
        pane: Rect { x: body.width - pane, width: pane, ..below },
    }
}

/// From this many columns on, a diff may show both sides beside each other.
pub const SIDES_COLUMNS: u16 = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_divided_without_rest() {
        for width in [0, 1, 20, 80, 200, 500] {
            for height in 0..=150 {
                let r = regions((width, height));
                let parts = [r.header, r.upper_rule, r.body, r.lower_rule, r.footer];
                assert_eq!(parts.iter().map(|p| p.height).sum::<u16>(), height);
                assert!(height == 0 || r.body.height > 0);
                let a = environment((width, height));
                assert_eq!(a.timeline.height + a.rule.height + a.tree.height, r.body.height);
                assert_eq!(a.tree.width + a.pane.width, width);
            }
        }
    }
}
