//! Commands: to the seen screen first; what means nothing of its own there means the same as everywhere. What changes a
//! cluster is asked before it is sent, and shows its plan.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::protocol::{DeliverRequest, SuspendRequest, SyncRequest};

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::Command;
use crate::model::act::Act;
use crate::model::toast::Said;
use crate::screen::history::History;
use crate::screen::turn::Turn;
use crate::screen::{Place, about};
use crate::update::{answer, go};

/// Does what a key asks for on the seen screen.
pub(super) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    if command == Command::Refresh {
        return refresh(model, effects);
    }
    go::turn(model, effects, |place, turn| {
        if !place.press(command, turn) {
            everywhere(place, command, turn);
        }
    });
}

/// What a command means wherever an application is selected or shown.
fn everywhere(place: &Place, command: Command, turn: &mut Turn<'_>) {
    let is_move = matches!(
        command,
        Command::Up
            | Command::Down
            | Command::HalfUp
            | Command::HalfDown
            | Command::PageUp
            | Command::PageDown
            | Command::Top
            | Command::Bottom
            | Command::Left
            | Command::Right
    );
    if is_move {
        return;
    }
    let Some(of) = place.subject(turn.world) else {
        return turn.say("no application is selected here");
    };
    match command {
        Command::Build => turn.prompt(Act::Build(of.application, DeliverRequest::default()), None),
        Command::Push => turn.prompt(Act::Push(of.application, DeliverRequest::default()), None),
        Command::Sync | Command::Suspend | Command::Unpin | Command::Rollback => match turn.world.fleet.meant(&of) {
            Ok(id) => of_one(command, id, turn),
            Err(why) => turn.say(why),
        },
        _ => about::open(command, &of, place.selected(turn.world), turn),
    }
}

/// What a command means for an environment.
fn of_one(command: Command, id: EnvironmentId, turn: &mut Turn<'_>) {
    match command {
        Command::Sync => turn.confirm_plan(Act::Sync(id.clone(), SyncRequest::default()), id, None),
        Command::Suspend => suspend(id, turn),
        Command::Unpin => unpin(id, turn),
        _ => {
            turn.open(History::new(id));
            turn.say("choose the sync to go back to, then R");
        }
    }
}

fn suspend(name: EnvironmentId, turn: &mut Turn<'_>) {
    match turn.world.fleet.environment(&name) {
        Some(environment) if environment.suspended => turn.confirm(Act::Resume(name)),
        _ => turn.prompt(Act::Suspend(name, SuspendRequest::default()), None),
    }
}

fn unpin(name: EnvironmentId, turn: &mut Turn<'_>) {
    match turn.world.fleet.environment(&name) {
        Some(environment) if environment.pin.is_some() => turn.confirm(Act::Unpin(name)),
        _ => turn.say(format!("{name} is not pinned: it follows git")),
    }
}

/// Makes what is seen as new as it can be: asks the agent to poll, this screen to be fetched again, a log to be taken up.
fn refresh(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.world.link.is_live() {
        effects.push(Effect::Reconnect);
        return model.toast(Said::Note, "trying to reach the agent");
    }
    if model.place().ask().is_some() {
        return answer::ask_again(model, effects);
    }
    go::turn(model, effects, |place, turn| {
        if place.press(Command::Refresh, turn) {
            return;
        }
        match place.subject(turn.world) {
            Some(of) => turn.send(Act::Refresh(of.application)),
            None => turn.say("this list is live: it needs no refresh"),
        }
    });
}
