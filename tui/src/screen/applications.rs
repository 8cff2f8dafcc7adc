//! Is all well? A row for each place where an application runs: where it stands, since when, what happened last. What
//! fails says why. An application that runs in several places has a row of its own over these, which folds them away.

use std::cell::Cell as Slot;
use std::collections::BTreeSet;

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, Object};
use quarterdeck_shared::status::Phase;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind, Shown};
use crate::keymap::Command::{self, Fold, Left, Open, Right};
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::meaning::{SUSPENDED, Tone, of_health, of_phase, of_sync};
use crate::model::World;
use crate::model::fleet::Fleet;
use crate::model::table::{self, Lists, Table};
use crate::paint::list::Line;
use crate::screen::Texts;
use crate::screen::environment::Environment;
use crate::screen::list::List;
use crate::screen::runs::Runs;
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
    quiet("space", Fold, "fold", "show or hide the environments of an application"),
];

/// The list of applications and their environments.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Applications {
    /// Those whose environments are folded away.
    folded: BTreeSet<ApplicationName>,
}

impl Applications {
    /// Folds the environments of an application away, or shows them: as it is told, or the other way round.
    fn fold(&mut self, name: &ApplicationName, away: Option<bool>) {
        if away.unwrap_or(!self.folded.contains(name)) {
            self.folded.insert(name.clone());
        } else {
            self.folded.remove(name);
        }
    }
}

impl Lists for Applications {
    /// An application with one environment is that environment's row.
    fn lists(&self, object: &Object) -> bool {
        match object {
            Object::Application(application) => application.environments.len() != 1,
            Object::Environment(environment) => !self.folded.contains(&environment.environment.application),
            _ => false,
        }
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
        let row = Row { says_below: row.lines > 1, ..Row::of(&world.fleet, object, world.now)? };
        let row = Row { folded: row.folded.map(|_| self.folded.contains(row.name())), ..row };
        let tone = row.shown().map_or(Tone::Warning, tone);
        Some(Line { row, below: explained(&row).toned(tone), is_old: world.fleet.is_old(object) })
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
        match object {
            Object::Environment(environment) => turn.open(Environment::new(environment.environment.clone())),
            Object::Application(application) if application.environments.is_empty() => {
                turn.open(Table::new(Runs { of: Some(application.name.clone()) }));
            }
            _ => {}
        }
    }

    /// On an application with several environments, enter does what space does.
    fn change(&mut self, command: Command, object: Option<&Object>) -> bool {
        let (name, is_over) = match object {
            Some(Object::Application(application)) => (&application.name, application.environments.len() > 1),
            Some(Object::Environment(environment)) => (&environment.environment.application, false),
            _ => return false,
        };
        match command {
            Open | Fold if is_over => self.fold(name, None),
            Left => self.fold(name, Some(true)),
            Right if is_over => self.fold(name, Some(false)),
            _ => return false,
        }
        true
    }
}

/// Of one that is well, what is said below it is something to look at.
fn tone(environment: &EnvironmentStatus) -> Tone {
    match of_health(environment.health).tone {
        Tone::Good => Tone::Warning,
        _ if unseen::told(environment).is_some() => Tone::Warning,
        tone => tone,
    }
}

/// An application, or an environment of one, in a list.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The application; absent while only its environment is known.
    pub application: Option<&'a ApplicationStatus>,
    /// The environment; absent on a row over several, and where there is none.
    pub environment: Option<&'a EnvironmentStatus>,
    /// Of the environments below this row, the one that stands worst.
    pub worst: Option<&'a EnvironmentStatus>,
    /// On a row over several: whether they are folded away.
    pub folded: Option<bool>,
    /// The time.
    pub now: Timestamp,
    /// Whether its message is said below the row.
    pub says_below: bool,
}

