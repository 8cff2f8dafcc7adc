//! Is all well? The applications, a row each: where it stands, since when, what happened last. What fails says why.

use std::cell::Cell as Slot;

use jiff::Timestamp;
use quarterdeck_shared::snapshot::{ApplicationStatus, Object};
use quarterdeck_shared::status::Phase;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind, Shown};
use crate::keymap::Command::Open;
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::meaning::{SUSPENDED, Tone, of_health, of_phase, of_sync};
use crate::model::World;
use crate::model::table::{self, Lists};
use crate::paint::list::Line;
use crate::screen::Texts;
use crate::screen::application::Application;
use crate::screen::list::List;
use crate::screen::turn::Turn;
use crate::text::{self, ago};
use crate::unseen;

/// Its keys.
pub const KEYS: &[Binding] = &[
    hint("enter", Open, "open", "open what is selected"),
    DIFF,
    SYNC,
    ROLLBACK,
    BUILD,
    PUSH,
    LOGS,
    EVENTS,
    HISTORY,
    MANIFESTS,
    PODS,
    RUNS,
    SUSPEND,
    UNPIN,
    FILTER,
    SORT,
];

/// The list of applications.
#[derive(Debug, Serialize, Deserialize)]
pub struct Applications;

impl Lists for Applications {
    fn lists(&self, object: &Object) -> bool {
        matches!(object, Object::Application(_))
    }
}

impl List for Applications {
    type Row<'a> = Row<'a>;

    const KEYS: &'static [Binding] = KEYS;
    const ROOT: Root = Root::Applications;
    const HAS_ORDERS: bool = true;

    fn columns<'a>() -> Vec<Column<Row<'a>>> {
        columns()
    }

    fn line<'a>(&self, world: &'a World, object: &'a Object, row: table::Row) -> Option<Line<Row<'a>>> {
        let Object::Application(application) = object else { return None };
        let row = Row { application, now: world.now, says_below: row.lines > 1 };
        Some(Line { row, below: explained(&row).toned(tone(application)), is_old: world.fleet.is_old(object) })
    }

    fn title(&self) -> String {
        "Quarterdeck".to_owned()
    }

    /// With the machine of the agent, where there is room.
    fn crumbs(&self, world: &World) -> Option<Texts> {
        let agent = world.fleet.agent().filter(|_| world.size.0 >= 100);
        let host = agent.map(|agent| format!("  {}", agent.host)).unwrap_or_default();
        Some(vec![(self.title(), Tone::Strong), (host, Tone::Quiet)])
    }

    fn nothing(&self, world: &World) -> Option<(String, Vec<&'static str>)> {
        let configuration = world.fleet.agent().map_or("the agent's configuration", |agent| &agent.configuration);
        let sentence = format!("No applications yet. Add one to {configuration}, or try: cargo demo");
        Some((sentence, vec!["The agent reads its configuration again on SIGHUP."]))
    }

    fn nothing_holds(filter: &str) -> Option<String> {
        Some(format!("No application holds {filter:?}."))
    }

    fn open(&self, object: &Object, turn: &mut Turn<'_>) {
        if let Object::Application(application) = object {
            turn.open(Application::new(application.name.clone()));
        }
    }
}

/// Of one that is well, what is said below it is something to look at.
fn tone(application: &ApplicationStatus) -> Tone {
    match of_health(application.health).tone {
        Tone::Good => Tone::Warning,
        _ if unseen::told(application).is_some() => Tone::Warning,
        tone => tone,
    }
}

/// An application in a list.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The application.
    pub application: &'a ApplicationStatus,
    /// The time.
    pub now: Timestamp,
    /// Whether its message is said below the row.
    pub says_below: bool,
}

