//! All that the console knows: the world, the screens one over the other, and what lies over them. All of it can be
//! written as JSON and read again, so that a bug on somebody's screen can be replayed.

pub mod invariants;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::model::World;
use crate::model::capabilities::Capabilities;
use crate::model::destination::Destination;
use crate::model::link::Problem;
use crate::model::overlay::Overlay;
use crate::model::toast::{self, Said, Toast};
use crate::screen::turn::Turn;
use crate::screen::{Opened, Place, Shelf};

/// All that the console knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Model {
    /// What is so, and on what it is shown.
    pub world: World,
    /// The screens, one over the other; never empty.
    pub screens: Vec<Opened>,
    /// Top views that were left, as they were.
    pub shelf: Shelf,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// What is told for a few seconds.
    pub toasts: Vec<Toast>,
    /// The last number given to a screen or a request. Each is used once.
    pub numbers: u64,
}

impl Model {
    /// A console that has just begun: no agent, the list of applications, nothing in it.
    pub fn new(now: Timestamp, size: (u16, u16), capabilities: Capabilities) -> Self {
        let first = Opened { id: 1, place: Place::first() };
        Self {
            world: World::new(now, size, capabilities),
            screens: vec![first],
            shelf: Shelf::default(),
            overlay: None,
            toasts: Vec::new(),
            numbers: 1,
        }
    }

    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The screen that is seen.
    pub fn screen(&self) -> &Opened {
        self.screens.last().expect("there is always a screen: back never leaves the last one")
    }

    /// What the seen screen shows.
    pub fn place(&self) -> &Place {
        &self.screen().place
    }

    /// The seen screen, and the world that it shows.
    pub fn seen(&mut self) -> (&mut Opened, &World) {
        let screen = self.screens.last_mut().expect("there is always a screen: back never leaves the last one");
        (screen, &self.world)
    }

    /// Gives the seen screen its turn; the screens that it opened come back.
    pub fn turn<T>(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Place, &mut Turn<'_>) -> T,
    ) -> (T, Vec<Destination>) {
        let Self { world, screens, overlay, toasts, numbers, .. } = self;
        let screen = screens.last_mut().expect("there is always a screen: back never leaves the last one");
        let mut turn = Turn { world, screen: screen.id, effects, overlay, toasts, numbers, opened: Vec::new() };
        let done = act(&mut screen.place, &mut turn);
        (done, turn.opened)
    }

    /// Tells something for a few seconds.
    pub fn toast(&mut self, said: Said, text: impl Into<String>) {
        toast::show(&mut self.toasts, self.world.now, said, text.into(), Vec::new());
    }

    /// Tells what went wrong, and what to do.
    pub fn toast_problem(&mut self, problem: Problem) {
        toast::show(&mut self.toasts, self.world.now, Said::Problem, problem.message, problem.hints);
    }
}
