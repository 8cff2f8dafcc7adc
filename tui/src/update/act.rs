//! Commands to the agent: what is asked before they are sent. What changes a cluster shows its plan first.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::{DeliverRequest, RollbackRequest, SuspendRequest, SyncRequest};
use quarterdeck_shared::snapshot::Object;
use tui_input::Input;

use crate::effect::{Ask, Asker, Effect, Ticket};
use crate::keymap::Command;
use crate::model::Model;
use crate::model::act::Act;
use crate::model::fetched::Fetched;
use crate::model::overlay::{Aim, Confirm, Overlay, Prompt};
use crate::model::screen::Place;
use crate::model::toast::Said;
use crate::update::{answer, link, open};

pub(super) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    match command {
        Command::Refresh => return refresh(model, effects),
        Command::Cancel => return cancel(model),
        _ => {}
    }
    let Some(name) = open::subject(model) else {
        return model.toast(Said::Note, "no application is selected here");
    };
    match command {
        Command::Sync => confirm_plan(model, Act::Sync(name.clone(), SyncRequest::default()), name, None, effects),
        Command::Rollback => rollback(model, name, effects),
        Command::Build => prompt(model, Act::Build(name, DeliverRequest::default()), None),
        Command::Push => prompt(model, Act::Push(name, DeliverRequest::default()), None),
        Command::Suspend => suspend(model, name),
        Command::Unpin => unpin(model, name),
        _ => {}
    }
}

/// Sends a command. Its answer is told wherever the reader is by then.
pub(super) fn send(model: &mut Model, act: Act, effects: &mut Vec<Effect>) {
    let ticket = Ticket { asker: Asker::Person, number: model.number() };
    effects.push(Effect::Send(ticket, act));
}

/// Asks for a yes, and shows what would be done.
fn confirm_plan(model: &mut Model, act: Act, of: ApplicationName, aim: Option<Aim>, effects: &mut Vec<Effect>) {
    let number = model.number();
    let ask = Ask::Diff(of, aim.as_ref().map(|aim| aim.commit.clone()));
    effects.push(Effect::Ask(Ticket::of_question(number), ask));
    model.overlay = Some(Overlay::Confirm(Confirm { act, aim, plan: Some(Fetched::asked(number)), top: 0 }));
}

/// Asks for a yes.
fn confirm(model: &mut Model, act: Act) {
    model.overlay = Some(Overlay::Confirm(Confirm { act, aim: None, plan: None, top: 0 }));
}

/// Asks for words.
pub(super) fn prompt(model: &mut Model, act: Act, aim: Option<Aim>) {
    model.overlay = Some(Overlay::Prompt(Prompt { act, aim, input: Input::default() }));
}

fn rollback(model: &mut Model, of: ApplicationName, effects: &mut Vec<Effect>) {
    let Place::History(screen) = &model.screen().place else {
        open::history(model, of, effects);
        return model.toast(Said::Note, "choose the sync to go back to, then R");
    };
    let Some(sync) = screen.records.current() else {
        return model.toast(Said::Note, "no sync is selected");
    };
    let words = format!("{} of sync {}", sync.revision.short(), sync.id);
    let aim = Aim { commit: sync.revision.commit.to_string(), words };
    let request = RollbackRequest { to: Some(sync.id.to_string()), reason: String::new() };
    confirm_plan(model, Act::Rollback(of.clone(), request), of, Some(aim), effects);
}

fn suspend(model: &mut Model, name: ApplicationName) {
    match model.fleet.application(&name) {
        Some(application) if application.suspended => confirm(model, Act::Resume(name)),
        _ => prompt(model, Act::Suspend(name, SuspendRequest::default()), None),
    }
}

fn unpin(model: &mut Model, name: ApplicationName) {
    match model.fleet.application(&name) {
        Some(application) if application.pin.is_some() => confirm(model, Act::Unpin(name)),
        _ => model.toast(Said::Note, format!("{name} is not pinned: it follows git")),
    }
}

fn cancel(model: &mut Model) {
    match open::selected_object(model) {
        Some(Object::Run(run)) if !run.phase.is_final() => {
            let id = run.id;
            confirm(model, Act::Cancel(id));
        }
        Some(Object::Run(run)) => {
            let said = format!("run {} has ended", run.id);
            model.toast(Said::Note, said);
        }
        _ => model.toast(Said::Note, "no run is selected"),
    }
}

/// Makes what is seen as new as it can be: asks the agent to poll, this screen to be fetched again, a log to be taken up.
fn refresh(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.link.is_live() {
        effects.push(Effect::Reconnect);
        return model.toast(Said::Note, "trying to reach the agent");
    }
    match &model.screen().place {
        Place::Diff(_) | Place::Text(_) | Place::Events(_) | Place::History(_) => answer::ask_again(model, effects),
        Place::Logs(_) => link::reopen(model, effects),
        Place::Table(_) | Place::Application(_) => match open::subject(model) {
            Some(name) => send(model, Act::Refresh(name), effects),
            None => model.toast(Said::Note, "this list is live: it needs no refresh"),
        },
        Place::ConsoleLog => {}
    }
}
