//! The columns of applications and environments, for the console and for `qd status`.

use std::cell::Cell as Slot;

use jiff::Timestamp;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus};
use quarterdeck_shared::status::{Phase, SyncStatus};

use crate::column::{Cell, Column, Kind, Shown};
use crate::model::summary::{Summary, newest};
use crate::status_style::{PINNED, SUSPENDED, Tone, of_health, of_phase, of_sync};
use crate::text::{self, ago};
use crate::unseen;

/// An application, or one of its environments, in a list.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// What it is called there.
    pub name: String,
    /// The application.
    pub application: Option<&'a ApplicationStatus>,
    /// How its environment is, or all of them; none of an application that has none.
    pub summary: Option<Summary<'a>>,
    /// The time.
    pub now: Timestamp,
    /// Whether its message is said below the row.
    pub says_below: bool,
}

impl<'a> Row<'a> {
    /// The environment, where the row is of one.
    fn environment(&self) -> Option<&'a EnvironmentStatus> {
        self.summary.filter(|summary| summary.count == 1).map(|summary| summary.worst)
    }

    /// The application, where the row stands for all of it.
    fn whole(&self) -> Option<&'a ApplicationStatus> {
        let count = self.summary.map_or(0, |summary| summary.count);
        self.application.filter(|application| application.environments.len() <= count)
    }
}

/// The columns of applications and environments.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::new("APPLICATION", Kind::Text, (12, 30), |row: &Row| Cell::text(&row.name)).naming(),
        Column::new("SYNC", Kind::Text, (12, 18), activity).on_screen(27),
        Column::listed("SYNC", Kind::Text, sync_or_held).narrow(),
        Column::listed("SYNC", Kind::Text, sync).wide(),
        Column::text("HEALTH", 13, health).from(42),
        Column::listed("SUSPENDED", Kind::Text, suspended).wide(),
        Column::listed("PINNED", Kind::Text, pinned).wide(),
        Column::new("REVISION", Kind::Names, (14, 14), revision).from(56),
        Column::listed("TARGET", Kind::Names, target).wide(),
        Column::new("IMAGE", Kind::Names, (8, 14), image).from(64).not_wide(),
        Column::time("SINCE", 5, since).from(71),
        Column::new("LAST", Kind::Text, (8, 11), last).from(80).or_wide(),
        Column::new("DESTINATION", Kind::Names, (14, 26), destination).on_screen(110),
        Column::listed("CLUSTER", Kind::Text, |row: &Row| of_spec(row, |one| &one.spec.cluster)).wide(),
        Column::listed("NAMESPACE", Kind::Text, |row: &Row| of_spec(row, |one| &one.spec.namespace)).wide(),
        Column::number("OBJECTS", 7, |row: &Row| {
            row.summary.map_or(Cell::nothing(), |all| Cell::text(all.resources).quiet())
        })
        .on_screen(130),
        Column::number("DRIFT", 5, drift).on_screen(138),
        Column::new("TARGET", Kind::Names, (13, 13), target_ahead).on_screen(154),
        Column::listed("IMAGES", Kind::Names, images).wide(),
        Column::new("MESSAGE", Kind::Prose, (20, 200), why).on_screen(176),
        Column::listed("MESSAGE", Kind::Prose, message),
    ]
}

/// What is being done to it, or that it is held on purpose, says more than its sync status.
fn activity(row: &Row) -> Cell {
    match row.environment().and_then(|environment| environment.progress.as_ref()) {
        Some(progress) => Cell::mark(of_phase(Phase::Running), progress.describe()),
        None => sync_or_held(row),
    }
}

/// One that is pinned and not as its pin says is OutOfSync, like any other.
fn sync_or_held(row: &Row) -> Cell {
    match row.summary {
        Some(summary) if summary.suspended => Cell::mark(SUSPENDED, "Suspended"),
        Some(summary) if summary.pinned && summary.sync == SyncStatus::Synced => Cell::mark(PINNED, "Pinned"),
        _ => sync(row),
    }
}

fn sync(row: &Row) -> Cell {
    row.summary.map_or(Cell::nothing(), |summary| Cell::mark(of_sync(summary.sync), summary.sync.word()))
}

fn health(row: &Row) -> Cell {
    row.summary.map_or(Cell::nothing(), |summary| Cell::mark(of_health(summary.health), summary.health.word()))
}

fn suspended(row: &Row) -> Cell {
    row.summary.map_or(Cell::nothing(), |summary| Cell::text(if summary.suspended { "yes" } else { "no" }))
}

