//! Answers to requests: to the screen that waits for them, or to nobody.

use crate::console::Model;
use crate::effect::{Answer, Asker, Effect, Ticket};
use crate::model::link::Problem;
use crate::model::overlay::{Confirm, Overlay};
use crate::model::toast::Said;
use crate::screen::expected;

/// Takes an answer. One that nobody waits for any more is dropped.
pub(super) fn take(model: &mut Model, ticket: Ticket, answer: Result<Answer, Problem>, effects: &mut Vec<Effect>) {
    match ticket.asker {
        Asker::Screen(id) => of_screen(model, id, ticket.number, answer, effects),
        Asker::Question => of_question(model, ticket.number, answer),
        Asker::Person => of_person(model, answer),
    }
}

fn of_screen(model: &mut Model, id: u64, number: u64, answer: Result<Answer, Problem>, effects: &mut Vec<Effect>) {
    let Some(screen) = model.screens.iter_mut().find(|screen| screen.id == id) else { return };
    let taken = screen.place.answer(number, answer, &model.world);
    let is_wanted = screen.place.wait().is_some_and(|wait| wait.wanted);
    if taken && is_wanted && model.screen().id == id {
        ask_again(model, effects);
    }
}

/// The plan that a question waits for; of one that was answered or taken back meanwhile, nobody waits for it.
fn of_question(model: &mut Model, number: u64, answer: Result<Answer, Problem>) {
    let diff = |answer| if let Answer::Diff(document) = answer { Some(*document) } else { None };
    if let Some(Overlay::Confirm(Confirm { plan: Some(plan), .. })) = &mut model.overlay {
        plan.take(number, answer.map(diff).and_then(expected), model.world.now);
    }
}

/// The answer to a command.
fn of_person(model: &mut Model, answer: Result<Answer, Problem>) {
    match answer {
        Ok(Answer::Accepted(accepted)) => model.toast(Said::Done, accepted.message),
        Ok(_) => {}
        Err(problem) => model.toast_problem(problem),
    }
}

/// Asks once more for what the seen screen shows, where it was fetched.
pub(super) fn ask_again(model: &mut Model, effects: &mut Vec<Effect>) {
    effects.extend(ask(model).map(|(ticket, ask)| Effect::Ask(ticket, ask)));
}

/// Asks once more after a moment: something happened, and more may follow.
pub(super) fn ask_soon(model: &mut Model, effects: &mut Vec<Effect>) {
    effects.extend(ask(model).map(|(ticket, ask)| Effect::AskSoon(ticket, ask)));
}

fn ask(model: &mut Model) -> Option<(Ticket, crate::effect::Ask)> {
    let number = model.number();
    let (screen, _) = model.seen();
    let ask = screen.place.ask()?;
    screen.place.wait()?.ask(number).then_some((Ticket::of(screen.id, number), ask))
}
