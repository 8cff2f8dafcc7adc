//! Whatever comes, at whatever size: nothing panics, and what is selected is there.

use proptest::collection::vec;
use proptest::prelude::*;
use quarterdeck_shared::protocol::{LogRecord, WatchRecord};
use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::Health;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::console::invariants::assert_invariants;
use crate::effect::{Answer, Ask};
use crate::model::link::Problem;
use crate::model::{diff, text};
use crate::screen::bindings;
use crate::view::view;

/// Something that happens, as it can be thrown at random.
#[derive(Debug, Clone)]
enum Throw {
    /// The n-th key of the key table.
    Bound(usize),
    /// Any character.
    Typed(char),
    /// Another size of the terminal.
    Resize(u16, u16),
    /// An application comes, changes or goes.
    Application(u8, bool),
    /// An environment comes, changes or goes.
    Environment(u8, bool),
    /// A pod comes, changes or goes.
    Pod(u8, bool),
    /// The agent goes.
    Lost,
    /// The agent comes, with its whole state.
    State,
    /// The oldest question is answered, or refused.
    Answer(bool),
    /// Lines come, of some length.
    Lines(u8, String),
    /// Time passes.
    Seconds(u16),
    /// Something is pasted.
    Paste(String),
}

fn throw() -> impl Strategy<Value = Throw> {
    prop_oneof![
        12 => (0..200usize).prop_map(Throw::Bound),
        4 => any::<char>().prop_map(Throw::Typed),
        2 => (0..230u16, 0..80u16).prop_map(|(columns, rows)| Throw::Resize(columns, rows)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(n, there)| Throw::Application(n, there)),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(n, there)| Throw::Environment(n, there)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(n, there)| Throw::Pod(n, there)),
        1 => Just(Throw::Lost),
        1 => Just(Throw::State),
        6 => any::<bool>().prop_map(Throw::Answer),
        2 => (any::<u8>(), ".{0,80}").prop_map(|(n, text)| Throw::Lines(n, text)),
        1 => any::<u16>().prop_map(Throw::Seconds),
        1 => ".{0,40}".prop_map(Throw::Paste),
    ]
}

/// The world around the console: what it was asked and has not answered.
#[derive(Default)]
struct World {
    asked: Vec<(Ticket, Option<Ask>)>,
    followed: Vec<Ticket>,
    seconds: i64,
}

impl World {
    fn hear(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(ticket, ask) | Effect::AskSoon(ticket, ask) => self.asked.push((ticket, Some(ask))),
                Effect::Send(ticket, _) => self.asked.push((ticket, None)),
                Effect::Follow(ticket, ..) => self.followed.push(ticket),
                _ => {}
            }
        }
    }

    fn message(&mut self, throw: Throw) -> Option<Message> {
        Some(match throw {
            Throw::Bound(n) => {
                let keys: Vec<&str> = bindings().flat_map(|(_, binding)| binding.keys.split(' ')).collect();
                // Quitting ends the game, and says nothing.
                let key = keys[n % keys.len()];
                Message::Key(key.parse().expect("the keys of the table are keys"))
            }
            Throw::Typed(c) => Message::Key(Key::plain(Code::Char(c))),
            Throw::Resize(columns, rows) => Message::Resize(columns, rows),
            Throw::Application(n, there) => {
                let all = &["dev", "qa", "prod"][..usize::from(n / 16 % 4)];
                changed(Object::Application(Box::new(fixture::application(&format!("app-{}", n % 16), all))), there)
            }
            Throw::Environment(n, there) => {
                let name = ["dev", "qa", "prod"][usize::from(n / 16 % 3)];
                let environment = fixture::environment(&format!("app-{}/{name}", n % 16), health(n));
                changed(Object::Environment(Box::new(environment)), there)
            }
            Throw::Pod(n, there) => {
                let of = if n % 2 == 0 { "shop" } else { "cart" };
                changed(fixture::pod(of, &format!("{of}-7b46d9-{n}"), "Running", health(n), "a reason"), there)
            }
            Throw::Lost => Message::Link(LinkMessage::Lost { attempts: 1, problem: Problem::default() }),
            Throw::State => Message::Link(LinkMessage::State(Box::new(fixture::state()))),
            Throw::Answer(well) => {
                let (ticket, ask) = self.asked.pop()?;
                let problem = Problem { message: "no".to_owned(), hints: vec!["try again".to_owned()] };
                Message::Answered(ticket, if well { Ok(answer(ask)) } else { Err(problem) })
            }
            Throw::Lines(n, text) => {
                let ticket = *self.followed.last()?;
                let line = LogRecord::Line { at: None, from: format!("pod-{}/c", n % 5).into(), text: text.into() };
                Message::Lines(ticket, vec![line; usize::from(n)])
            }
            Throw::Seconds(seconds) => {
                self.seconds += i64::from(seconds);
                Message::Time(fixture::ago_s(-self.seconds))
            }
            Throw::Paste(text) => Message::Paste(text),
        })
    }
}

