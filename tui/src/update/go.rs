//! Going from screen to screen.

use crate::console::Model;
use crate::effect::{Effect, Ticket};
use crate::keymap::Root;
use crate::model::toast::Said;
use crate::screen::turn::Turn;
use crate::screen::{Find, Opened, Place};
use crate::update::{answer, search};

/// Screens one over the other: a person who goes ever deeper comes back through the last so many.
const SCREENS_MAX: usize = 24;

/// Gives the seen screen its turn, and puts what it opens on top.
pub(super) fn turn<T>(
    model: &mut Model,
    effects: &mut Vec<Effect>,
    act: impl FnOnce(&mut Place, &mut Turn<'_>) -> T,
) -> T {
    let (done, opened) = model.turn(effects, act);
    opened.into_iter().for_each(|destination| push(model, destination.into(), effects));
    done
}

/// Puts a screen on top, which asks for what it shows.
pub(super) fn push(model: &mut Model, place: Place, effects: &mut Vec<Effect>) {
    let (id, number) = (model.number(), model.number());
    let mut screen = Opened { id, place };
    begin(&mut screen, number, effects);
    model.screens.push(screen);
    if model.screens.len() > SCREENS_MAX {
        let forgotten = model.screens.remove(1);
        leave(forgotten, effects);
    }
    rebuild(model);
}

/// Asks for what a screen shows, where it is not there, or follows its log.
fn begin(screen: &mut Opened, number: u64, effects: &mut Vec<Effect>) {
    let ticket = Ticket::of(screen.id, number);
    if let Some(log) = screen.place.log() {
        let resume = log.reopen(number);
        effects.push(Effect::Follow(ticket, log.source.clone(), resume));
    } else if let Some(ask) = screen.place.ask()
        && screen.place.wait().is_some_and(|wait| wait.wanted && wait.ask(number))
    {
        effects.push(Effect::Ask(ticket, ask));
    }
}

/// Derives all that the seen screen shows anew: it came on top, the terminal was resized, the state was loaded.
pub(super) fn rebuild(model: &mut Model) {
    let (screen, world) = model.seen();
    screen.place.rebuild(world);
}

/// Takes an error away that is read, clears the filter, or goes back to where one came from: the nearest of them.
pub(super) fn back(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.toasts.iter().any(|toast| toast.said == Said::Problem) {
        return model.toasts.clear();
    }
    if !model.place().find().map_or("", Find::text).is_empty() {
        return search::set(model, "");
    }
    if model.screens.len() > 1
        && let Some(screen) = model.screens.pop()
    {
        leave(screen, effects);
        rebuild(model);
    }
}

/// Goes to a top view, which is as it was left.
pub(super) fn root(model: &mut Model, root: Root, effects: &mut Vec<Effect>) {
    for screen in model.screens.drain(1..).rev() {
        leave(screen, effects);
    }
    if model.place().root() != Some(root) {
        if let Some(screen) = model.screens.pop() {
            match screen.place.root() {
                Some(of) => drop(model.shelf.insert(of, screen)),
                None => leave(screen, effects),
            }
        }
        match model.shelf.remove(&root) {
            Some(screen) => {
                model.screens.push(screen);
                answer::ask_again(model, effects);
            }
            None => push(model, Place::top(root), effects),
        }
    }
    rebuild(model);
}

/// Ends what was asked for by a screen that is left for good.
fn leave(mut screen: Opened, effects: &mut Vec<Effect>) {
    let followed = screen.place.log().map(|log| log.number);
    let number = followed.or_else(|| screen.place.wait().and_then(|wait| wait.pending));
    effects.extend(number.map(|number| Effect::Drop(Ticket::of(screen.id, number))));
}
