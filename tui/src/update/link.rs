//! What is heard of the agent: the state, what changes in it, silence.

use quarterdeck_shared::protocol::WatchRecord;
use quarterdeck_shared::snapshot::{Key, Object};

use crate::effect::{Effect, Ticket};
use crate::message::LinkMessage;
use crate::model::fleet::{Fleet, Slot};
use crate::model::link::LinkState;
use crate::model::screen::{Place, Screen};
use crate::model::text::Subject;
use crate::model::{Model, geometry, timeline};
use crate::update::{answer, open, settle};

/// Changes in one batch from which on a table is sorted anew, rather than each row put at its place.
const SORT_ANEW: usize = 256;

pub(super) fn hear(model: &mut Model, message: LinkMessage, effects: &mut Vec<Effect>) {
    match message {
        LinkMessage::Hello(role) => model.role = Some(role),
        LinkMessage::State(state) => {
            model.fleet = Fleet::load(state.objects);
            settle::rebuild(model);
            alive(model, effects);
        }
        LinkMessage::Records(records) => {
            let news = apply(model, records);
            alive(model, effects);
            if news {
                answer::ask_soon(model, effects);
            }
        }
        LinkMessage::Lost { attempts, problem } => model.link.state = LinkState::Lost { attempts, problem },
        LinkMessage::Incompatible(problem) => model.link.state = LinkState::Incompatible { problem },
    }
}

/// The agent is there. What broke off with it is taken up again.
fn alive(model: &mut Model, effects: &mut Vec<Effect>) {
    let was_live = model.link.is_live();
    model.link.heard = model.now;
    model.link.loaded = true;
    model.link.state = LinkState::Live;
    if was_live {
        return;
    }
    let Model { screens, shelf, numbers, .. } = model;
    for screen in screens.iter_mut().chain(shelf.values_mut()) {
        if let Place::Logs(log) = &mut screen.place
            && log.wants_reopening()
        {
            *numbers += 1;
            let resume = log.reopen(*numbers);
            effects.push(Effect::Follow(Ticket::of(screen.id, log.number), log.source.clone(), resume));
        }
    }
    if has_problem(&model.screen().place) {
        answer::ask_again(model, effects);
    }
}

/// Puts changes into the fleet and the seen screen; whether what the screen fetched may be old by them.
fn apply(model: &mut Model, records: Vec<WatchRecord>) -> bool {
    let Model { fleet, screens, size, .. } = model;
    let Some(Screen { place, .. }) = screens.last_mut() else { return false };
    let anew = records.len() >= SORT_ANEW;
    let mut moved = false;
    let mut news = false;
    for record in records {
        let (slot, concerned) = match record {
            WatchRecord::Put { key, object, .. } => {
                let concerned = concerns(place, &object);
                news |= makes_old(place, &object);
                (Some(fleet.put(key, *object)), concerned)
            }
            WatchRecord::Del { key, .. } => {
                let concerned = gone(fleet, &key).is_some_and(|object| concerns(place, object));
                (fleet.del(&key), concerned)
            }
            WatchRecord::Bookmark { .. } => (None, false),
        };
        moved |= concerned;
        if let (Place::Table(table), Some(slot), false) = (&mut *place, slot, anew) {
            table.changed(fleet, slot);
        }
    }
    match place {
        Place::Table(table) => {
            if anew {
                table.rebuild(fleet, size.0);
            }
            table.settle(fleet, geometry::table_lines(*size));
        }
        Place::Application(screen) if moved => {
            screen.tree.rebuild(fleet, &screen.name, geometry::application(*size).tree.height);
        }
        _ => {}
    }
    news
}

fn gone<'a>(fleet: &'a Fleet, key: &Key) -> Option<&'a Object> {
    let slot: Slot = fleet.slot(key)?;
    fleet.object(slot)
}

/// Whether a screen draws the object.
fn concerns(place: &Place, object: &Object) -> bool {
    match place {
        Place::Application(screen) => timeline::concerns(object, &screen.name),
        _ => false,
    }
}

/// Whether what a screen fetched may be old now that an object changed.
fn makes_old(place: &Place, object: &Object) -> bool {
    match (place, object) {
        (Place::History(screen), Object::Application(a)) => {
            let newest = screen.records.all.value.as_ref().and_then(|all| all.first());
            a.name == screen.of && a.last_sync.as_ref().map(|s| (s.id, s.phase)) != newest.map(|s| (s.id, s.phase))
        }
        (Place::Events(screen), Object::Application(a)) => screen.of.as_ref().is_none_or(|of| *of == a.name),
        (Place::Events(screen), Object::Run(r)) => screen.of.as_ref().is_none_or(|of| *of == r.application),
        (Place::Events(screen), Object::Agent(_) | Object::Connection(_)) => screen.of.is_none(),
        (Place::Text(screen), Object::Resource(r)) => {
            r.application == screen.of && screen.subject == Subject::Live(r.resource.clone())
        }
        (Place::Text(screen), Object::Pod(p)) => {
            p.application == screen.of && screen.subject == Subject::Live(open::pod_ref(&p.namespace, &p.name))
        }
        _ => false,
    }
}

fn has_problem(place: &Place) -> bool {
    match place {
        Place::Diff(screen) => screen.document.problem.is_some(),
        Place::Text(screen) => screen.document.problem.is_some(),
        Place::History(screen) => screen.records.all.problem.is_some(),
        Place::Events(screen) => screen.records.all.problem.is_some(),
        Place::Table(_) | Place::Application(_) | Place::Logs(_) | Place::ConsoleLog => false,
    }
}

/// From where a log that ended is followed again because somebody asks for it.
pub(super) fn reopen(model: &mut Model, effects: &mut Vec<Effect>) {
    let number = model.number();
    let screen = model.screen_mut();
    let Place::Logs(log) = &mut screen.place else { return };
    effects.push(Effect::Drop(Ticket::of(screen.id, log.number)));
    let resume = log.reopen(number);
    effects.push(Effect::Follow(Ticket::of(screen.id, number), log.source.clone(), resume));
}