fn health(n: u8) -> Health {
    [Health::Healthy, Health::Progressing, Health::Degraded, Health::Unknown][usize::from(n % 4)]
}

fn changed(object: Object, there: bool) -> Message {
    let (revision, key) = (2, object.key());
    let record = if there {
        WatchRecord::Put { revision, key, object: Box::new(object) }
    } else {
        WatchRecord::Del { revision, key }
    };
    Message::Link(LinkMessage::Records(vec![record]))
}

fn answer(ask: Option<Ask>) -> Answer {
    match ask {
        Some(Ask::Diff(..)) => Answer::Diff(Box::new(diff::document(fixture::diff()))),
        Some(Ask::Manifests(..) | Ask::Object(..)) => {
            Answer::Text(Box::new(text::document(quarterdeck_shared::protocol::ManifestsAnswer {
                revision: None,
                rendered: None,
                notes: Vec::new(),
                yaml: "a: 1\nb: \x1b[2J\n".repeat(40),
            })))
        }
        Some(Ask::History(_)) => Answer::History(fixture::syncs()),
        Some(Ask::Packages(_)) => Answer::Packages(Box::default()),
        Some(Ask::Images(_)) => Answer::Images(Vec::new()),
        Some(Ask::Events(..)) => Answer::Events(fixture::events()),
        None => Answer::Accepted(quarterdeck_shared::protocol::Accepted {
            message: "taken".to_owned(),
            run: None,
            revision: None,
            after_sync: None,
            tests: None,
            deletion: None,
        }),
    }
}

/// Draws, and sees that no control character is in any cell.
fn draw(model: &Model) {
    let (columns, rows) = model.world.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory does not fail");
    terminal.draw(|frame| _ = view(model, frame)).expect("memory does not fail");
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().all(|cell| !cell.symbol().contains(char::is_control)));
}

proptest! {
    // Each case is a long walk with a drawing a step: an eighth of the usual number is as many drawings.
    // `PROPTEST_CASES=100000` walks for an hour.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(throws in vec(throw(), 1..120)) {
        let mut model = console();
        let mut world = World::default();
        for throw in throws {
            let Some(message) = world.message(throw) else { continue };
            let effects = update(&mut model, message);
            world.hear(effects);
            assert_invariants(&model);
            draw(&model);
        }
    }
}

#[test]
fn every_screen_is_drawn_at_every_size() {
    for size in [(0, 0), (1, 1), (2, 2), (5, 3), (10, 5), (20, 8), (40, 10), (79, 23), (161, 11), (500, 150)] {
        for keys in ["", "enter", "enter j j j", "2", "3", "4", "5", "7", "d", "h", "l", "y", "S", "z", ":", "?", "/ x"]
        {
            let mut model = console();
            let mut world = World::default();
            update(&mut model, Message::Resize(size.0, size.1));
            for key in keys.split_whitespace() {
                world.hear(press(&mut model, key));
                while let Some(message) = world.message(Throw::Answer(true)) {
                    let effects = update(&mut model, message);
                    world.hear(effects);
                }
            }
            assert_invariants(&model);
            draw(&model);
        }
    }
}
