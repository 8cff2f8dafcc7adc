//! Is all well? The applications, a row each: where it stands, since when, what happened last. What fails says why.

use quarterdeck_shared::snapshot::{ApplicationStatus, Object};
use quarterdeck_shared::status::Phase;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::meaning::{SUSPENDED, Tone, of_health, of_phase, of_sync};
use crate::model::Model;
use crate::model::table::{Row, Table};
use crate::text;
use crate::unseen;
use crate::view::painter::Painter;
use crate::view::widgets::columns::{self, Column, Places, Rows, fixed, number, wide};
use crate::view::widgets::{empty, mark};

pub(super) const COLUMNS: [Column; 12] = [
    wide("APPLICATION", 12, 30, 0),
    wide("SYNC", 12, 18, 27),
    fixed("HEALTH", 14, 42),
    fixed("REVISION", 13, 56),
    wide("IMAGE", 8, 14, 64),
    number("SINCE", 5, 71),
    wide("LAST", 8, 11, 80),
    wide("WHERE", 14, 26, 110),
    number("OBJECTS", 7, 130),
    number("DRIFT", 5, 138),
    fixed("GIT", 13, 154),
    wide("MESSAGE", 20, 200, 176),
];

/// Draws the table.
pub(super) fn draw(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    if table.rows().is_empty() {
        return nothing(painter, model, table, area);
    }
    let rows = table.rows();
    columns::table(
        painter,
        &COLUMNS,
        area,
        Rows { top: table.top, cursor: table.cursor, count: rows.len() },
        |place| rows[place].lines,
        |painter, places, place, area, selected| {
            let Some(object) = model.fleet.object(rows[place].slot) else { return };
            let Object::Application(application) = object else { return };
            row(painter, places, application, rows[place], area, selected);
            if model.fleet.is_old(object) {
                painter.restyle(Rect { height: 1, ..area }, painter.theme.stale());
            }
        },
    );
}

fn row(
    painter: &mut Painter,
    places: &Places<12>,
    application: &ApplicationStatus,
    Row { lines, .. }: Row,
    area: Rect,
    selected: bool,
) {
    let quiet = painter.theme.tone(Tone::Quiet);
    let name = if selected { painter.theme.selected() } else { Style::new() };
    painter.name(places.cell(area, 0), application.name.as_str(), name);
    sync(painter, places.cell(area, 1), application);
    mark::draw(painter, places.cell(area, 2), of_health(application.health), application.health.word());
    let revision = application.revision.as_ref().map(|revision| revision.short()).unwrap_or_default();
    painter.name(places.cell(area, 3), &revision, Style::new());
    painter.name(places.cell(area, 4), &images(application), Style::new());
    painter.aged(places.cell(area, 5), application.since, Style::new());
    last(painter, places.cell(area, 6), application);
    painter.name(places.cell(area, 7), &destination(application), quiet);
    painter.right(places.cell(area, 8), &application.resources.to_string(), quiet);
    if application.drifted > 0 {
        let warning = painter.theme.tone(Tone::Warning);
        painter.right(places.cell(area, 9), &application.drifted.to_string(), warning);
    }
    if let Some(target) = application.target.as_ref().filter(|target| Some(*target) != application.revision.as_ref()) {
        painter.name(places.cell(area, 10), &target.short(), painter.theme.tone(Tone::Warning));
    }
    let message = unseen::message(application, |at| painter.ago(at));
    if lines < 2 {
        painter.text(places.cell(area, 11), &message, quiet);
    } else {
        let tone = match unseen::told(application) {
            Some(_) => Tone::Warning,
            None => of_health(application.health).tone,
        };
        let tone = if tone == Tone::Good { Tone::Warning } else { tone };
        let style = painter.theme.tone(tone);
        columns::below(painter, area, &message, style);
    }
}

/// The sync status; what is being done, or that it is stopped on purpose, says more.
fn sync(painter: &mut Painter, area: Rect, application: &ApplicationStatus) {
    match &application.activity {
        Some(activity) => mark::draw(painter, area, of_phase(Phase::Running), activity),
        None if application.suspended => mark::draw(painter, area, SUSPENDED, "Suspended"),
        None => mark::draw(painter, area, of_sync(application.sync), application.sync.word()),
    };
}

/// The version of the image that is built for it, else of the first, and how many more there are.
fn images(application: &ApplicationStatus) -> String {
    let built = || application.artifact.as_ref().map(|artifact| artifact.tag.clone()).unwrap_or_default();
    match &*application.images {
        [] => built(),
        [image] => text::image_version(image),
        images => {
            let own = text::own_image(images, application.spec.image.as_deref());
            format!("{} +{}", own.map(text::image_version).unwrap_or_default(), images.len() - 1)
        }
    }
}

fn last(painter: &mut Painter, area: Rect, application: &ApplicationStatus) {
    let Some(last) = &application.last else { return };
    let meaning = of_phase(last.phase);
    let style = if meaning.tone == Tone::Good { Style::new() } else { painter.theme.tone(meaning.tone) };
    let word = painter.text(area, &last.what, style);
    let rest = Rect { x: area.x + word, width: area.width - word, ..area };
    // The sign needs its room; a word that went well can do without.
    if rest.width >= 2 {
        let style = painter.theme.tone(meaning.tone);
        painter.text(rest, &format!(" {}", meaning.sign), style);
    }
}

fn destination(application: &ApplicationStatus) -> String {
    match (&application.spec.cluster, &application.spec.namespace) {
        (Some(cluster), Some(namespace)) => format!("{cluster}/{namespace}"),
        (_, Some(namespace)) => namespace.clone(),
        _ => String::new(),
    }
}

fn nothing(painter: &mut Painter, model: &Model, table: &Table, area: Rect) {
    if !table.filter.is_empty() {
        let sentence = format!("No application holds {:?}.", table.filter);
        return empty::draw(painter, area, &sentence, &["esc clears the filter."]);
    }
    let configuration = model.fleet.agent().map_or("the agent's configuration", |agent| &agent.configuration);
    let sentence = format!("No applications yet. Add one to {configuration}, or try: cargo demo");
    empty::draw(painter, area, &sentence, &["The agent reads its configuration again on SIGHUP."]);
}
