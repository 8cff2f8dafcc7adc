//! A screen's turn: what it is given when something is asked of it, and what it can ask of the console.

use quarterdeck_shared::application::EnvironmentId;
use tui_input::Input;

use crate::effect::{Ask, Asker, Effect, Ticket};
use crate::model::World;
use crate::model::act::Act;
use crate::model::destination::Destination;
use crate::model::fetched::Fetched;
use crate::model::overlay::{Aim, Confirm, Overlay, Prompt};
use crate::model::toast::{self, Said, Toast};

/// What a screen is given.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What is so.
    pub world: &'a World,
    /// The number of the screen.
    pub screen: u64,
    /// What is asked of the world outside.
    pub effects: &'a mut Vec<Effect>,
    /// What lies over the screen.
    pub overlay: &'a mut Option<Overlay>,
    /// What is told for a few seconds.
    pub toasts: &'a mut Vec<Toast>,
    /// The last number that was given.
    pub numbers: &'a mut u64,
    /// Screens that are put on top when the turn ends.
    pub opened: Vec<Destination>,
}

impl Turn<'_> {
    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        *self.numbers += 1;
        *self.numbers
    }

    /// Opens a screen.
    pub fn open(&mut self, destination: Destination) {
        self.opened.push(destination);
    }

    /// Tells something for a few seconds.
    pub fn say(&mut self, text: impl Into<String>) {
        toast::show(self.toasts, self.world.now, Said::Note, text.into(), Vec::new());
    }

    /// Sends a command. Its answer is told wherever the reader is by then.
    pub fn send(&mut self, act: Act) {
        let ticket = Ticket { asker: Asker::Person, number: self.number() };
        self.effects.push(Effect::Send(ticket, act));
    }

    /// Asks for a yes.
    pub fn confirm(&mut self, act: Act) {
        *self.overlay = Some(Overlay::Confirm(Confirm { act, aim: None, plan: None, top: 0 }));
    }

    /// Asks for a yes, and shows what would be done.
    pub fn confirm_plan(&mut self, act: Act, of: EnvironmentId, aim: Option<Aim>) {
        let number = self.number();
        let ask = Ask::Diff(of, aim.as_ref().map(|aim| aim.commit.clone()));
        self.effects.push(Effect::Ask(Ticket::of_question(number), ask));
        *self.overlay = Some(Overlay::Confirm(Confirm { act, aim, plan: Some(Fetched::asked(number)), top: 0 }));
    }

    /// Asks for words.
    pub fn prompt(&mut self, act: Act, aim: Option<Aim>) {
        *self.overlay = Some(Overlay::Prompt(Prompt { act, aim, input: Input::default() }));
    }
}
