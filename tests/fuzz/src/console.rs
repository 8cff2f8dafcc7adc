//! The console: whatever happens, in whatever order and at whatever size, what is selected is there, no control
//! character reaches the screen, and the model that is written down and read again shows the same picture.
//!
//! The bytes are a list of things that happen, see [`Bytes`]: keys, answers, changes, losses, sizes, time.

use jiff::Timestamp;
use quarterdeck_shared::protocol::{Accepted, LogRecord, ManifestsAnswer, Role, State, WatchRecord};
use quarterdeck_shared::snapshot::Object;
use quarterdeck_tui::console::Model;
use quarterdeck_tui::console::invariants::assert_invariants;
use quarterdeck_tui::effect::{Answer, Ask, Effect, Ticket};
use quarterdeck_tui::keymap::{Code, Key};
use quarterdeck_tui::message::{LinkMessage, Message};
use quarterdeck_tui::model::capabilities::Capabilities;
use quarterdeck_tui::model::link::Problem;
use quarterdeck_tui::model::{diff, packages, text};
use quarterdeck_tui::screen::{self, Place};
use quarterdeck_tui::text::is_control;
use quarterdeck_tui::update::update;
use quarterdeck_tui::view::view;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Each step draws: longer walks are slow and show little more.
const STEPS_MAX: usize = 80;

/// 2026-11-23T12:00:00Z.
const NOON: i64 = 1_795_435_200;
const COMMIT: &str = "1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";

/// `data` is a list of what happens.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut console = Console::begin();
    for _ in 0..STEPS_MAX {
        let Some(step) = bytes.next() else { break };
        console.happen(step, &mut bytes);
        console.holds();
    }
    console.comes_back();
}

/// Bytes, one by one; none is zero.
struct Bytes<'d>(&'d [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// A text of at most 63 bytes, its length before it.
    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 64).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

/// A console with a small world on it, and what it asked for and was not answered.
pub struct Console {
    model: Model,
    asked: Vec<(Ticket, Option<Ask>)>,
    followed: Option<Ticket>,
    now: i64,
}

impl Console {
    /// A console that has met its agent.
    pub fn begin() -> Self {
        let model = Model::new(at(NOON), (80, 24), Capabilities::default());
        let mut console = Self { model, asked: Vec::new(), followed: None, now: NOON };
        console.tell(Message::Link(LinkMessage::Hello(Role::Operator)));
        console.tell(Message::Link(LinkMessage::State(Box::new(state(0)))));
        console
    }

    /// Takes a message, and remembers what it asks for.
    pub fn tell(&mut self, message: Message) {
        for effect in update(&mut self.model, message) {
            match effect {
                Effect::Ask(ticket, ask) | Effect::AskSoon(ticket, ask) => self.asked.push((ticket, Some(ask))),
                Effect::Send(ticket, _) => self.asked.push((ticket, None)),
                Effect::Follow(ticket, ..) => self.followed = Some(ticket),
                _ => {}
            }
        }
    }

    /// Presses a key, by the name that the key table has for it.
    pub fn press(&mut self, key: &str) {
        self.tell(Message::Key(key.parse().expect("keys have the names of the table")));
    }

    /// Answers the newest question.
    pub fn answer(&mut self, answer: Result<Answer, Problem>) {
        if let Some((ticket, _)) = self.asked.pop() {
            self.tell(Message::Answered(ticket, answer));
        }
    }

    /// Lines of the log that is followed.
    pub fn lines(&mut self, lines: Vec<LogRecord>) {
        if let Some(ticket) = self.followed {
            self.tell(Message::Lines(ticket, lines));
        }
    }

