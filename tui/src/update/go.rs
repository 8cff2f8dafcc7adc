//! Going from screen to screen.

use quarterdeck_shared::application::ApplicationName;

use crate::effect::{Ask, Effect, Ticket};
use crate::keymap::Root;
use crate::model::Model;
use crate::model::log::{LogScreen, Resume, Source};
use crate::model::records::Records;
use crate::model::screen::{ApplicationScreen, EventsScreen, Place, Screen};
use crate::model::table::{Listing, Table};
use crate::model::toast::Said;
use crate::model::tree::Tree;
use crate::update::{answer, search, settle};

/// Screens one over the other: a person who goes ever deeper comes back through the last so many.
const SCREENS_MAX: usize = 24;

/// Puts a screen on top; its number comes back.
pub(super) fn push(model: &mut Model, place: Place, effects: &mut Vec<Effect>) -> u64 {
    let id = model.number();
    model.screens.push(Screen { id, place });
    if model.screens.len() > SCREENS_MAX {
        let forgotten = model.screens.remove(1);
        leave(&forgotten, effects);
    }
    settle::rebuild(model);
    id
}

/// Puts a screen on top that asks for what it shows.
pub(super) fn push_asking(model: &mut Model, number: u64, ask: Ask, place: Place, effects: &mut Vec<Effect>) {
    let screen = push(model, place, effects);
    effects.push(Effect::Ask(Ticket::of(screen, number), ask));
}

/// Puts a log on top.
pub(super) fn push_log(model: &mut Model, source: Source, effects: &mut Vec<Effect>) {
    let number = model.number();
    let log = LogScreen::new(source.clone(), number);
    let screen = push(model, Place::Logs(Box::new(log)), effects);
    effects.push(Effect::Follow(Ticket::of(screen, number), source, Resume::Fresh));
}

/// Puts the screen of an application on top.
pub(super) fn push_application(model: &mut Model, name: ApplicationName, effects: &mut Vec<Effect>) {
    push(model, Place::Application(ApplicationScreen { name, tree: Tree::default() }), effects);
}

/// Takes an error away that is read, clears the filter, or goes back to where one came from: the nearest of them.
pub(super) fn back(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.toasts.iter().any(|toast| toast.said == Said::Problem) {
        return model.toasts.clear();
    }
    if model.screen().place.find().is_some_and(|find| !find.is_empty()) {
        return search::set(model, "");
    }
    if model.screens.len() > 1
        && let Some(screen) = model.screens.pop()
    {
        leave(&screen, effects);
        settle::rebuild(model);
    }
}

/// Goes to a top view, which is as it was left.
pub(super) fn root(model: &mut Model, root: Root, effects: &mut Vec<Effect>) {
    for screen in model.screens.drain(1..).rev() {
        leave(&screen, effects);
    }
    if root_of(&model.screen().place) != Some(root) {
        if let Some(screen) = model.screens.pop() {
            match root_of(&screen.place) {
                Some(of) => drop(model.shelf.insert(of, screen)),
                None => leave(&screen, effects),
            }
        }
        match model.shelf.remove(&root) {
            Some(screen) => {
                model.screens.push(screen);
                answer::ask_again(model, effects);
            }
            None => push_root(model, root, effects),
        }
    }
    settle::rebuild(model);
}

fn push_root(model: &mut Model, root: Root, effects: &mut Vec<Effect>) {
    let table = |listing| Place::Table(Table::new(listing));
    let place = match root {
        Root::Applications => table(Listing::Applications),
        Root::Pipelines => table(Listing::Runs(None)),
        Root::Pods => table(Listing::Pods(None)),
        Root::System => table(Listing::System),
        Root::ConsoleLog => Place::ConsoleLog,
        Root::Events => {
            let number = model.number();
            let place = Place::Events(EventsScreen { of: None, records: Records::asked(number) });
            return push_asking(model, number, Ask::Events(None, None), place, effects);
        }
        Root::AgentLog => return push_log(model, Source::Agent, effects),
    };
    push(model, place, effects);
}

fn root_of(place: &Place) -> Option<Root> {
    match place {
        Place::Table(table) => match &table.listing {
            Listing::Applications => Some(Root::Applications),
            Listing::Runs(None) => Some(Root::Pipelines),
            Listing::Pods(None) => Some(Root::Pods),
            Listing::System => Some(Root::System),
            Listing::Pods(Some(_)) | Listing::Runs(Some(_)) => None,
        },
        Place::Events(screen) if screen.of.is_none() => Some(Root::Events),
        Place::Logs(log) if log.source == Source::Agent => Some(Root::AgentLog),
        Place::ConsoleLog => Some(Root::ConsoleLog),
        _ => None,
    }
}

/// Ends what was asked for by a screen that is left for good.
fn leave(screen: &Screen, effects: &mut Vec<Effect>) {
    let number = match &screen.place {
        Place::Logs(log) => Some(log.number),
        Place::Events(screen) => screen.records.all.pending,
        Place::History(screen) => screen.records.all.pending,
        Place::Diff(screen) => screen.document.pending,
        Place::Text(screen) => screen.document.pending,
        Place::Table(_) | Place::Application(_) | Place::ConsoleLog => None,
    };
    effects.extend(number.map(|number| Effect::Drop(Ticket::of(screen.id, number))));
}
