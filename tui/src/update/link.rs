//! What is heard of the agent: the state, what changes in it, silence.

use quarterdeck_shared::protocol::WatchRecord;

use crate::console::Model;
use crate::effect::{Effect, Ticket};
use crate::message::LinkMessage;
use crate::model::link::LinkState;
use crate::model::store::Store;
use crate::update::{answer, go};

/// Changes in one batch from which on a table is sorted anew, rather than each row put at its place.
const SORT_ANEW: usize = 256;

pub(super) fn hear(model: &mut Model, message: LinkMessage, effects: &mut Vec<Effect>) {
    match message {
        LinkMessage::Hello(role) => model.world.role = Some(role),
        LinkMessage::State(state) => {
            model.world.fleet = Store::load(state.objects);
            go::rebuild(model);
            alive(model, effects);
        }
        LinkMessage::Records(records) => {
            let is_old = apply(model, records);
            alive(model, effects);
            if is_old {
                answer::ask_soon(model, effects);
            }
        }
        LinkMessage::Lost { attempts, problem } => model.world.link.state = LinkState::Lost { attempts, problem },
        LinkMessage::Incompatible(problem) => model.world.link.state = LinkState::Incompatible { problem },
    }
}

/// The agent is there. What broke off with it is taken up again.
fn alive(model: &mut Model, effects: &mut Vec<Effect>) {
    let was_live = model.world.link.is_live();
    model.world.link.heard = model.world.now;
    model.world.link.loaded = true;
    model.world.link.state = LinkState::Live;
    if was_live {
        return;
    }
    let Model { screens, shelf, numbers, .. } = model;
    for screen in screens.iter_mut().chain(shelf.values_mut()) {
        if let Some(log) = screen.place.log().filter(|log| log.wants_reopening()) {
            *numbers += 1;
            let resume = log.reopen(*numbers);
            effects.push(Effect::Follow(Ticket::of(screen.id, log.number), log.source.clone(), resume));
        }
    }
    let (screen, _) = model.seen();
    if screen.place.wait().is_some_and(|wait| wait.problem.is_some()) {
        answer::ask_again(model, effects);
    }
}

/// Puts changes into the fleet and the seen screen; whether what the screen fetched may be old by them.
fn apply(model: &mut Model, records: Vec<WatchRecord>) -> bool {
    let Model { world, screens, .. } = model;
    let Some(screen) = screens.last_mut() else { return false };
    let place = &mut screen.place;
    let many = records.len() >= SORT_ANEW;
    let (mut is_drawn, mut is_old) = (false, false);
    for record in records {
        let slot = match record {
            WatchRecord::Put { key, object, .. } => {
                is_drawn |= place.draws(&object);
                is_old |= place.is_old_by(&object);
                Some(world.fleet.put(key, *object))
            }
            WatchRecord::Del { key, .. } => {
                let object = world.fleet.slot(&key).and_then(|slot| world.fleet.object(slot));
                is_drawn |= object.is_some_and(|object| place.draws(object));
                world.fleet.del(&key)
            }
            WatchRecord::Bookmark { .. } => None,
        };
        if let Some(slot) = slot.filter(|_| !many) {
            place.changed(slot, world);
        }
    }
    if is_drawn {
        place.changes_done(world, many);
    }
    is_old
}
