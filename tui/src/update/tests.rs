//! What messages do to the model, and what they ask of the world.

mod folds;
mod fuzz;
mod links;
mod questions;
mod walks;

use quarterdeck_shared::protocol::Role;

use crate::console::Model;
use crate::effect::{Effect, Ticket};
use crate::keymap::{Code, Key};
use crate::message::{LinkMessage, Message};
use crate::model::capabilities::Capabilities;
use crate::model::fixture;
use crate::update::update;

/// A console with the fixture's world on it.
fn console() -> Model {
    let mut model = Model::new(fixture::now(), (80, 24), Capabilities::default());
    tell(&mut model, LinkMessage::Hello(Role::Operator));
    tell(&mut model, LinkMessage::State(Box::new(fixture::state())));
    model
}

fn tell(model: &mut Model, message: LinkMessage) -> Vec<Effect> {
    update(model, Message::Link(message))
}

/// Presses keys, by the names that the key table has for them; what they ask for comes back.
fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in keys.split_whitespace() {
        effects.extend(update(model, Message::Key(name.parse().expect("tests press keys that there are"))));
    }
    effects
}

fn type_in(model: &mut Model, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| update(model, Message::Key(Key::plain(Code::Char(c))))).collect()
}

/// Selects an application of the list by its name, and clears the filter again.
fn choose(model: &mut Model, name: &str) {
    press(model, "/");
    type_in(model, name);
    press(model, "enter esc");
    assert_eq!(subject(model), name);
}

/// What is selected or shown, as it is called on screen.
fn subject(model: &Model) -> String {
    model.place().subject(&model.world).map(|subject| model.world.fleet.called(&subject)).unwrap_or_default()
}

/// The tickets of what was asked for.
fn tickets(effects: &[Effect]) -> Vec<Ticket> {
    let ticket = |effect: &Effect| match effect {
        Effect::Ask(ticket, _) | Effect::AskSoon(ticket, _) | Effect::Send(ticket, _) => Some(*ticket),
        Effect::Follow(ticket, ..) => Some(*ticket),
        _ => None,
    };
    effects.iter().filter_map(ticket).collect()
}
