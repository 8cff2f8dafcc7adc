//! The screens, one a file: its keys, what it does with them and with an answer, its rows and columns, its drawing.
//!
//! ```text
//! update --Turn--> Screen::press --> the screen itself, effects, questions, screens to open
//! view --Painter--> Screen::draw
//! command --> columns of its list
//! ```
//!
//! A screen is a type with [`Screen`], and a line in the list of [`place`], which alone tells one screen from another. Lists
//! of the agent's objects are a [`list::List`], which is less: what is listed, and how a row is shown.
//!
//! To add one: write its file, name it here and in that list. A top view has also a digit, in [`crate::keymap`], and its
//! beginning below the list.
//!
//! Drawing is beside the rest, for whoever changes a screen changes both. It is kept apart by what it is given: it has the
//! screen and the world to look at, and a [`Painter`] to draw with; nothing else here knows a painter.

pub mod applications;

pub mod environment;
pub mod history;
pub mod packages;
pub mod pods;
pub mod runs;
pub mod scan;

pub mod diff;
pub mod logs;
pub mod text;

pub mod console_log;
pub mod events;
pub mod system;

pub mod about;
pub mod list;
pub mod place;
pub mod status;
pub mod turn;

mod moves;

use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;

use crate::effect::{Answer, Ask};
use crate::keymap::{Binding, Command, Root};
use crate::model::World;
use crate::model::fetched::Wait;
use crate::model::link::Problem;
use crate::model::log::LogScreen;
use crate::model::store::Slot;
use crate::model::subject::Subject;
use crate::model::summary::Summary;
use crate::paint::painter::Painter;
use crate::screen::status::Status;
use crate::screen::turn::Turn;
use crate::status_style::{SUSPENDED, StatusStyle, Tone, of_health, of_sync};

pub use self::place::{Opened, Place, Shelf, bindings};

/// Texts one after the other, each in its tone.
pub type Texts = Vec<(String, Tone)>;

/// The words by which rows are chosen, or lines found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find<'a> {
    /// Only rows that hold them are shown.
    Filter(&'a str),
    /// One goes from match to match.
    Search(&'a str),
}

impl<'a> Find<'a> {
    /// The words.
    pub fn text(self) -> &'a str {
        let (Self::Filter(words) | Self::Search(words)) = self;
        words
    }
}

/// What every screen is.
pub trait Screen {
    /// Its keys, beside those that mean the same everywhere.
    fn keys(&self) -> &'static [Binding];

    /// The top view that it is, where it is one.
    fn root(&self) -> Option<Root> {
        None
    }

    /// The application or environment that the whole screen is about.
    fn scope(&self) -> Option<Subject> {
        None
    }

    /// What it is called.
    fn title(&self, world: &World) -> String;

    /// Where one is, for the first line.
    fn crumbs(&self, world: &World) -> Texts {
        crumbs(self.scope(), self.title(world), world)
    }

    /// How what it shows stands, for the first line: in words, or in signs where there is no room for words.
    fn state(&self, world: &World, short: bool) -> Texts {
        state_of(self.scope(), world, short)
    }

    /// What it says in the line above the keys.
    fn status(&self, _world: &World) -> Status {
        Status::default()
    }

    /// The object under the cursor.
    fn selected<'w>(&self, _world: &'w World) -> Option<&'w Object> {
        None
    }

    /// The application or environment that is selected or shown; of an application with one environment, that.
    fn subject(&self, world: &World) -> Option<Subject> {
        let selected = match self.selected(world) {
            Some(Object::Application(application)) => Some(world.fleet.subject(&application.name)),
            Some(Object::Environment(environment)) => Some(environment.environment.clone().into()),
            Some(Object::Pod(pod)) => Some(pod.environment.clone().into()),
            Some(Object::Run(run)) => Some(self.scope().unwrap_or_else(|| world.fleet.subject(&run.application))),
            _ => None,
        };
        selected.or_else(|| self.scope())
    }

    /// Does what a key asks for; false where it means nothing of its own here.
    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool;

    /// Derives all that it shows anew: it came on top, the terminal was resized, the state was loaded.
    fn rebuild(&mut self, _world: &World) {}

    /// The words of its filter or search, where it has one.
    fn find(&self) -> Option<Find<'_>> {
        None
    }

    /// Filters or searches by other words.
    fn set_find(&mut self, _words: &str, _world: &World) {}

    /// Whether it draws an object, which is about to change, come or go.
    fn draws(&self, _object: &Object) -> bool {
        false
    }

    /// An object changed, came or went, and others of the same batch may follow.
    fn changed(&mut self, _slot: Slot, _world: &World) {}

    /// A batch of changes, of which it draws some, is over; where there were many, none was told by itself.
    fn changes_done(&mut self, world: &World, _many: bool) {
        self.rebuild(world);
    }

    /// What it fetches.
    fn ask(&self) -> Option<Ask> {
        None
    }

    /// How that is waited for.
    fn wait(&mut self) -> Option<&mut Wait> {
        None
    }

    /// Whether what it fetched may be old now that an object is so.
    fn is_old_by(&self, _object: &Object) -> bool {
        false
    }

    /// Takes an answer; false where it is not the one that is waited for.
    fn answer(&mut self, _number: u64, _answer: Result<Answer, Problem>, _world: &World) -> bool {
        false
    }

    /// The log that it follows.
    fn log(&mut self) -> Option<&mut LogScreen> {
        None
    }

    /// Draws it.
    fn draw(&self, painter: &mut Painter, world: &World, area: Rect);

    /// Panics where a cursor is not on a row, or what is selected is not what lies under it.
    fn assert_invariants(&self, _world: &World) {}
}

/// `shop › history`.
fn crumbs(of: Option<Subject>, title: String, world: &World) -> Texts {
    match of.map(|of| world.fleet.called(&of)) {
        Some(label) if title.is_empty() => vec![(label, Tone::Strong)],
        Some(label) => vec![(label, Tone::Strong), (" › ".to_owned(), Tone::Quiet), (title, Tone::Plain)],
        None => vec![(title, Tone::Strong)],
    }
}

/// How an environment stands, or an application as its worst: `✔ Synced  ● Healthy`.
fn state_of(of: Option<Subject>, world: &World, short: bool) -> Texts {
    let summary = of.and_then(|of| match of {
        Subject::Application(name) => Summary::of_application(&world.fleet, world.fleet.application(&name)?),
        Subject::Environment(id) => world.fleet.environment(&id).map(Summary::one),
    });
    let Some(summary) = summary else { return Texts::new() };
    let sync = match summary.suspended {
        true => (SUSPENDED, "Suspended"),
        false => (of_sync(summary.sync), summary.sync.word()),
    };
    let health = (of_health(summary.health), summary.health.word());
    let word = |(meaning, word): (StatusStyle, &str)| {
        let word = if short { meaning.sign.to_string() } else { format!("{} {word}", meaning.sign) };
        (format!("{word}  "), meaning.tone)
    };
    vec![word(sync), word(health)]
}

/// An answer of another kind than was asked for is the runtime's mistake; the reader is told rather than left waiting.
pub fn expected<T>(answer: Option<T>) -> Result<T, Problem> {
    answer.ok_or_else(|| Problem {
        message: "unexpected type of response".to_owned(),
        hints: vec!["press r to fetch again; this is a bug in the console".to_owned()],
    })
}
