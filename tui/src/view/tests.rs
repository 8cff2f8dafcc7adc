//! Every screen as a picture, at the two sizes that people have most, and a few where something is special.

mod screens;

use quarterdeck_shared::protocol::{Role, WatchRecord};
use quarterdeck_shared::snapshot::Object;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::console::Model;
use crate::effect::{Answer, Effect, Ticket};
use crate::keymap::Key;
use crate::message::{LinkMessage, Message};
use crate::model::capabilities::Capabilities;
use crate::model::{diff, fixture, packages, text};
use crate::update::update;
use crate::view::view;

/// A console with the fixture's world on it, of this size.
fn console(size: (u16, u16)) -> Model {
    let mut model = Model::new(fixture::now(), size, Capabilities::default());
    tell(&mut model, LinkMessage::Hello(Role::Operator));
    tell(&mut model, LinkMessage::State(Box::new(fixture::state())));
    model
}

fn tell(model: &mut Model, message: LinkMessage) {
    answer(model, Message::Link(message));
}

/// Takes a message, and answers what it asks for as the agent of the fixture's world would.
fn answer(model: &mut Model, message: Message) {
    for effect in update(model, message) {
        let (ticket, reply): (Ticket, Answer) = match effect {
            Effect::Ask(ticket, ask) => (ticket, reply(ask)),
            Effect::Follow(ticket, ..) => {
                answer(model, Message::Lines(ticket, fixture::lines()));
                continue;
            }
            _ => continue,
        };
        answer(model, Message::Answered(ticket, Ok(reply)));
    }
}

fn reply(ask: crate::effect::Ask) -> Answer {
    use crate::effect::Ask;
    match ask {
        Ask::Diff(..) => Answer::Diff(Box::new(diff::document(fixture::diff()))),
        Ask::Manifests(..) | Ask::Object(..) => {
            let yaml = fixture::diff().objects[0].desired.clone().expect("the first one is in git");
            Answer::Text(Box::new(text::document(quarterdeck_shared::protocol::ManifestsAnswer {
                revision: None,
                rendered: None,
                yaml,
                notes: Vec::new(),
            })))
        }
        Ask::History(_) => Answer::History(fixture::syncs()),
        Ask::Images(_) => Answer::Images(Vec::new()),
        Ask::Packages(_) => Answer::Packages(Box::new(packages::document(fixture::packages()))),
        Ask::Events(_, None) => Answer::Events(fixture::events()),
        Ask::Events(_, Some(_)) => Answer::Events(Vec::new()),
    }
}

/// An object comes, or changes.
fn put(model: &mut Model, object: Object) {
    let record = WatchRecord::Put { revision: 2, key: object.key(), object: Box::new(object) };
    tell(model, LinkMessage::Records(vec![record]));
}

/// Presses keys, by the names that the key table has for them.
fn press(model: &mut Model, keys: &str) {
    for name in keys.split_whitespace() {
        let key: Key = name.parse().expect("tests press keys that there are");
        answer(model, Message::Key(key));
    }
}

/// Types a text.
fn type_in(model: &mut Model, text: &str) {
    for c in text.chars() {
        answer(model, Message::Key(Key::plain(crate::keymap::Code::Char(c))));
    }
}

/// The screen in cells.
fn cells(model: &Model) -> Buffer {
    let backend = TestBackend::new(model.world.size.0, model.world.size.1);
    let mut terminal = Terminal::new(backend).expect("memory does not fail");
    terminal.draw(|frame| _ = view(model, frame)).expect("memory does not fail");
    terminal.backend().buffer().clone()
}

/// The screen as text, without the blanks at the ends of its lines.
fn picture(model: &Model) -> String {
    let buffer = cells(model);
    let line = |y: u16| {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(crate::text::columns(symbol).max(1)).expect("a symbol is narrow");
        }
        line.trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
}
