//! A key: to what lies over the screen, where something does; else to the command that the key table names.

use tui_input::Input;

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::{self, Code, Command, EVERYWHERE, Key};
use crate::model::overlay::Overlay;
use crate::update::typed::insert;
use crate::update::{act, confirm, go, palette, search};

/// Bytes that one paste gives to an input: a name or a reason, not a file.
const PASTE_BYTES_MAX: usize = 1_024;

pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    // These two mean the same wherever one is: a person must always get out.
    if key.ctrl && key.code == Code::Char('c') {
        return effects.push(Effect::Quit);
    }
    if key.ctrl && key.code == Code::Char('z') {
        return effects.push(Effect::Stop);
    }
    match &model.overlay {
        Some(Overlay::Find(_)) => {
            if let Some(command) = search::press(model, key) {
                run(model, command, effects);
            }
        }
        Some(Overlay::Prompt(_)) => confirm::press_prompt(model, key, effects),
        Some(Overlay::Confirm(_)) => confirm::press(model, key, effects),
        Some(Overlay::Palette(_)) => {
            if let Some(command) = palette::press(model, key, effects) {
                run(model, command, effects);
            }
        }
        Some(Overlay::Help { .. }) => help(model, key, effects),
        None => {
            if let Some(command) = keymap::command(model.place().keys(), key) {
                run(model, command, effects);
            }
        }
    }
}

/// Does what a key or an entry of the palette asks for.
pub(super) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    match command {
        Command::Back => go::back(model, effects),
        Command::Go(root) => go::root(model, root, effects),
        Command::Filter => search::begin(model),
        Command::Palette => palette::begin(model),
        Command::Help => model.overlay = Some(Overlay::Help { top: 0 }),
        Command::Repaint => effects.push(Effect::Repaint),
        Command::Stop => effects.push(Effect::Stop),
        Command::Quit => effects.push(Effect::Quit),
        command => act::run(model, command, effects),
    }
}

pub(super) fn paste(model: &mut Model, text: &str) {
    let mut end = text.len().min(PASTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Pasted text is text: a line break in it sends nothing.
    let text: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let insert_all = |input: &mut Input| text.chars().for_each(|c| insert(input, c));
    match &mut model.overlay {
        Some(Overlay::Find(find)) => {
            insert_all(&mut find.input);
            search::apply(model);
        }
        Some(Overlay::Prompt(prompt)) => insert_all(&mut prompt.input),
        Some(Overlay::Palette(palette)) => {
            insert_all(&mut palette.input);
            palette::refresh(model);
        }
        Some(Overlay::Confirm(_) | Overlay::Help { .. }) | None => {}
    }
}

fn help(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let bindings = model.place().keys().len() + EVERYWHERE.len();
    let Some(Overlay::Help { top }) = &mut model.overlay else { return };
    let page = usize::from(model.world.size.1 / 2).max(1);
    let moved = match keymap::command(&[], key) {
        Some(Command::Up) => top.saturating_sub(1),
        Some(Command::Down) => *top + 1,
        Some(Command::HalfUp | Command::PageUp) => top.saturating_sub(page),
        Some(Command::HalfDown | Command::PageDown) => *top + page,
        Some(Command::Top) => 0,
        Some(Command::Quit) => return effects.push(Effect::Quit),
        _ => return model.overlay = None,
    };
    // The view shows fewer where fewer are below; this only keeps the way back short.
    *top = moved.min(bindings);
}
