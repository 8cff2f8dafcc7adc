//! Answers to requests: to the screen that waits for them, or to nobody.

use quarterdeck_shared::event::EventRecord;

use crate::effect::{Answer, Ask, Asker, EVENTS_ASKED, Effect, Ticket};
use crate::model::Model;
use crate::model::geometry;
use crate::model::link::Problem;
use crate::model::overlay::{Confirm, Overlay};
use crate::model::records::Records;
use crate::model::screen::Place;
use crate::model::toast::Said;
use crate::update::open;

/// Takes an answer. One that nobody waits for any more is dropped.
pub(super) fn take(model: &mut Model, ticket: Ticket, answer: Result<Answer, Problem>, effects: &mut Vec<Effect>) {
    let id = match ticket.asker {
        Asker::Screen(id) => id,
        Asker::Question => return plan(model, ticket.number, answer),
        Asker::Person => return told(model, answer),
    };
    let (now, size) = (model.now, model.size);
    let Some(screen) = model.screens.iter_mut().find(|screen| screen.id == id) else { return };
    let taken = match (&mut screen.place, answer) {
        (Place::Diff(screen), answer) => {
            let taken = screen.document.take(ticket.number, answer.map(diff).and_then(expected), now);
            screen.rebuild(size.0 >= geometry::SIDES_COLUMNS);
            taken
        }
        (Place::Text(screen), answer) => {
            let taken = screen.document.take(ticket.number, answer.map(text).and_then(expected), now);
            screen.top = screen.top.min(screen.lines().len().saturating_sub(1));
            taken
        }
        (Place::History(screen), answer) => {
            let taken = screen.records.all.take(ticket.number, answer.map(history).and_then(expected), now);
            screen.records.rebuild(size);
            taken
        }
        (Place::Events(screen), answer) => {
            take_events(&mut screen.records, ticket.number, answer.map(events).and_then(expected), model.now, size)
        }
        (Place::Table(_) | Place::Application(_) | Place::Logs(_) | Place::ConsoleLog, _) => false,
    };
    let is_seen = model.screen().id == id;
    if taken && is_seen && fetched_again(model) {
        ask_again(model, effects);
    }
}

/// Events that were fetched before and are older than the answer stay: somebody may be reading them.
fn take_events(
    records: &mut Records<EventRecord>,
    number: u64,
    answer: Result<Vec<EventRecord>, Problem>,
    now: jiff::Timestamp,
    size: (u16, u16),
) -> bool {
    let before = records.all.value.take();
    let taken = records.all.take(number, answer, now);
    let new = records.all.value.take();
    if taken && records.asking_older == Some(number) {
        records.asking_older = None;
        records.older = new.as_ref().is_none_or(|new| !new.is_empty());
    }
    records.all.value = match (before, new) {
        (Some(before), Some(new)) => Some(merge(before, new)),
        (before, new) => new.or(before),
    };
    records.rebuild(size);
    taken
}

/// Events of both lists, each once, newest first. Where so much happened that the lists may not touch, the new one
/// alone: a list with a hole in it would lie.
fn merge(mut before: Vec<EventRecord>, new: Vec<EventRecord>) -> Vec<EventRecord> {
    /// Some 5 MB of events; older ones are fetched again when they are wanted.
    const EVENTS_MAX: usize = 10_000;
    let newest_before = before.first().map_or(0, |record| record.id);
    let oldest_new = new.last().map_or(0, |record| record.id);
    if new.len() >= EVENTS_ASKED && oldest_new > newest_before {
        return new;
    }
    before.extend(new);
    before.sort_by_key(|record| std::cmp::Reverse(record.id));
    before.dedup_by_key(|record| record.id);
    before.truncate(EVENTS_MAX);
    before
}

/// The plan that a question waits for; of one that was answered or taken back meanwhile, nobody waits for it.
fn plan(model: &mut Model, number: u64, answer: Result<Answer, Problem>) {
    let now = model.now;
    if let Some(Overlay::Confirm(Confirm { plan: Some(plan), .. })) = &mut model.overlay {
        plan.take(number, answer.map(diff).and_then(expected), now);
    }
}

/// The answer to a command.
fn told(model: &mut Model, answer: Result<Answer, Problem>) {
    match answer {
        Ok(Answer::Accepted(accepted)) => model.toast(Said::Done, accepted.message),
        Ok(_) => {}
        Err(problem) => model.toast_problem(problem),
    }
}

/// Asks once more for what the seen screen shows, where it was fetched.
pub(super) fn ask_again(model: &mut Model, effects: &mut Vec<Effect>) {
    ask(model, effects, false);
}

/// Asks once more after a moment: something happened, and more may follow.
pub(super) fn ask_soon(model: &mut Model, effects: &mut Vec<Effect>) {
    ask(model, effects, true);
}

fn ask(model: &mut Model, effects: &mut Vec<Effect>, soon: bool) {
    let number = model.number();
    let screen = model.screen_mut();
    let (pending, again, ask) = match &mut screen.place {
        Place::Diff(s) => {
            let ask = Ask::Diff(s.of.clone(), s.revision.clone());
            (&mut s.document.pending, &mut s.document.again, ask)
        }
        Place::Text(s) => (&mut s.document.pending, &mut s.document.again, open::text_ask(&s.of, &s.subject)),
        Place::History(s) => {
            let ask = Ask::History(s.of.clone());
            (&mut s.records.all.pending, &mut s.records.all.again, ask)
        }
        Place::Events(s) => {
            let ask = Ask::Events(s.of.clone(), None);
            (&mut s.records.all.pending, &mut s.records.all.again, ask)
        }
        Place::Table(_) | Place::Application(_) | Place::Logs(_) | Place::ConsoleLog => return,
    };
    if pending.is_some() {
        *again = true;
        return;
    }
    *pending = Some(number);
    *again = false;
    let ticket = Ticket::of(screen.id, number);
    effects.push(if soon { Effect::AskSoon(ticket, ask) } else { Effect::Ask(ticket, ask) });
}

/// Whether what the seen screen shows changed while it was fetched.
fn fetched_again(model: &Model) -> bool {
    match &model.screen().place {
        Place::Diff(screen) => screen.document.again,
        Place::Text(screen) => screen.document.again,
        Place::History(screen) => screen.records.all.again,
        Place::Events(screen) => screen.records.all.again,
        Place::Table(_) | Place::Application(_) | Place::Logs(_) | Place::ConsoleLog => false,
    }
}

fn diff(answer: Answer) -> Option<crate::model::diff::DiffDocument> {
    if let Answer::Diff(document) = answer { Some(*document) } else { None }
}

fn text(answer: Answer) -> Option<crate::model::text::TextDocument> {
    if let Answer::Text(document) = answer { Some(*document) } else { None }
}

fn history(answer: Answer) -> Option<Vec<quarterdeck_shared::event::SyncRecord>> {
    if let Answer::History(records) = answer { Some(records) } else { None }
}

fn events(answer: Answer) -> Option<Vec<EventRecord>> {
    if let Answer::Events(records) = answer { Some(records) } else { None }
}

/// An answer of another kind than was asked for is the runtime's mistake; the reader is told rather than left waiting.
fn expected<T>(answer: Option<T>) -> Result<T, Problem> {
    answer.ok_or_else(|| Problem {
        message: "the console got an answer to another question".to_owned(),
        hints: vec!["this is a bug of the console; r asks again".to_owned()],
    })
}
