//! The wire: whatever JSON comes, what is understood is said again in the same words, and the console shows any of it
//! without a control character on the screen.
//!
//! The first byte says what it is; the rest is its JSON.

use std::fmt::Debug;

use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::protocol::{
    Accepted, Check, CommitAnswer, DeliverRequest, DiffAnswer, ErrorAnswer, LogRecord, ManifestsAnswer,
    RollbackRequest, State, SuspendRequest, SyncRequest, VersionAnswer, WatchRecord,
};
use quarterdeck_shared::resource::Inventory;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_tui::effect::Answer;
use quarterdeck_tui::event_text;
use quarterdeck_tui::message::{LinkMessage, Message};
use quarterdeck_tui::model::{diff, text};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::console::Console;

/// `data` is what it is, and its JSON.
pub fn check(data: &[u8]) {
    let Some((what, json)) = data.split_first() else { return };
    match what {
        b's' => show(json, |console, state: State| console.tell(Message::Link(LinkMessage::State(Box::new(state))))),
        b'w' => show(json, |console, record: WatchRecord| {
            console.tell(Message::Link(LinkMessage::Records(vec![record])));
        }),
        b'l' => show(json, |console, record: LogRecord| {
            console.press("l");
            console.lines(vec![record]);
        }),
        b'd' => show(json, |console, answer: DiffAnswer| {
            console.press("d");
            console.answer(Ok(Answer::Diff(Box::new(diff::document(answer)))));
        }),
        b'm' => show(json, |console, answer: ManifestsAnswer| {
            console.press("m");
            console.answer(Ok(Answer::Text(Box::new(text::document(answer)))));
        }),
        b'e' => show(json, |console, events: Vec<EventRecord>| {
            events.iter().for_each(|record| assert!(!event_text::describe(&record.event).what.is_empty()));
            console.press("4");
            console.answer(Ok(Answer::Events(events)));
        }),
        b'h' => show(json, |console, syncs: Vec<SyncRecord>| {
            console.press("h");
            console.answer(Ok(Answer::History(syncs)));
        }),
        b'a' => show(json, |console, accepted: Accepted| {
            console.press("r");
            console.answer(Ok(Answer::Accepted(accepted)));
        }),
        b'r' => drop(same::<Vec<RunStatus>>(json)),
        b'v' => drop(same::<VersionAnswer>(json)),
        b'c' => drop(same::<Vec<Check>>(json)),
        b'o' => drop(same::<Vec<CommitAnswer>>(json)),
        b'x' => drop(same::<ErrorAnswer>(json)),
        b'i' => drop(same::<Inventory>(json)),
        b'1' => drop(same::<SyncRequest>(json)),
        b'2' => drop(same::<DeliverRequest>(json)),
        b'3' => drop(same::<RollbackRequest>(json)),
        _ => drop(same::<SuspendRequest>(json)),
    }
}

/// Decodes as agent and console do, and again what it is written as.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) -> Option<T> {
    let first: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&first).expect("what was read can be written");
    let second: T = serde_json::from_slice(&written)
        .unwrap_or_else(|error| panic!("{error} in what was written: {}", String::from_utf8_lossy(&written)));
    assert_eq!(first, second);
    Some(first)
}

fn show<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8], take: impl FnOnce(&mut Console, T)) {
    let Some(value) = same(json) else { return };
    let mut console = Console::begin();
    take(&mut console, value);
    for keys in ["", "enter", "j", "G"] {
        keys.split_whitespace().for_each(|key| console.press(key));
        console.holds();
    }
}
