//! What each message changes, and what it asks of the world. Pure: no clock, no input, no output, no drawing.
//!
//! ```text
//! key, answer, line, change --Message--> update(&mut Model) --Effect--> runtime --Message--> …
//!                                             |
//!                                             v
//!                                        view(&Model)
//! ```

mod act;
mod answer;
mod confirm;
mod go;
mod keys;
mod link;
mod palette;
mod search;
mod stream;
mod typed;

use crate::console::Model;
use crate::effect::Effect;
use crate::message::Message;
use crate::model::toast::{self, Said};

/// Takes a message into the model; what is to be done comes back.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = Vec::new();
    match message {
        Message::Time(now) => {
            model.world.now = now;
            toast::expire(&mut model.toasts, now);
        }
        Message::Key(key) => keys::press(model, key, &mut effects),
        Message::Paste(text) => keys::paste(model, &text),
        Message::Resize(columns, rows) => {
            model.world.size = (columns, rows);
            go::rebuild(model);
        }
        Message::Link(message) => link::hear(model, message, &mut effects),
        Message::Waiting(text) => model.toast(Said::Note, text),
        Message::Answered(ticket, answer) => answer::take(model, ticket, answer, &mut effects),
        Message::Lines(ticket, records) => stream::lines(model, ticket, records),
        Message::Ended(ticket, problem) => stream::ended(model, ticket, problem),
    }
    effects
}

#[cfg(test)]
mod tests;
