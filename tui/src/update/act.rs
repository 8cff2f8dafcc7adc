//! Commands to the agent: what is asked before they are sent. What changes a cluster shows its plan first.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::Object;
use tui_input::Input;

use crate::effect::{Ask, Effect, Send, Ticket};
use crate::keymap::Command;
use crate::model::Model;
use crate::model::fetched::Fetched;
use crate::model::overlay::{About, Action, Confirm, Overlay, Prompt};
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
        Command::Sync => confirm_plan(model, Action::Sync(name.clone()), Ask::Diff(name, None), effects),
        Command::Rollback => rollback(model, name, effects),
        Command::Build => prompt(model, About::Build(name)),
        Command::Push => prompt(model, About::Push(name)),
        Command::Suspend => suspend(model, name),
        Command::Unpin => unpin(model, name),
        _ => {}
    }
}

/// Sends a command. Its answer is told wherever the reader is by then.
pub(super) fn send(model: &mut Model, send: Send, effects: &mut Vec<Effect>) {
    let ticket = Ticket { screen: 0, number: model.number() };
    effects.push(Effect::Send(ticket, send));
}

/// Asks for a yes, and shows what would be done.
fn confirm_plan(model: &mut Model, action: Action, ask: Ask, effects: &mut Vec<Effect>) {
    let number = model.number();
    let plan = Some(Fetched::asked(number));
    model.overlay = Some(Overlay::Confirm(Confirm { action, number, plan, top: 0 }));
    effects.push(Effect::Ask(Ticket { screen: 0, number }, ask));
}

/// Asks for a yes.
fn confirm(model: &mut Model, action: Action) {
    let number = model.number();
    model.overlay = Some(Overlay::Confirm(Confirm { action, number, plan: None, top: 0 }));
}

/// Asks for words.
pub(super) fn prompt(model: &mut Model, about: About) {
    model.overlay = Some(Overlay::Prompt(Prompt { about, input: Input::default() }));
}

fn rollback(model: &mut Model, of: ApplicationName, effects: &mut Vec<Effect>) {
    let Place::History(screen) = &model.screen().place else {
        open::history(model, of, effects);
        return model.toast(Said::Note, "choose the sync to go back to, then R");
    };
    let Some(sync) = screen.records.current() else {
        return model.toast(Said::Note, "no sync is selected");
    };
    let commit = sync.revision.commit.to_string();
    let words = format!("{} of sync {}", sync.revision.short(), sync.id);
    let action = Action::Rollback { of: of.clone(), to: sync.id.to_string(), commit: commit.clone(), words };
    confirm_plan(model, action, Ask::Diff(of, Some(commit)), effects);
}

fn suspend(model: &mut Model, name: ApplicationName) {
    match model.fleet.application(&name) {
        Some(application) if application.suspended => confirm(model, Action::Resume(name)),
        _ => prompt(model, About::Suspend(name)),
    }
}

fn unpin(model: &mut Model, name: ApplicationName) {
    match model.fleet.application(&name) {
        Some(application) if application.pin.is_some() => confirm(model, Action::Unpin(name)),
        _ => model.toast(Said::Note, format!("{name} is not pinned: it follows git")),
    }
}

fn cancel(model: &mut Model) {
    match open::selected_object(model) {
        Some(Object::Run(run)) if !run.phase.is_final() => {
            let id = run.id;
            confirm(model, Action::Cancel(id));
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
            Some(name) => send(model, Send::Refresh(name), effects),
            None => model.toast(Said::Note, "this list is live: it needs no refresh"),
        },
        Place::ConsoleLog => {}
    }
}
