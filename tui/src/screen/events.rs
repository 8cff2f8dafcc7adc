//! What happened, newest first: when, to which application or environment, by whom, and what.

use std::cmp::Reverse;

use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind};
use crate::effect::{Answer, Ask, EVENTS_ASKED, Effect, Ticket};
use crate::event_text::{self, EventText};
use crate::keymap::Command::{self, Open};
use crate::keymap::table::{FILTER, hint};
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::destination::Destination;
use crate::model::fetched::Wait;
use crate::model::geometry;
use crate::model::link::Problem;
use crate::model::log::Source;
use crate::model::records::{Record as _, Records};
use crate::model::subject::Subject;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::moves::{along, movement};
use crate::screen::status::{Status, of_records};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, expected};
use crate::status_style::{StatusStyle, Tone};

/// Its keys.
pub const KEYS: &[Binding] = &[hint("enter", Open, "open", "open what is selected"), FILTER];

/// What happened, to one application or environment, or to all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Events {
    /// To which; to all where none.
    pub of: Option<Subject>,
    /// The events, newest first.
    pub records: Records<EventRecord>,
}

impl Events {
    /// Events that nobody asked for yet.
    pub fn new(of: Option<Subject>) -> Self {
        Self { of, records: Records::new() }
    }

    /// Opens what an event is about: a run's output, else the environment.
    fn open(&self, turn: &mut Turn<'_>) {
        let Some(record) = self.records.current() else { return };
        let run = match &record.event {
            Event::RunQueued { run }
            | Event::RunAllowed { run }
            | Event::StageChanged { run, .. }
            | Event::RunFinished { run, .. } => Some(*run),
            _ => None,
        };
        match (run, subject(record, turn.world)) {
            (_, None) => turn.say("this event is of the agent as a whole"),
            (Some(run), Some(of)) => {
                turn.open(Destination::Logs(Source::Run { of: of.application().clone(), run }));
            }
            (None, Some(of)) => match of {
                Subject::Environment(id) if turn.world.fleet.environment(&id).is_some() => {
                    turn.open(Destination::Environment(id));
                }
                Subject::Application(name) if turn.world.fleet.application(&name).is_some() => {
                    turn.open(Destination::Runs(Subject::Application(name)));
                }
                of => turn.say(format!("{} was removed from the configuration", turn.world.fleet.called(&of))),
            },
        }
    }

    /// Asks for older events where the reader came to the oldest one.
    fn ask_older(&mut self, turn: &mut Turn<'_>) {
        let records = &mut self.records;
        let at_end = records.cursor + 1 >= records.len() && records.filter.is_empty();
        let oldest = records.all.value.as_ref().and_then(|all| all.last()).map(|record| record.id);
        if let (true, Some(oldest)) = (at_end && records.older && records.all.wait.pending.is_none(), oldest) {
            let number = turn.number();
            records.all.wait.pending = Some(number);
            records.asking_older = Some(number);
            let ask = Ask::Events(self.of.clone(), Some(oldest));
            turn.effects.push(Effect::Ask(Ticket::of(turn.screen, number), ask));
        }
    }
}

impl Screen for Events {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn root(&self) -> Option<Root> {
        self.of.is_none().then_some(Root::Events)
    }

    fn scope(&self) -> Option<Subject> {
        self.of.clone()
    }

    fn title(&self, _world: &World) -> String {
        "events".to_owned()
    }

    fn status(&self, _world: &World) -> Status {
        of_records(&self.records)
    }

    fn subject(&self, world: &World) -> Option<Subject> {
        let selected = self.records.current().and_then(|record| subject(record, world));
        selected.or_else(|| self.of.clone())
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        match movement(command, geometry::table_lines(turn.world.size)) {
            Some(to) => {
                along(&mut self.records, to, turn.world.size);
                self.ask_older(turn);
            }
            None if command == Open => self.open(turn),
            None => return false,
        }
        true
    }