impl<'a> Row<'a> {
    /// The row of an object, where it can have one.
    pub fn of(fleet: &'a Fleet, object: &'a Object, now: Timestamp) -> Option<Self> {
        let (application, environment) = match object {
            Object::Application(application) => (Some(&**application), None),
            Object::Environment(environment) => {
                (fleet.application(&environment.environment.application), Some(&**environment))
            }
            _ => return None,
        };
        let below = application.filter(|_| environment.is_none()).map(|application| &application.name);
        let worst = below.and_then(|name| fleet.environments(name).max_by_key(|one| (one.health, one.sync)));
        Some(Self { application, environment, worst, folded: worst.map(|_| false), now, says_below: false })
    }

    /// The environment that the row tells of: its own, or the worst of those below it.
    pub fn shown(&self) -> Option<&'a EnvironmentStatus> {
        self.environment.or(self.worst)
    }

    fn name(&self) -> &'a ApplicationName {
        match (self.application, self.environment) {
            (Some(application), _) => &application.name,
            (None, Some(environment)) => &environment.environment.application,
            (None, None) => unreachable!("a row is of an application or an environment"),
        }
    }

    /// How many environments the application has.
    fn places(&self) -> usize {
        self.application.map_or(1, |application| application.environments.len())
    }
}

/// The columns of applications.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::new("APPLICATION", Kind::Words, (12, 30), name).naming().on_screen(0),
        Column::listed("APPLICATION", Kind::Words, address),
        Column::new("SYNC", Kind::Words, (12, 18), activity).on_screen(27),
        Column::listed("SYNC", Kind::Words, sync_or_suspended).narrow(),
        Column::listed("SYNC", Kind::Words, sync).wide(),
        Column::words("HEALTH", 14, |row: &Row| {
            row.shown().map_or(Cell::nothing(), |one| Cell::mark(of_health(one.health), one.health.word()))
        })
        .from(42),
        Column::listed("SUSPENDED", Kind::Words, |row: &Row| {
            own(row, |one| Cell::text(if one.suspended { "yes" } else { "no" }))
        })
        .wide(),
        Column::new("REVISION", Kind::Names, (13, 13), |row: &Row| {
            own(row, |one| Cell::text(one.revision.as_ref().map(|revision| revision.short()).unwrap_or_default()))
        })
        .from(56),
        Column::listed("TARGET", Kind::Names, |row: &Row| own(row, target)).wide(),
        Column::new("IMAGE", Kind::Names, (8, 14), image).from(64).not_wide(),
        Column::time("SINCE", 5, |row: &Row| own(row, |one| Cell::age(Some(one.since)))).from(71),
        Column::new("LAST", Kind::Words, (8, 11), last).from(80).or_wide(),
        Column::new("DESTINATION", Kind::Names, (14, 26), destination).on_screen(110),
        Column::listed("CLUSTER", Kind::Words, |row: &Row| own(row, |one| Cell::text(&one.spec.cluster))).wide(),
        Column::listed("NAMESPACE", Kind::Words, |row: &Row| own(row, |one| Cell::text(&one.spec.namespace))).wide(),
        Column::number("OBJECTS", 7, |row: &Row| own(row, |one| Cell::text(one.resources).quiet())).on_screen(130),
        Column::number("DRIFT", 5, |row: &Row| own(row, drift)).on_screen(138),
        Column::new("TARGET", Kind::Names, (13, 13), |row: &Row| own(row, target_ahead)).on_screen(154),
        Column::listed("IMAGES", Kind::Names, |row: &Row| own(row, |one| Cell::text(one.images.join(",")))).wide(),
        Column::new("MESSAGE", Kind::Prose, (20, 200), why).on_screen(176),
        Column::listed("MESSAGE", Kind::Prose, message),
    ]
}

/// What is told of the row's own environment alone; nothing on a row over several.
fn own(row: &Row, cell: impl Fn(&EnvironmentStatus) -> Cell) -> Cell {
    row.environment.map_or(Cell::nothing(), cell)
}

/// `shop`; `▾ web` over `  qa` and `  prod`.
fn name(row: &Row) -> Cell {
    match (row.environment, row.folded) {
        (Some(environment), _) if row.places() > 1 => {
            Cell::text(format!("    {}", environment.environment.environment))
        }
        (None, Some(folded)) => Cell::text(format!("{} {}", if folded { '▸' } else { '▾' }, row.name())),
        _ => Cell::text(row.name()),
    }
}

