//! Pods, a row each, with the columns that people know from `kubectl get pods` and k9s.

use jiff::Timestamp;
use quarterdeck_shared::snapshot::{Object, PodStatus, Unseen};
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind};
use crate::keymap::Command::{self, Open};
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::subject::Subject;
use crate::model::table::{self, Lists};
use crate::paint::list::Line;
use crate::screen::about;
use crate::screen::list::List;
use crate::screen::turn::Turn;
use crate::status_style::{OLD, Tone, of_health};
use crate::text::ago;
use crate::unseen;

/// Its keys.
pub const KEYS: &[Binding] = &[
    hint("enter", Open, "log", "log of the selected pod"),
    DIFF,
    SYNC,
    ROLLBACK,
    LOGS,
    EVENTS,
    HISTORY,
    YAML,
    MANIFESTS,
    RUNS,
    SUSPEND,
    UNPIN,
    FILTER,
    SORT,
];

/// The list of pods, of one application or environment, or of all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pods {
    /// Of what.
    pub of: Option<Subject>,
}

impl Lists for Pods {
    fn lists(&self, object: &Object) -> bool {
        matches!(object, Object::Pod(pod) if self.of.as_ref().is_none_or(|of| of.covers(&pod.environment)))
    }
}

impl List for Pods {
    type Row<'a> = Row<'a>;

    const KEYS: &'static [Binding] = KEYS;
    const ROOT: Root = Root::Pods;
    const HAS_ORDERS: bool = true;

    fn columns<'a>() -> Vec<Column<Row<'a>>> {
        columns()
    }

    fn line<'a>(&self, world: &'a World, object: &'a Object, _row: table::Row) -> Option<Line<Row<'a>>> {
        let Object::Pod(pod) = object else { return None };
        let is_old = world.fleet.is_old(object);
        let tone = if is_old { Tone::Quiet } else { of_health(pod.health).tone };
        let below = Cell::text(&pod.message).toned(tone);
        let of = world.fleet.label(&pod.environment);
        Some(Line { row: Row { pod, of, is_old, over: None, now: world.now }, below, is_old })
    }

    fn scope(&self) -> Option<Subject> {
        self.of.clone()
    }

    fn is_of_one(&self, world: &World) -> bool {
        self.of.as_ref().is_some_and(|of| world.fleet.is_one(of))
    }

    fn title(&self) -> String {
        "pods".to_owned()
    }

    fn nothing(&self, world: &World) -> Option<(String, Vec<&'static str>)> {
        let sentence = match &self.of {
            Some(of) => format!("{} has no pods.", world.fleet.called(of)),
            None => "No pods yet. Pods of the objects that are synced appear here.".to_owned(),
        };
        Some((sentence, Vec::new()))
    }

    fn nothing_holds(filter: &str) -> Option<String> {
        Some(format!("No pod holds {filter:?}."))
    }

    fn open(&self, object: &Object, turn: &mut Turn<'_>) {
        if let Object::Pod(pod) = object {
            turn.opened.extend(about::place(Command::Logs, pod.environment.clone(), Some(object)));
        }
    }
}

/// A pod in a list.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The pod.
    pub pod: &'a PodStatus,
    /// What its environment is called.
    pub of: String,
    /// Whether this is what was so when it was last seen.
    pub is_old: bool,
    /// Why it cannot be seen, where its environment says so.
    pub over: Option<&'a Unseen>,
    /// The time.
    pub now: Timestamp,
}

/// The columns of pods.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::new("POD", Kind::Text, (24, 52), |row: &Row| Cell::text(&row.pod.name)).naming(),
        Column::time("READY", 5, ready).from(36),
        Column::new("STATUS", Kind::Text, (20, 26), |row: &Row| {
            Cell::mark(if row.is_old { OLD } else { of_health(row.pod.health) }, &row.pod.status)
        })
        .from(48),
        Column::number("RESTARTS", 8, restarts).from(68),
        Column::time("AGE", 5, |row: &Row| Cell::age(row.pod.created)).from(60),
        Column::new("APPLICATION", Kind::Text, (11, 24), |row: &Row| Cell::text(&row.of)).from(80).of_all(),
        Column::new("CLUSTER", Kind::Text, (10, 20), |row: &Row| Cell::text(&row.pod.cluster).quiet())
            .from(160)
            .or_wide(),
        Column::new("NAMESPACE", Kind::Text, (14, 24), |row: &Row| Cell::text(&row.pod.namespace).quiet())
            .from(100)
            .or_wide(),
        Column::text("IP", 15, |row: &Row| Cell::text(&row.pod.ip).quiet()).from(140).or_wide(),
        Column::new("NODE", Kind::Names, (14, 28), |row: &Row| Cell::text(&row.pod.node).quiet()).from(120).or_wide(),
        Column::listed("IMAGES", Kind::Names, images).wide(),
        Column::listed("MESSAGE", Kind::Prose, message),
    ]
}

fn ready(row: &Row) -> Cell {
    let (ready, all) = row.pod.ready();
    Cell::text(format!("{ready}/{all}")).toned(if ready < all { Tone::Warning } else { Tone::Plain })
}

fn restarts(row: &Row) -> Cell {
    let restarts = row.pod.restarts();
    Cell::text(restarts).toned(if restarts > 0 { Tone::Warning } else { Tone::Quiet })
}

fn images(row: &Row) -> Cell {
    let images: Vec<_> = row.pod.containers.iter().filter(|c| !c.init).map(|c| &*c.image).collect();
    Cell::text(images.join(","))
}

/// Since when it cannot be seen, and why it is as it is.
fn message(row: &Row) -> Cell {
    let seen = row.over.map(|over| unseen::last_seen(over, |at| ago(at, row.now))).unwrap_or_default();
    let parts = [&*seen, &*row.pod.message].into_iter().filter(|part| !part.is_empty());
    Cell::text(parts.collect::<Vec<_>>().join("; "))
}