/// The columns of applications.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::new("APPLICATION", Kind::Words, (12, 30), |row: &Row| Cell::text(&row.application.name)).naming(),
        Column::new("SYNC", Kind::Words, (12, 18), activity).on_screen(27),
        Column::listed("SYNC", Kind::Words, sync_or_suspended).narrow(),
        Column::listed("SYNC", Kind::Words, sync).wide(),
        Column::words("HEALTH", 14, |row: &Row| {
            Cell::mark(of_health(row.application.health), row.application.health.word())
        })
        .from(42),
        Column::listed("SUSPENDED", Kind::Words, |row: &Row| {
            Cell::text(if row.application.suspended { "yes" } else { "no" })
        })
        .wide(),
        Column::new("REVISION", Kind::Names, (13, 13), |row: &Row| {
            Cell::text(row.application.revision.as_ref().map(|revision| revision.short()).unwrap_or_default())
        })
        .from(56),
        Column::listed("TARGET", Kind::Names, target).wide(),
        Column::new("IMAGE", Kind::Names, (8, 14), image).from(64).not_wide(),
        Column::time("SINCE", 5, |row: &Row| Cell::age(Some(row.application.since))).from(71),
        Column::new("LAST", Kind::Words, (8, 11), last).from(80).or_wide(),
        Column::new("DESTINATION", Kind::Names, (14, 26), destination).on_screen(110),
        Column::listed("CLUSTER", Kind::Words, |row: &Row| {
            Cell::text(row.application.spec.cluster.as_deref().unwrap_or_default())
        })
        .wide(),
        Column::listed("NAMESPACE", Kind::Words, |row: &Row| {
            Cell::text(row.application.spec.namespace.as_deref().unwrap_or_default())
        })
        .wide(),
        Column::number("OBJECTS", 7, |row: &Row| Cell::text(row.application.resources).quiet()).on_screen(130),
        Column::number("DRIFT", 5, drift).on_screen(138),
        Column::new("TARGET", Kind::Names, (13, 13), target_ahead).on_screen(154),
        Column::listed("IMAGES", Kind::Names, |row: &Row| Cell::text(row.application.images.join(","))).wide(),
        Column::new("MESSAGE", Kind::Prose, (20, 200), why).on_screen(176),
        Column::listed("MESSAGE", Kind::Prose, message),
    ]
}

/// What is being done to it, or that it is suspended on purpose, says more than its sync status.
fn activity(row: &Row) -> Cell {
    match &row.application.activity {
        Some(activity) => Cell::mark(of_phase(Phase::Running), activity),
        None => sync_or_suspended(row),
    }
}

fn sync_or_suspended(row: &Row) -> Cell {
    if row.application.suspended { Cell::mark(SUSPENDED, "Suspended") } else { sync(row) }
}

fn sync(row: &Row) -> Cell {
    Cell::mark(of_sync(row.application.sync), row.application.sync.word())
}

fn target(row: &Row) -> Cell {
    Cell::text(row.application.target.as_ref().map(|revision| revision.short()).unwrap_or_default())
}

/// What git says, where that is another revision than the applied one.
fn target_ahead(row: &Row) -> Cell {
    let is_ahead = row.application.target != row.application.revision;
    if is_ahead { target(row).toned(Tone::Warning) } else { Cell::nothing() }
}

/// The version of the image that is built for it, else of the first, and how many more there are.
fn image(row: &Row) -> Cell {
    let application = row.application;
    let built = || application.artifact.as_ref().map(|artifact| artifact.tag.clone()).unwrap_or_default();
    Cell::text(match &*application.images {
        [] => built(),
        [image] => text::image_version(image),
        images => {
            let own = text::own_image(images, application.spec.image.as_deref());
            format!("{} +{}", own.map(text::image_version).unwrap_or_default(), images.len() - 1)
        }
    })
}

fn last(row: &Row) -> Cell {
    let Some(last) = &row.application.last else { return Cell::nothing() };
    let meaning = of_phase(last.phase);
    Cell { shown: Shown::Ended(last.what.clone(), meaning), ..Cell::nothing() }
}

fn destination(row: &Row) -> Cell {
    let spec = &row.application.spec;
    Cell::text(match (&spec.cluster, &spec.namespace) {
        (Some(cluster), Some(namespace)) => format!("{cluster}/{namespace}"),
        (_, Some(namespace)) => namespace.clone(),
        _ => String::new(),
    })
    .quiet()
}

fn drift(row: &Row) -> Cell {
    match row.application.drifted {
        0 => Cell::nothing(),
        drifted => Cell::text(drifted).toned(Tone::Warning),
    }
}

/// Why it is as it is, where that is not said below the row.
fn why(row: &Row) -> Cell {
    if row.says_below { Cell::nothing() } else { explained(row).quiet() }
}

/// Why it is as it is, else what is being done to it, else why it is held.
fn message(row: &Row) -> Cell {
    let application = row.application;
    let held = || application.suspension.as_ref().or(application.pin.as_ref().map(|pin| &pin.hold));
    match (&*application.message, &application.activity) {
        ("", Some(activity)) => Cell::text(activity),
        ("", None) => Cell::text(held().map_or("", |hold| &hold.reason)),
        _ => explained(row),
    }
}

/// Why it is as it is.
pub fn explained(row: &Row) -> Cell {
    let aging = Slot::new(None);
    let text = unseen::message(row.application, |at| {
        aging.set(Some(at));
        ago(at, row.now)
    });
    Cell::text(text).aging(aging.get())
}