fn pinned(row: &Row) -> Cell {
    row.summary.map_or(Cell::nothing(), |summary| Cell::text(if summary.pinned { "yes" } else { "no" }))
}

/// What runs; of several environments, how many they are.
fn revision(row: &Row) -> Cell {
    match (row.summary, row.environment()) {
        (_, Some(environment)) => Cell::text(short(environment.revision.as_ref())),
        (Some(summary), None) => Cell::text(format!("{} environments", summary.count)).quiet(),
        (None, None) => Cell::nothing(),
    }
}

fn short(revision: Option<&Revision>) -> String {
    revision.map(Revision::short).unwrap_or_default()
}

fn target(row: &Row) -> Cell {
    Cell::text(short(row.environment().and_then(|environment| environment.target.as_ref())))
}

/// What git says, where that is another revision than the applied one.
fn target_ahead(row: &Row) -> Cell {
    let is_ahead = row.environment().is_some_and(|environment| environment.target != environment.revision);
    if is_ahead { target(row).toned(Tone::Warning) } else { Cell::nothing() }
}

/// The version of the image that is built for it, else of the first, and how many more there are; of what runs nothing, and
/// of several environments, what was built last.
fn image(row: &Row) -> Cell {
    let artifact = row.application.and_then(|application| application.artifact.as_ref());
    let images = row.environment().map_or(&[][..], |environment| &environment.images);
    let built = row.application.map_or(&[][..], |application| &application.images);
    Cell::text(match images {
        [] => artifact.filter(|_| row.whole().is_some()).map(|artifact| artifact.tag.clone()).unwrap_or_default(),
        [image] => text::image_version(image),
        images => {
            let own = text::own_image(images, built);
            format!("{} +{}", own.map(text::image_version).unwrap_or_default(), images.len() - 1)
        }
    })
}

fn images(row: &Row) -> Cell {
    Cell::text(row.environment().map(|environment| environment.images.join(",")).unwrap_or_default())
}

fn since(row: &Row) -> Cell {
    let built = || row.application.and_then(|application| application.last.as_ref()).map(|last| last.at);
    Cell::age(row.summary.map(|summary| summary.since).or_else(built))
}

/// The last thing that happened to it, or that its delivery did.
fn last(row: &Row) -> Cell {
    let delivered = row.whole().and_then(|application| application.last.as_ref());
    let Some(last) = newest([delivered, row.summary.and_then(|summary| summary.last)]) else { return Cell::nothing() };
    Cell { shown: Shown::Ended(last.what.clone(), of_phase(last.phase)), ..Cell::nothing() }
}

fn destination(row: &Row) -> Cell {
    let spec = row.environment().map(|environment| &environment.spec);
    Cell::text(spec.map(|spec| format!("{}/{}", spec.cluster, spec.namespace)).unwrap_or_default()).quiet()
}

fn of_spec<'a>(row: &Row<'a>, part: impl Fn(&'a EnvironmentStatus) -> &'a String) -> Cell {
    row.environment().map_or(Cell::nothing(), |environment| Cell::text(part(environment)))
}

fn drift(row: &Row) -> Cell {
    match row.summary.map_or(0, |summary| summary.drifted) {
        0 => Cell::nothing(),
        drifted => Cell::text(drifted).toned(Tone::Warning),
    }
}

/// Why it is as it is, where that is not said below the row.
fn why(row: &Row) -> Cell {
    if row.says_below { Cell::nothing() } else { explained(row).quiet() }
}

/// Why it is as it is; where that has nothing to say, what is being done to it, else what holds it.
fn message(row: &Row) -> Cell {
    let Some(environment) = row.environment().filter(|environment| environment.message.is_empty()) else {
        return explained(row);
    };
    match &environment.progress {
        Some(progress) => Cell::text(progress.describe()),
        None if environment.is_held() => Cell::text(environment.held()),
        None => explained(row),
    }
}

/// Why its environment is as it is; where that has nothing to say, what is wrong with the application itself.
fn explained(row: &Row) -> Cell {
    let aging = Slot::new(None);
    let ago = |at| {
        aging.set(Some(at));
        ago(at, row.now)
    };
    let text = match (row.environment(), row.whole()) {
        (Some(environment), _) if !environment.message.is_empty() => unseen::message(environment, ago),
        (_, Some(application)) => unseen::of_application(application, ago),
        (_, None) => "".into(),
    };
    Cell::text(text).aging(aging.get())
}