    fn rebuild(&mut self, world: &World) {
        self.records.rebuild(world.size);
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Filter(&self.records.filter))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.records.filter);
        self.rebuild(world);
    }

    fn ask(&self) -> Option<Ask> {
        Some(Ask::Events(self.of.clone(), None))
    }

    fn wait(&mut self) -> Option<&mut Wait> {
        Some(&mut self.records.all.wait)
    }

    fn is_old_by(&self, object: &Object) -> bool {
        let is_of = |name: &ApplicationName| self.of.as_ref().is_none_or(|of| of.application() == name);
        match object {
            Object::Application(application) => is_of(&application.name),
            Object::Run(run) => is_of(&run.application),
            Object::Environment(one) => self.of.as_ref().is_none_or(|of| of.covers(&one.environment)),
            Object::Agent(_) | Object::Connection(_) => self.of.is_none(),
            Object::Repository(_)
            | Object::ApplicationSource(_)
            | Object::FollowedImage(_)
            | Object::Resource(_)
            | Object::Pod(_) => false,
        }
    }

    /// Events that were fetched before and are older than the answer stay: somebody may be reading them.
    fn answer(&mut self, number: u64, answer: Result<Answer, Problem>, world: &World) -> bool {
        let events = |answer| if let Answer::Events(records) = answer { Some(records) } else { None };
        let records = &mut self.records;
        let before = records.all.value.take();
        let taken = records.all.take(number, answer.map(events).and_then(expected), world.now);
        let new = records.all.value.take();
        let are_older = records.asking_older == Some(number);
        if taken && are_older {
            records.asking_older = None;
            records.older = new.as_ref().is_none_or(|new| !new.is_empty());
        }
        records.all.value = match (before, new) {
            (Some(before), Some(new)) => Some(merge(before, new, are_older)),
            (before, new) => new.or(before),
        };
        records.rebuild(world.size);
        taken
    }

    fn draw(&self, painter: &mut Painter, world: &World, area: Rect) {
        let records = &self.records;
        if empty::waiting(painter, area, &records.all, "Asking for events …") {
            return;
        }
        if records.is_empty() {
            let sentence = match (records.filter.as_str(), &self.of) {
                ("", Some(of)) => format!("Nothing happened to {} yet.", world.fleet.called(of)),
                ("", None) => "Nothing happened yet.".to_owned(),
                (filter, _) => format!("No event holds {filter:?}."),
            };
            return empty::draw(painter, area, &sentence, &[]);
        }
        let seen = Rows { top: records.top, cursor: records.cursor, count: records.len() };
        let lines = |place| records.lines(place, area.width);
        list::draw(
            painter,
            (&columns(), self.of.as_ref().is_some_and(|of| world.fleet.is_one(of))),
            area,
            seen,
            lines,
            |place| {
                let record = records.row(place)?;
                let below = Cell::text(record.below()).toned(event_text::describe(&record.event).tone);
                let of = subject(record, world).map_or_else(|| "agent".to_owned(), |of| world.fleet.called(&of));
                Some(Line { row: Row { record, of, time: String::new() }, below, is_old: false })
            },
        );
    }

    fn assert_invariants(&self, _world: &World) {
        self.records.assert_invariants();
    }
}

/// What an event is about; of an application with one environment, that.
fn subject(record: &EventRecord, world: &World) -> Option<Subject> {
    let application = record.application.as_ref()?;
    Some(match &record.environment {
        Some(environment) => EnvironmentId::new(application, environment).into(),
        None => world.fleet.subject(application),
    })
}

/// Events of both lists, each once, newest first. Where so much happened that the lists may not touch, the new one
/// alone: a list with a hole in it would lie. The same where the agent has another history than before.
fn merge(mut before: Vec<EventRecord>, new: Vec<EventRecord>, are_older: bool) -> Vec<EventRecord> {
    /// Some 5 MB of events; older ones are fetched again when they are wanted.
    const EVENTS_MAX: usize = 10_000;
    let newest = before.first().zip(new.first()).map(|(before, new)| (before.id, new.id));
    let is_another = newest.is_some_and(|(before, new)| before.history != new.history);
    let oldest_new = new.last().map(|record| record.id);
    let is_apart = new.len() >= EVENTS_ASKED && oldest_new > before.first().map(|record| record.id);
    if !are_older && (is_another || is_apart) {
        return new;
    }
    before.extend(new);
    before.sort_by_key(|record| Reverse(record.id));
    before.dedup_by_key(|record| record.id);
    before.truncate(EVENTS_MAX);
    before
}

/// An event in a list.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The event.
    pub record: &'a EventRecord,
    /// What it is about.
    pub of: String,
    /// When it was, in the zone of the reader; for tables.
    pub time: String,
}

/// The columns of events.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::time("AGE", 4, |row: &Row| Cell::age(Some(row.record.at)).quiet()).on_screen(0),
        Column::listed("TIME", Kind::Text, |row: &Row| Cell::text(&row.time).quiet()),
        Column::new("APPLICATION", Kind::Text, (11, 24), |row: &Row| Cell::text(&row.of)).naming().of_all().from(40),
        Column::new("EVENT", Kind::Prose, (42, 110), marked).on_screen(0),
        Column::new("CAUSE", Kind::Names, (16, 40), |row: &Row| Cell::text(row.record.cause.describe()).quiet())
            .from(80),
        Column::listed("EVENT", Kind::Prose, |row: &Row| {
            let told = event_text::describe(&row.record.event);
            Cell::text(told.line()).toned(told.tone)
        }),
    ]
}

/// What it was, with its sign; without the reason, where that is said below the row.
fn marked(row: &Row) -> Cell {
    let told = event_text::describe(&row.record.event);
    let meaning = StatusStyle { tone: told.tone, sign: sign(&told) };
    if row.record.below().is_empty() { Cell::mark(meaning, told.line()) } else { Cell::mark(meaning, told.what) }
}

fn sign(told: &EventText) -> char {
    match told.tone {
        Tone::Good => '✔',
        Tone::Busy => '◐',
        Tone::Warning => '!',
        Tone::Bad => '✖',
        Tone::Plain | Tone::Quiet | Tone::Strong => '·',
    }
}
