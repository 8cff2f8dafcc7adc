//! The agent, and what it talks to: clusters, engines, registries, repositories.

use quarterdeck_shared::snapshot::{AgentStatus, ConnectionStatus, Object, RepositoryStatus};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Meaning, Tone, of_health};
use crate::model::Model;
use crate::model::table::{Row, Table};
use crate::text;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, fixed, number, wide};
use crate::view::widgets::mark;

pub(super) const COLUMNS: [Column; 5] = [
    fixed("WHAT", 10, 0),
    wide("NAME", 28, 60, 0),
    fixed("STATE", 12, 44),
    number("SINCE", 5, 60),
    wide("IS", 19, 60, 66),
];

/// Draws the table; the agent itself is its last line, where there is room.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    let rows = table.rows();
    columns::table(
        painter,
        &COLUMNS,
        area,
        Rows { top: table.top, cursor: table.cursor, count: rows.len() },
        |place| rows[place].lines,
        |painter, places, place, area, selected| match model.fleet.object(rows[place].slot) {
            Some(Object::Connection(one)) => connection(painter, places, one, rows[place], area, selected),
            Some(Object::Repository(one)) => repository(painter, places, one, rows[place], area, selected),
            _ => {}
        },
    );
    let titles = 1;
    let used = rows.iter().map(|row| row.lines).fold(titles, u16::saturating_add);
    if let Some(status) = model.fleet.agent()
        && used.saturating_add(3) <= area.height
    {
        agent(painter, status, Rect { y: area.y + used + 1, height: 2, ..area });
    }
}

fn name(painter: &Painter, selected: bool) -> Style {
    if selected { painter.theme.selected() } else { Style::new() }
}

fn state(painter: &mut Painter, area: Rect, row: Row, word: &str) {
    let meaning: Meaning = of_health(row.health);
    mark::draw(painter, area, meaning, word);
}

fn connection(painter: &mut Painter, places: &Places<5>, one: &ConnectionStatus, row: Row, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    painter.text(places.cell(area, 0), one.to.word(), quiet);
    painter.name(places.cell(area, 1), &one.name, name(painter, selected));
    state(painter, places.cell(area, 2), row, if one.reachable { "reachable" } else { "away" });
    painter.aged(places.cell(area, 3), one.since, Style::new());
    painter.text(places.cell(area, 4), &one.version, quiet);
    columns::below(painter, area, one.error.as_deref().unwrap_or_default(), painter.theme.tone(Tone::Bad));
}

fn repository(painter: &mut Painter, places: &Places<5>, one: &RepositoryStatus, row: Row, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    painter.text(places.cell(area, 0), "repository", quiet);
    painter.name(places.cell(area, 1), &one.address, name(painter, selected));
    let word = match (&one.error, one.polled) {
        (Some(_), _) => format!("failed {}×", one.failures),
        (None, None) => "not polled".to_owned(),
        (None, Some(_)) => "polled".to_owned(),
    };
    state(painter, places.cell(area, 2), row, &word);
    if let Some(polled) = one.polled {
        painter.aged(places.cell(area, 3), polled, Style::new());
    }
    let branches = text::counted(one.branches.into(), "branch", "branches");
    let seen = format!("{branches}, {}", text::counted(one.tags.into(), "tag", "tags"));
    painter.text(places.cell(area, 4), &seen, quiet);
    columns::below(painter, area, one.error.as_deref().unwrap_or_default(), painter.theme.tone(Tone::Bad));
}

fn agent(painter: &mut Painter, agent: &AgentStatus, area: Rect) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let age = painter.age(agent.started);
    let first = format!("agent {} on {}, process {}, running for {age}", agent.version, agent.host, agent.pid);
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(2), height: 1, ..area };
    painter.text(inside, &first, Style::new());
    painter.text(Rect { y: inside.y + 1, ..inside }, &format!("configuration {}", agent.configuration), quiet);
}