/// As it is typed: `shop`, or `web/qa` where there are several.
fn address(row: &Row) -> Cell {
    match row.environment {
        Some(environment) if row.places() > 1 => Cell::text(&environment.environment),
        _ => Cell::text(row.name()),
    }
}

/// What is being done to it, or that it is suspended on purpose, says more than its sync status.
fn activity(row: &Row) -> Cell {
    match row.environment.and_then(|one| one.activity.as_ref()) {
        Some(activity) => Cell::mark(of_phase(Phase::Running), activity),
        None => sync_or_suspended(row),
    }
}

fn sync_or_suspended(row: &Row) -> Cell {
    match row.environment {
        Some(one) if one.suspended => Cell::mark(SUSPENDED, "Suspended"),
        _ => sync(row),
    }
}

fn sync(row: &Row) -> Cell {
    row.shown().map_or(Cell::nothing(), |one| Cell::mark(of_sync(one.sync), one.sync.word()))
}

fn target(environment: &EnvironmentStatus) -> Cell {
    Cell::text(environment.target.as_ref().map(|revision| revision.short()).unwrap_or_default())
}

/// What git says, where that is another revision than the applied one.
fn target_ahead(environment: &EnvironmentStatus) -> Cell {
    let is_ahead = environment.target != environment.revision;
    if is_ahead { target(environment).toned(Tone::Warning) } else { Cell::nothing() }
}

/// The version of the image that is built for it, else of the first, and how many more there are.
fn image(row: &Row) -> Cell {
    let artifact = row.application.and_then(|application| application.artifact.as_ref());
    let built = || artifact.map(|artifact| artifact.tag.clone()).unwrap_or_default();
    Cell::text(match row.environment.map_or(&[][..], |one| &one.images) {
        [] => built(),
        [image] => text::image_version(image),
        images => {
            let first = row.application.and_then(|application| application.images.first());
            let own = text::own_image(images, first.map(String::as_str));
            format!("{} +{}", own.map(text::image_version).unwrap_or_default(), images.len() - 1)
        }
    })
}

/// What happened last: to the environment; of an application without one, or over several, to its delivery. Where there is
/// one environment, whichever of both was later.
fn last(row: &Row) -> Cell {
    let delivery = row.application.filter(|_| row.places() < 2 || row.environment.is_none());
    let both = delivery.and_then(|one| one.last.as_ref()).into_iter();
    let both = both.chain(row.environment.and_then(|one| one.last.as_ref()));
    let Some(last) = both.max_by_key(|last| last.at) else { return Cell::nothing() };
    let meaning = of_phase(last.phase);
    Cell { shown: Shown::Ended(last.what.clone(), meaning), ..Cell::nothing() }
}

fn destination(row: &Row) -> Cell {
    match (row.environment, row.places()) {
        (Some(one), _) => Cell::text(format!("{}/{}", one.spec.cluster, one.spec.namespace)).quiet(),
        (None, 0) => Cell::nothing(),
        (None, places) => Cell::text(format!("{places} environments")).quiet(),
    }
}

fn drift(environment: &EnvironmentStatus) -> Cell {
    match environment.drifted {
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
    let Some(environment) = row.environment else { return explained(row) };
    let held = || environment.suspension.as_ref().or(environment.pin.as_ref().map(|pin| &pin.hold));
    match (&*environment.message, &environment.activity) {
        ("", Some(activity)) => Cell::text(activity),
        ("", None) => Cell::text(held().map_or("", |hold| &hold.reason)),
        _ => explained(row),
    }
}

/// Why it is as it is; on a row over several, which of them is the worst and why.
pub fn explained(row: &Row) -> Cell {
    let Some(one) = row.shown() else {
        return Cell::text(row.application.map_or("", |application| &application.message));
    };
    let aging = Slot::new(None);
    let text = unseen::message(one, |at| {
        aging.set(Some(at));
        ago(at, row.now)
    });
    let whose = if row.environment.is_none() && !text.is_empty() {
        format!("{}: ", one.environment.environment)
    } else {
        String::new()
    };
    Cell::text(whose + &text).aging(aging.get())
}
