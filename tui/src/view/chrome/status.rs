//! The line above the keys: where in the list one is, what is filtered or searched, how a log runs.

use ratatui::layout::Rect;

use crate::meaning::Tone;
use crate::model::Model;
use crate::model::log::scroll::Position;
use crate::model::log::{LogScreen, Source, Stream};
use crate::model::records::{Record, Records};
use crate::model::screen::Place;
use crate::model::table::{Order, Table};
use crate::paint::painter::Painter;

/// Draws it: what is special on the left, where one is on the right.
pub(super) fn draw(painter: &mut Painter, model: &Model, area: Rect) {
    let (left, right) = match &model.screen().place {
        Place::Table(table) => (table_state(table), place(table.cursor, table.rows().len())),
        Place::Application(screen) => (filter(&screen.tree.filter), String::new()),
        Place::Events(screen) => records(&screen.records),
        Place::History(screen) => records(&screen.records),
        Place::Logs(log) => (following(log), unseen(log, model.size)),
        Place::Diff(screen) => {
            let plan = screen.document.value.as_ref().map(|document| document.plan.summary()).unwrap_or_default();
            let left = if screen.search.is_empty() { plan } else { search(&screen.search) };
            (left, place(screen.top, screen.rows.len()))
        }
        Place::Text(screen) => (search(&screen.search), place(screen.top, screen.lines().len())),
        Place::ConsoleLog => (String::new(), String::new()),
    };
    let quiet = painter.theme.tone(Tone::Plain);
    if !left.is_empty() {
        painter.text(Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, &format!(" {left} "), quiet);
    }
    if !right.is_empty() {
        let style = if matches!(model.screen().place, Place::Logs(_)) { painter.theme.accent() } else { quiet };
        painter.right(Rect { width: area.width.saturating_sub(1), ..area }, &format!(" {right} "), style);
    }
}

fn table_state(table: &Table) -> String {
    let order = if table.order == Order::Name { "" } else { table.order.word() };
    [filter(&table.filter), order.to_owned()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("   ")
}

fn records<T: Record>(records: &Records<T>) -> (String, String) {
    (filter(&records.filter), place(records.cursor, records.len()))
}

fn filter(filter: &str) -> String {
    if filter.is_empty() { String::new() } else { format!("filter /{filter}") }
}

fn search(search: &str) -> String {
    if search.is_empty() { String::new() } else { format!("search /{search}") }
}

fn place(cursor: usize, count: usize) -> String {
    if count == 0 { String::new() } else { format!("{} of {}", grouped(cursor as u64 + 1), grouped(count as u64)) }
}

/// What the log is doing: `following 3 pods  4,812 lines`.
fn following(log: &LogScreen) -> String {
    let who = match (&log.source, log.pods()) {
        (Source::Pods { .. }, 2..) => format!(" {} pods", log.pods()),
        _ => String::new(),
    };
    let how = match &log.stream {
        Stream::Opening => "asking for lines",
        Stream::Open if log.position == Position::Follow => "following",
        Stream::Open => "standing still, G follows:",
        Stream::Ended => "ended",
        Stream::Broken(_) => "broken off; taken up when the agent is back",
    };
    let found = if log.search.is_empty() { String::new() } else { format!("   {}", search(&log.search)) };
    let lines = log.ring.end();
    format!("{how}{who}   {} {}{found}", grouped(lines), if lines == 1 { "line" } else { "lines" })
}

fn unseen(log: &LogScreen, size: (u16, u16)) -> String {
    match log.unseen(log.room(size)) {
        0 => String::new(),
        new => format!("{} new ↓ G", grouped(new)),
    }
}

/// `4,812`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    #[test]
    fn large_numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (4_812, "4,812"), (1_234_567, "1,234,567")] {
            assert_eq!(super::grouped(number), text);
        }
    }
}
