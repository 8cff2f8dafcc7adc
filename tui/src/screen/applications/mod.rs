//! Is all well? The applications, a row each: where it stands, since when, what happened last. What fails says why.
//!
//! An application with one environment is one row, which is the environment's. One with several is a row that sums them up,
//! the worst of each, and opens to a row for each; closed, it says of the worst one why. One without is what it builds.

mod columns;

use std::cell::Cell as Slot;
use std::collections::BTreeSet;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{ApplicationStatus, Object};
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column};
use crate::keymap::Command::{self, Fold, Left, Open, Right};
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::destination::Destination;
use crate::model::store::{self, Store};
use crate::model::subject::Subject;
use crate::model::summary::{self, Summary};
use crate::model::table::{self, Lists, Term};
use crate::paint::list::Line;
use crate::screen::Texts;
use crate::screen::list::{self, List};
use crate::screen::turn::Turn;
use crate::status_style::{Tone, of_health};
use crate::text::ago;
use crate::unseen;

pub use self::columns::{Row, columns};

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
    quiet("space", Fold, "fold", "show the environments of an application, or hide them"),
];

/// The list of applications.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Applications {
    /// Those whose environments are shown, where there are several.
    pub open: BTreeSet<ApplicationName>,
}

impl Applications {
    /// Whether a row of its own is shown for each of its environments.
    fn is_open(&self, application: &ApplicationStatus) -> bool {
        application.environments.len() > 1 && self.open.contains(&application.name)
    }
}

impl Lists for Applications {
    fn lists(&self, object: &Object) -> bool {
        matches!(object, Object::Application(_))
    }

    fn head(&self, fleet: &Store, slot: store::Slot, object: &Object) -> Option<store::Slot> {
        match object {
            Object::Application(_) => Some(slot),
            Object::Environment(environment) => fleet.application_slot(&environment.environment.application),
            _ => None,
        }
    }

    /// An environment holds what its application does. An application is shown for the sake of any environment that holds
    /// all that is wanted.
    fn rows(&self, fleet: &Store, slot: store::Slot, object: &Object, terms: &[Term], rows: &mut Vec<store::Slot>) {
        let Object::Application(application) = object else { return };
        let holds = |environment: &store::Slot| {
            fleet.object(*environment).is_some_and(|environment| table::holds(&[object, environment], terms))
        };
        let mut all = fleet.environments(application).map(|(slot, _)| slot).peekable();
        if all.peek().is_none() {
            return if table::holds(&[object], terms) {
                rows.push(slot)
            };
        }
        let mut held = all.filter(holds).peekable();
        if held.peek().is_some() {
            rows.push(slot);
        }
        if self.is_open(application) {
            rows.extend(held);
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
        let aging = Slot::new(None);
        let ago = |at| {
            aging.set(Some(at));
            ago(at, world.now)
        };
        let says_below = row.lines > 1;
        let (row, below) = match object {
            Object::Application(application) => {
                let is_open = self.is_open(application);
                let mark = match (application.environments.len(), is_open) {
                    (0 | 1, _) => "",
                    (_, true) => "▾ ",
                    (_, false) => "▸ ",
                };
                let below = summary::why_application(&world.fleet, application, is_open, ago);
                let name = format!("{mark}{}", application.name);
                let summary = Summary::of_application(&world.fleet, application);
                (Row { name, application: Some(application), summary, now: world.now, says_below }, below)
            }
            Object::Environment(environment) => {
                let name = format!("  {}", environment.environment.environment);
                let application = world.fleet.application(&environment.environment.application);
                let summary = Some(Summary::one(environment));
                (Row { name, application, summary, now: world.now, says_below }, summary::why(environment, ago))
            }
            _ => return None,
        };
        let below = Cell::text(below).toned(tone(row.summary.as_ref())).aging(aging.get());
        Some(Line { row, below, is_old: world.fleet.is_old(object) })
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

    /// The environment; of an application that has none, its runs. One that has several is folded instead.
    fn open(&self, object: &Object, turn: &mut Turn<'_>) {
        let subject = match object {
            Object::Application(application) => turn.world.fleet.subject(&application.name),
            Object::Environment(environment) => environment.environment.clone().into(),
            _ => return,
        };
        match subject {
            Subject::Environment(id) => turn.open(Destination::Environment(id)),
            of @ Subject::Application(_) => turn.open(Destination::Runs(of)),
        }
    }

    fn fold(&mut self, command: Command, object: &Object) -> list::Fold {
        let application = match (object, command) {
            (Object::Application(application), _) if application.environments.len() > 1 => application,
            (Object::Environment(_), Left) => return list::Fold::ToHead,
            _ => return list::Fold::None,
        };
        match (command, self.is_open(application)) {
            (Left | Fold | Open, true) => drop(self.open.remove(&application.name)),
            (Right | Fold | Open, false) => drop(self.open.insert(application.name.clone())),
            _ => return list::Fold::None,
        }
        list::Fold::Done
    }
}

/// Of one that is well, what is said below it is something to look at.
fn tone(summary: Option<&Summary>) -> Tone {
    let Some(summary) = summary else { return Tone::Warning };
    match of_health(summary.health).tone {
        Tone::Good => Tone::Warning,
        _ if unseen::cause(summary.worst).is_some() => Tone::Warning,
        tone => tone,
    }
}
