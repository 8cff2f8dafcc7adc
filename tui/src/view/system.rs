//! The list of what the agent talks to.

use quarterdeck_shared::snapshot::{AgentStatus, Object};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::column::Cell;
use crate::meaning::Tone;
use crate::model::Model;
use crate::model::table::Table;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::system::{Row, columns};

/// Draws the table; the agent itself is its last line, where there is room.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    let rows = table.rows();
    let seen = Rows { top: table.top, cursor: table.cursor, count: rows.len() };
    list::draw(
        painter,
        (&columns(), false),
        area,
        seen,
        |place| rows[place].lines,
        |place| {
            let row = match model.fleet.object(rows[place].slot)? {
                Object::Connection(one) => Row::Connection(one, rows[place].health),
                Object::Repository(one) => Row::Repository(one, rows[place].health),
                _ => return None,
            };
            Some(Line { row, below: Cell::text(row.error()).toned(Tone::Bad), is_old: false })
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

fn agent(painter: &mut Painter, agent: &AgentStatus, area: Rect) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let age = painter.age(agent.started);
    let first = format!("agent {} on {}, process {}, running for {age}", agent.version, agent.host, agent.pid);
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(2), height: 1, ..area };
    painter.text(inside, &first, Style::new());
    painter.text(Rect { y: inside.y + 1, ..inside }, &format!("configuration {}", agent.configuration), quiet);
}
