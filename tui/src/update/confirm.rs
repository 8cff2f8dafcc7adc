//! Questions: those that need a yes, and those that need words.

use crate::console::Model;
use crate::effect::{Effect, Ticket};
use crate::keymap::{Code, Key};
use crate::model::act::Act;
use crate::model::diff::{DiffDocument, DiffScreen};
use crate::model::fetched::Fetched;
use crate::model::overlay::Overlay;
use crate::update::{go, typed};

/// Lines that one key press scrolls a plan.
const PLAN_PAGE: usize = 8;

/// A key while a yes is asked for. Only `y` is a yes.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = &mut model.overlay else { return };
    let lines = confirm.plan.as_ref().and_then(|plan| plan.value.as_ref()).map_or(0, |d| d.plan.changes.len());
    match key.code {
        Code::Down | Code::Char('j') => confirm.top = (confirm.top + 1).min(lines),
        Code::Up | Code::Char('k') => confirm.top = confirm.top.saturating_sub(1),
        Code::PageDown => confirm.top = (confirm.top + PLAN_PAGE).min(lines),
        Code::PageUp => confirm.top = confirm.top.saturating_sub(PLAN_PAGE),
        Code::Char('y' | 'Y') if !key.ctrl && !key.alt => agreed(model, effects),
        Code::Char('d') if !key.ctrl && confirm.plan.is_some() => whole_diff(model, effects),
        _ => close(model, effects),
    }
}

fn agreed(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = model.overlay.take() else { return };
    forget(confirm.plan.as_ref(), effects);
    go::turn(model, effects, |_, turn| match confirm.act {
        act @ Act::Rollback(..) => turn.prompt(act, confirm.aim),
        act => turn.send(act),
    });
}

/// Shows the plan as a diff of its own screen, in place of the question.
fn whole_diff(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = model.overlay.take() else { return };
    let (Act::Sync(of, _) | Act::Rollback(of, _)) = confirm.act else { return };
    let mut screen = DiffScreen::new(of, confirm.aim.map(|aim| aim.commit));
    match confirm.plan {
        Some(plan) if plan.value.is_some() => screen.document = plan,
        plan => forget(plan.as_ref(), effects),
    }
    go::push(model, screen.into(), effects);
}

fn close(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Confirm(confirm)) = model.overlay.take() {
        forget(confirm.plan.as_ref(), effects);
    }
}

/// Ends the request for a plan that nobody waits for any more.
fn forget(plan: Option<&Fetched<DiffDocument>>, effects: &mut Vec<Effect>) {
    let pending = plan.and_then(|plan| plan.wait.pending);
    effects.extend(pending.map(|number| Effect::Drop(Ticket::of_question(number))));
}

/// A key while words are asked for.
pub(super) fn press_prompt(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Prompt(prompt)) = &mut model.overlay else { return };
    match key.code {
        Code::Esc => model.overlay = None,
        Code::Enter => {
            let act = prompt.act.clone().with_text(prompt.input.value().trim());
            model.overlay = None;
            go::turn(model, effects, |_, turn| turn.send(act));
        }
        _ => drop(typed::edit(&mut prompt.input, key)),
    }
}
