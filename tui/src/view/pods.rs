//! Pods, a row each, with the columns that people know from `kubectl get pods` and k9s.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{Object, PodStatus};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Meaning, OLD, Tone, of_health};
use crate::model::Model;
use crate::model::table::Table;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, fixed, number, wide};
use crate::view::widgets::{empty, mark};

pub(super) const COLUMNS: [Column; 10] = [
    wide("POD", 24, 52, 0),
    number("READY", 5, 36),
    wide("STATUS", 20, 26, 48),
    number("RESTARTS", 8, 68),
    number("AGE", 5, 60),
    wide("APPLICATION", 11, 24, 80),
    wide("NAMESPACE", 14, 24, 100),
    wide("NODE", 14, 28, 120),
    fixed("IP", 15, 140),
    wide("CLUSTER", 10, 20, 160),
];

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if table.rows().is_empty() {
        let sentence = match (table.filter.is_empty(), of) {
            (false, _) => format!("No pod holds {:?}.", table.filter),
            (true, Some(name)) => format!("{name} has no pods."),
            (true, None) => "No pods yet. Pods of the objects that are synced appear here.".to_owned(),
        };
        let hints: &[&str] = if table.filter.is_empty() { &[] } else { &["esc clears the filter."] };
        return empty::draw(painter, area, &sentence, hints);
    }
    let rows = table.rows();
    let columns = columns::without(COLUMNS, of.is_some().then_some(5));
    columns::table(
        painter,
        &columns,
        area,
        Rows { top: table.top, cursor: table.cursor, count: rows.len() },
        |place| rows[place].lines,
        |painter, places, place, area, selected| {
            let Some(object) = model.fleet.object(rows[place].slot) else { return };
            let is_old = model.fleet.is_old(object);
            if let Object::Pod(pod) = object {
                let meaning = if is_old { OLD } else { of_health(pod.health) };
                row(painter, places, pod, meaning, area, selected);
            }
            if is_old {
                painter.restyle(area, painter.theme.stale());
            }
        },
    );
}

fn row(painter: &mut Painter, places: &Places<10>, pod: &PodStatus, meaning: Meaning, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let warning = painter.theme.tone(Tone::Warning);
    let name = if selected { painter.theme.selected() } else { Style::new() };
    painter.name(places.cell(area, 0), &pod.name, name);
    let (ready, all) = pod.ready();
    painter.right(places.cell(area, 1), &format!("{ready}/{all}"), if ready < all { warning } else { Style::new() });
    mark::draw(painter, places.cell(area, 2), meaning, &pod.status);
    let restarts = pod.restarts();
    painter.right(places.cell(area, 3), &restarts.to_string(), if restarts > 0 { warning } else { quiet });
    if let Some(created) = pod.created {
        painter.aged(places.cell(area, 4), created, Style::new());
    }
    painter.name(places.cell(area, 5), pod.application.as_str(), Style::new());
    painter.name(places.cell(area, 6), &pod.namespace, quiet);
    painter.name(places.cell(area, 7), &pod.node, quiet);
    painter.text(places.cell(area, 8), &pod.ip, quiet);
    painter.name(places.cell(area, 9), &pod.cluster, quiet);
    columns::below(painter, area, &pod.message, painter.theme.tone(of_health(pod.health).tone));
}