    fn happen(&mut self, step: u8, bytes: &mut Bytes<'_>) {
        match step % 32 {
            0..=11 => {
                let mut keys = screen::bindings().flat_map(|(_, binding)| binding.keys.split(' '));
                let count = keys.clone().count();
                let key = keys.nth(usize::from(bytes.byte()) % count).expect("within the table").to_owned();
                self.press(&key);
            }
            12 | 13 => {
                for c in bytes.text().chars().take(8) {
                    self.tell(Message::Key(Key::plain(Code::Char(c))));
                }
            }
            14 => self.tell(Message::Paste(bytes.text())),
            15 | 16 => {
                let (columns, rows) = (u16::from(bytes.byte()) % 180, u16::from(bytes.byte()) % 60);
                self.tell(Message::Resize(columns, rows));
            }
            17..=20 => {
                let (choice, there) = (bytes.byte(), !bytes.byte().is_multiple_of(4));
                let object = object(choice, &bytes.text());
                let (revision, key) = (2, object.key());
                self.tell(Message::Link(LinkMessage::Records(vec![match there {
                    true => WatchRecord::Put { revision, key, object: Box::new(object) },
                    false => WatchRecord::Del { revision, key },
                }])));
            }
            21 => {
                let problem = problem(bytes.text());
                self.tell(Message::Link(LinkMessage::Lost { attempts: 1, problem }));
            }
            22 => self.tell(Message::Link(LinkMessage::State(Box::new(state(bytes.byte()))))),
            23 => match bytes.byte() % 3 {
                0 => self.tell(Message::Link(LinkMessage::Hello(Role::Viewer))),
                1 => self.tell(Message::Link(LinkMessage::Hello(Role::Approver))),
                _ => self.tell(Message::Link(LinkMessage::Incompatible(problem(bytes.text())))),
            },
            24..=27 => {
                let (well, text) = (!bytes.byte().is_multiple_of(4), bytes.text());
                let ask = self.asked.last().and_then(|(_, ask)| ask.clone());
                self.answer(if well { Ok(answer(ask, &text)) } else { Err(problem(text)) });
            }
            28 | 29 => {
                let (count, text) = (usize::from(bytes.byte()), bytes.text());
                let from = format!("pod-{}/c", count % 5).into();
                let line = LogRecord::Line { at: Some(at(self.now)), from, text: text.as_str().into() };
                self.lines(vec![line; count]);
            }
            30 => {
                let reason = bytes.text().into();
                self.lines(vec![LogRecord::Gap { lines: Some(u64::from(bytes.byte())), reason }]);
            }
            _ => {
                // A clock may be set back.
                self.now += (i64::from(bytes.byte()) - 16) * i64::from(bytes.byte()) * 60;
                self.tell(Message::Time(at(self.now)));
            }
        }
    }

    /// What holds after every message.
    pub fn holds(&self) {
        assert_invariants(&self.model);
        let picture = picture(&self.model);
        let harmless = |symbol: &str| !symbol.contains(|c: char| c.is_control() || is_control(c));
        assert!(picture.content.iter().all(|cell| harmless(cell.symbol())), "{picture:?}");
    }

    /// The model can be written down, and what is read shows the same once its rows are built, as a resize does.
    fn comes_back(mut self) {
        let (columns, rows) = self.model.world.size;
        let written = serde_json::to_string(&self.model).expect("a model can be written");
        let mut read: Model = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error} in {written}"));
        update(&mut self.model, Message::Resize(columns, rows));
        update(&mut read, Message::Resize(columns, rows));
        // The console's own log is beside the model.
        if !matches!(self.model.place(), Place::ConsoleLog(_)) {
            assert_eq!(picture(&read), picture(&self.model));
        }
    }
}

fn picture(model: &Model) -> Buffer {
    let (columns, rows) = model.world.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory does not fail");
    terminal.draw(|frame| _ = view(model, frame)).expect("memory does not fail");
    terminal.backend().buffer().clone()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second.clamp(0, 4_000_000_000)).expect("within a few centuries")
}

fn problem(message: String) -> Problem {
    Problem { hints: vec![message.clone()], message }
}

fn state(more: u8) -> State {
    let objects = (0..40u8.saturating_add(more % 32)).map(|n| object(n, "a reason"));
    State { revision: 1, epoch: "one".to_owned(), objects: objects.map(|object| (object.key(), object)).collect() }
}

