//! Questions: those that need a yes, and those that need words.

use quarterdeck_shared::protocol::{DeliverRequest, RollbackRequest, SuspendRequest, SyncRequest};

use crate::effect::{Effect, Send, Ticket};
use crate::keymap::{Code, Key};
use crate::model::Model;
use crate::model::diff::DiffScreen;
use crate::model::overlay::{About, Action, Overlay};
use crate::model::screen::Place;
use crate::update::{act, go, keys};

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
    if let Some(number) = confirm.plan.and_then(|plan| plan.pending) {
        effects.push(Effect::Drop(Ticket { screen: 0, number }));
    }
    match confirm.action {
        Action::Sync(name) => act::send(model, Send::Sync(name, SyncRequest::default()), effects),
        Action::Rollback { of, to, words, .. } => act::prompt(model, About::Rollback { of, to, words }),
        Action::Resume(name) => act::send(model, Send::Resume(name), effects),
        Action::Unpin(name) => act::send(model, Send::Unpin(name), effects),
        Action::Cancel(run) => act::send(model, Send::Cancel(run), effects),
    }
}

/// Shows the plan as a diff of its own screen, in place of the question.
fn whole_diff(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = model.overlay.take() else { return };
    let (of, revision) = match &confirm.action {
        Action::Sync(name) => (name.clone(), None),
        Action::Rollback { of, commit, .. } => (of.clone(), Some(commit.clone())),
        Action::Resume(_) | Action::Unpin(_) | Action::Cancel(_) => return,
    };
    match confirm.plan {
        Some(plan) if plan.value.is_some() => {
            let mut screen = DiffScreen::asked(of, revision, 0);
            screen.document = plan;
            go::push(model, Place::Diff(Box::new(screen)), effects);
        }
        plan => {
            if let Some(number) = plan.and_then(|plan| plan.pending) {
                effects.push(Effect::Drop(Ticket { screen: 0, number }));
            }
            super::open::diff(model, of, revision, effects);
        }
    }
}

fn close(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Confirm(confirm)) = model.overlay.take()
        && let Some(number) = confirm.plan.and_then(|plan| plan.pending)
    {
        effects.push(Effect::Drop(Ticket { screen: 0, number }));
    }
}

/// A key while words are asked for.
pub(super) fn press_prompt(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Prompt(prompt)) = &mut model.overlay else { return };
    match key.code {
        Code::Esc => model.overlay = None,
        Code::Enter => {
            let words = prompt.input.value().trim().to_owned();
            let about = prompt.about.clone();
            model.overlay = None;
            let reference = (!words.is_empty()).then(|| words.clone());
            let deliver = DeliverRequest { reference, rebuild: false };
            let request = match about {
                About::Suspend(name) => Send::Suspend(name, SuspendRequest { reason: words }),
                About::Build(name) => Send::Build(name, deliver),
                About::Push(name) => Send::Push(name, deliver),
                About::Rollback { of, to, .. } => Send::Rollback(of, RollbackRequest { to: Some(to), reason: words }),
            };
            act::send(model, request, effects);
        }
        _ => drop(keys::edit(&mut prompt.input, key)),
    }
}
