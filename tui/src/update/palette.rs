//! The palette: commands, places, applications and environments by a few letters of their names.

mod entries;

use quarterdeck_shared::application::ApplicationName;
use tui_input::Input;

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::{Code, Command, Key};
use crate::model::overlay::{Overlay, PALETTE_LINES, Palette, Target};
use crate::model::subject::Subject;
use crate::model::table::Table;
use crate::model::viewport;
use crate::screen::environment::Environment;
use crate::screen::runs::Runs;
use crate::screen::turn::Turn;
use crate::update::palette::entries::{entries, named_commands, of_named};
use crate::update::{go, keys};

/// Opens it.
pub(super) fn begin(model: &mut Model) {
    let palette = Palette { input: Input::default(), entries: Vec::new(), cursor: 0, top: 0 };
    model.overlay = Some(Overlay::Palette(palette));
    refresh(model);
}

/// Opens it with a command that is for one environment, for an application that has several: which one is to be chosen.
pub(super) fn ask_which(command: Command, name: &ApplicationName, turn: &mut Turn<'_>) {
    let Some(binding) = named_commands().find(|binding| binding.command == command) else { return };
    let typed = format!("{} {name}/", binding.word);
    let Some(entries) = of_named(turn.world, &typed).filter(|entries| !entries.is_empty()) else {
        return turn.say(format!("{name} has no environments"));
    };
    *turn.overlay = Some(Overlay::Palette(Palette { input: Input::new(typed), entries, cursor: 0, top: 0 }));
}

/// A key while it is open.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Palette(palette)) = &mut model.overlay else { return };
    let last = palette.entries.len().saturating_sub(1);
    match (key.code, key.ctrl) {
        (Code::Esc, _) => return model.overlay = None,
        (Code::Backspace, false) if palette.input.value().is_empty() => return model.overlay = None,
        (Code::Enter, _) => return choose(model, effects),
        (Code::Down, _) | (Code::Tab, _) | (Code::Char('n'), true) => palette.cursor = (palette.cursor + 1).min(last),
        (Code::Up, _) | (Code::BackTab, _) | (Code::Char('p'), true) => {
            palette.cursor = palette.cursor.saturating_sub(1);
        }
        (Code::PageDown, _) => palette.cursor = (palette.cursor + usize::from(PALETTE_LINES)).min(last),
        (Code::PageUp, _) => palette.cursor = palette.cursor.saturating_sub(usize::from(PALETTE_LINES)),
        _ => {
            if keys::edit(&mut palette.input, key) {
                refresh(model);
            }
            return;
        }
    }
    palette.top = viewport::top(palette.top, palette.cursor, palette.entries.len(), PALETTE_LINES, |_| 1);
}

/// Finds anew what matches.
pub(super) fn refresh(model: &mut Model) {
    let Some(Overlay::Palette(palette)) = &model.overlay else { return };
    let entries = entries(model, palette.input.value());
    if let Some(Overlay::Palette(palette)) = &mut model.overlay {
        (palette.entries, palette.cursor, palette.top) = (entries, 0, 0);
    }
}

fn choose(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Palette(palette)) = model.overlay.take() else { return };
    let Some(entry) = palette.entries.into_iter().nth(palette.cursor) else { return };
    match entry.target {
        Target::Command(command) => keys::run(model, command, effects),
        Target::Open(id) => go::push(model, Environment::new(id).into(), effects),
        Target::Of(command, Subject::Environment(id)) => {
            go::push(model, Environment::new(id).into(), effects);
            keys::run(model, command, effects);
        }
        Target::Of(command, of @ Subject::Application(_)) => {
            go::push(model, Table::new(Runs { of: Some(of) }).into(), effects);
            keys::run(model, command, effects);
        }
    }
}