/// An object of the n-th kind and name, with a text wherever one can be.
fn object(n: u8, text: &str) -> Object {
    let health = ["Healthy", "Progressing", "Degraded", "Unknown", "Missing", "Suspended"][usize::from(n / 8 % 6)];
    let sync = ["Synced", "OutOfSync", "Unknown"][usize::from(n / 4 % 3)];
    let phase =
        ["Queued", "Running", "Succeeded", "Failed", "Skipped", "Cancelled", "Interrupted"][usize::from(n / 8 % 7)];
    let to = ["cluster", "engine", "registry"][usize::from(n / 8 % 3)];
    let application = ["shop", "cart", "search"][usize::from(n % 3)];
    let started = at(NOON - i64::from(n) * 37);
    let cause = json!({"by": "person", "uid": 1000, "name": text});
    let revision = format!("main@sha1:{COMMIT}");
    let environment = format!("{application}/{}", ["prod", "qa"][usize::from(n / 3 % 2)]);
    let environments = &["prod", "qa"][usize::from(n / 128)..];
    let object = match n % 9 {
        0 => json!({"kind": "Agent", "version": "0.1.0", "host": text, "pid": 7, "started": started,
            "configuration": "/etc/qd/config.toml", "configuration_error": (n > 128).then_some(text), "banner": text}),
        1 => {
            json!({"kind": "Environment", "environment": format!("app-{}/prod", n % 16), "sync": sync, "health": health,
            "revision": revision, "images": [format!("registry.example/ops/{text}:1.4.0")], "suspended": n > 128,
            "message": text, "since": started, "activity": text, "last": {"what": text, "phase": phase, "at": started},
            "suspension": {"reason": text, "cause": cause, "at": started},
            "pin": (n > 200).then(|| json!({"revision": revision, "reason": text, "cause": cause, "at": started})),
            "spec": {"repository": text, "cluster": text, "namespace": text, "automatic": true, "prune": true, "self_heal": true}})
        }
        2 => {
            json!({"kind": "Environment", "environment": environment, "sync": sync, "health": health, "suspended": false,
            "message": text, "since": started, "spec": {"repository": text, "path": text, "cluster": "prod",
            "namespace": text, "automatic": false, "prune": true, "self_heal": false, "protected": n > 128}})
        }
        3 => json!({"kind": "Repository", "address": format!("ssh://git@forge/ops/{}{text}", n / 8), "branches": 1,
            "tags": n, "polled": started, "error": (n > 128).then_some(text), "failures": n / 64}),
        4 => {
            json!({"kind": "Connection", "to": to, "name": text,
            "reachable": n < 128, "version": text, "error": (n >= 128).then_some(text), "since": started})
        }
        5 => {
            json!({"kind": "Run", "id": format!("k7x2m-{n}"), "application": application, "goal": if n < 128 { "build" } else { "push" },
            "cause": cause, "reference": text, "commit": COMMIT, "subject": text, "phase": phase, "queued": started,
            "stages": [{"kind": "checkout", "phase": "Succeeded", "started": started, "finished": started},
                {"kind": "build", "phase": phase, "started": started, "percent": n, "message": text}], "message": text})
        }
        6 => json!({"kind": "Resource", "environment": environment, "sync": sync, "health": health,
            "resource": {"group": "apps", "kind": "Deployment", "namespace": "prod", "name": format!("d-{}{text}", n / 16)},
            "owner": (n > 96).then(|| json!({"group": "apps", "kind": "Deployment", "namespace": "prod",
                "name": format!("d-{}{text}", n / 32)})), "message": text, "summary": text, "created": started}),
        7 => json!({"kind": "Application", "name": application, "environments": environments,
            "code": text, "images": [text], "message": text}),
        _ => json!({"kind": "Pod", "environment": environment, "cluster": "prod", "namespace": "prod",
            "name": format!("{application}-{n}"), "status": text, "health": health, "message": text, "node": text,
            "owner": {"group": "apps", "kind": "Deployment", "namespace": "prod", "name": format!("d-{}", n / 16)},
            "containers": [{"name": text, "image": text, "state": text, "ready": n < 128, "restarts": n}]}),
    };
    let without_null = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let object: Value = without_null.map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error} in {object}"))
}

fn answer(ask: Option<Ask>, text: &str) -> Answer {
    let revision = format!("main@sha1:{COMMIT}");
    let deployment = json!({"group": "apps", "kind": "Deployment", "namespace": "prod", "name": "shop"});
    match ask {
        Some(Ask::Diff(..)) => Answer::Diff(Box::new(diff::document(from(json!({
            "environment": "shop/prod",
            "plan": {"revision": revision, "changes": [{"resource": deployment, "action": "configure", "reason": text,
                "fields": [{"path": text, "live": text, "desired": 2, "manager": text}]}]},
            "objects": [{"resource": deployment, "action": "configure", "live": format!("a: 1\nb: {text}\nc: 3\n"),
                "desired": format!("a: 1\n{text}\nc: 4\n")}, {"resource": deployment, "action": "prune", "live": text}],
        }))))),
        Some(Ask::Manifests(..) | Ask::Object(..)) => {
            let yaml = format!("a: 1\nb: {text}\n").repeat(20);
            Answer::Text(Box::new(text::document(ManifestsAnswer { revision: None, rendered: None, yaml, notes: Vec::new() })))
        }
        Some(Ask::History(_)) => Answer::History(from(
            (1..30u8)
                .rev()
                .map(|id| {
                    json!({"id": format!("k7x2m-{id}"), "environment": "shop/prod", "revision": revision, "cause": {"by": "agent"},
                        "phase": "Succeeded", "started": at(NOON), "message": text, "images": [text]})
                })
                .collect(),
        )),
        Some(Ask::Packages(_)) => Answer::Packages(Box::new(packages::document(from(json!([{
            "image": text, "total": 1, "packages": [{"name": text, "version": text, "kind": text, "license": text}], "reason": text,
        }]))))),
        Some(Ask::Images(_)) => Answer::Images(from(json!([{"image": text, "state": "missing", "reason": text}]))),
        Some(Ask::Events(..)) => Answer::Events(from(
            (1..60u8)
                .rev()
                .map(|id| {
                    json!({"id": format!("k7x2m-{id}"), "at": at(NOON), "application": (id % 2 == 0).then_some("shop"),
                        "cause": {"by": "agent"}, "event": {"type": "configuration_refused", "message": text}})
                })
                .collect(),
        )),
        None => Answer::Accepted(Accepted { message: text.to_owned(), run: None, revision: None, after_sync: None, tests: None, deletion: None }),
    }
}

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("written as it is read")
}
