//! Commands: to the seen screen first; what means nothing of its own there means the same as everywhere. What changes a
//! cluster is asked before it is sent, and shows its plan.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::protocol::{DeliverRequest, SuspendRequest, SyncRequest};

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::Command;
use crate::model::act::Act;
use crate::model::destination::Destination;
use crate::model::subject::Subject;
use crate::model::toast::Said;
use crate::screen::turn::Turn;
use crate::screen::{Place, about};
use crate::update::{answer, go, palette};

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

/// What a command means wherever an application or an environment is selected or shown.
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
    let application = of.application().clone();
    let of = if let Subject::Application(name) = &of { turn.world.fleet.subject(name) } else { of };
    match (command, of) {
        (Command::Build, _) => turn.prompt(Act::Build(application, DeliverRequest::default()), None),
        (Command::Push, _) => turn.prompt(Act::Push(application, DeliverRequest::default()), None),
        (Command::Events | Command::Pods | Command::Runs, of) => {
            turn.opened.extend(about::list(command, of, turn.world));
        }
        (command, Subject::Environment(of)) => of_environment(place, command, of, turn),
        (command, Subject::Application(name)) => palette::ask_which(command, &name, turn),
    }
}

/// What a command means of one environment.
fn of_environment(place: &Place, command: Command, of: EnvironmentId, turn: &mut Turn<'_>) {
    match command {
        Command::Sync => turn.confirm_plan(Act::Sync(of.clone(), SyncRequest::default()), of, None),
        Command::Suspend => suspend(of, turn),
        Command::Unpin => unpin(of, turn),
        Command::Test => turn.confirm(Act::Test(of)),
        Command::Rollback => {
            turn.open(Destination::History(of));
            turn.say("choose the sync to go back to, then R");
        }
        _ => turn.opened.extend(about::place(command, of, place.selected(turn.world))),
    }
}

fn suspend(of: EnvironmentId, turn: &mut Turn<'_>) {
    match turn.world.fleet.environment(&of) {
        Some(environment) if environment.suspended => turn.confirm(Act::Resume(of)),
        _ => turn.prompt(Act::Suspend(of, SuspendRequest::default()), None),
    }
}

fn unpin(of: EnvironmentId, turn: &mut Turn<'_>) {
    match turn.world.fleet.environment(&of) {
        Some(environment) if environment.pin.is_some() => turn.confirm(Act::Unpin(of)),
        _ => turn.say(format!("{} is not pinned: it follows git", turn.world.fleet.label(&of))),
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
            Some(of) => turn.send(Act::Refresh(of.application().clone())),
            None => turn.say("this list is live: it needs no refresh"),
        }
    });
}
