//! Pipelines: runs, newest first, each with its stages as they go.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{Object, RunStatus};
use quarterdeck_shared::status::{Phase, Stage};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{Tone, of_phase};
use crate::model::Model;
use crate::model::table::Table;
use crate::model::timeline::stage_seconds;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, fixed, number, wide};
use crate::view::widgets::{empty, mark};

pub(super) const COLUMNS: [Column; 9] = [
    number("RUN", 4, 0),
    wide("APPLICATION", 11, 26, 20),
    wide("FOR", 12, 26, 34),
    fixed("COMMIT", 7, 110),
    fixed("STATE", 13, 48),
    wide("STAGES", 22, 62, 75),
    number("TOOK", 6, 56),
    number("AGE", 4, 80),
    wide("SUBJECT", 20, 80, 140),
];

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if table.rows().is_empty() {
        return nothing(painter, table, of, area);
    }
    let rows = table.rows();
    let columns = columns::without(COLUMNS, of.is_some().then_some(1));
    columns::table(
        painter,
        &columns,
        area,
        Rows { top: table.top, cursor: table.cursor, count: rows.len() },
        |place| rows[place].lines,
        |painter, places, place, area, selected| {
            if let Some(Object::Run(run)) = model.fleet.object(rows[place].slot) {
                row(painter, places, run, area, selected);
            }
        },
    );
}

fn row(painter: &mut Painter, places: &Places<9>, run: &RunStatus, area: Rect, selected: bool) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let name = if selected { painter.theme.selected() } else { Style::new() };
    painter.right(places.cell(area, 0), &run.id.to_string(), quiet);
    painter.name(places.cell(area, 1), run.application.as_str(), name);
    painter.name(places.cell(area, 2), &run.reference, Style::new());
    painter.text(places.cell(area, 3), run.commit.short(), quiet);
    mark::draw(painter, places.cell(area, 4), of_phase(run.phase), run.phase.word());
    stages(painter, places.cell(area, 5), run);
    let took = painter.span(run.started, run.finished);
    painter.right(places.cell(area, 6), &took, Style::new());
    painter.aged(places.cell(area, 7), run.queued, Style::new());
    painter.text(places.cell(area, 8), &run.subject, quiet);
    columns::below(painter, area, &run.message, painter.theme.tone(of_phase(run.phase).tone));
}

/// `✔ 2s ✔ 31s ◐ push 43% ·`: a sign a stage; the one that runs, or ended it, by name. Names of all, where there is room.
/// For one that waits: behind which run.
fn stages(painter: &mut Painter, area: Rect, run: &RunStatus) {
    if let (Phase::Queued, Some(before)) = (run.phase, run.behind) {
        let quiet = painter.theme.tone(Tone::Quiet);
        painter.text(area, &format!("behind run {before}"), quiet);
        return;
    }
    let named = area.width >= 40;
    let mut x = area.x;
    for stage in &run.stages {
        let meaning = of_phase(stage.phase);
        let words = words(stage, named);
        let rest = Rect { x, width: (area.x + area.width).saturating_sub(x), ..area };
        if rest.width == 0 {
            break;
        }
        let taken = mark::draw(painter, rest, meaning, &words);
        x += if words.is_empty() { 2 } else { taken + 2 };
    }
}

fn words(stage: &Stage, named: bool) -> String {
    let speaks = named || !matches!(stage.phase, Phase::Queued | Phase::Succeeded | Phase::Skipped);
    let name = if speaks { stage.kind.word() } else { "" };
    let more = match (stage.phase, stage.percent) {
        (Phase::Running, Some(percent)) => format!("{percent}%"),
        (Phase::Succeeded, _) if named => stage_seconds(stage).map(|s| format!("{s}s")).unwrap_or_default(),
        _ => String::new(),
    };
    match (name, more.as_str()) {
        ("", more) => more.to_owned(),
        (name, "") => name.to_owned(),
        (name, more) => format!("{name} {more}"),
    }
}

fn nothing(painter: &mut Painter, table: &Table, of: Option<&ApplicationName>, area: Rect) {
    if !table.filter.is_empty() {
        let sentence = format!("No run holds {:?}.", table.filter);
        return empty::draw(painter, area, &sentence, &["esc clears the filter."]);
    }
    let sentence = match of {
        Some(name) => format!("{name} was not built yet."),
        None => "Nothing was built yet.".to_owned(),
    };
    let hints = ["A tag does it: git tag build-1.0.0 && git push --tags", "b builds by hand, p pushes as well."];
    empty::draw(painter, area, &sentence, &hints);
}
