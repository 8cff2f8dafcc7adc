//! The palette: commands, places, applications and environments by a few letters of their names.

mod entries;

use quarterdeck_shared::application::ApplicationName;
use tui_input::Input;

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::{Code, Command, Key};
use crate::model::destination::Destination;
use crate::model::overlay::{Overlay, PALETTE_LINES, Palette, Target};
use crate::model::subject::Subject;
use crate::model::viewport;
use crate::screen::turn::Turn;
use crate::update::palette::entries::{entries, named_commands, of_named};
use crate::update::{go, typed};

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

/// A key while it is open, and the command that was chosen by it.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) -> Option<Command> {
    let Some(Overlay::Palette(palette)) = &mut model.overlay else { return None };
    let is_left =
        key.code == Code::Esc || (key.code == Code::Backspace && !key.ctrl && palette.input.value().is_empty());
    if is_left {
        model.overlay = None;
        return None;
    }
    let last = palette.entries.len().saturating_sub(1);
    match (key.code, key.ctrl) {
        (Code::Enter, _) => return choose(model, effects),
        (Code::Down, _) | (Code::Tab, _) | (Code::Char('n'), true) => palette.cursor = (palette.cursor + 1).min(last),
        (Code::Up, _) | (Code::BackTab, _) | (Code::Char('p'), true) => {
            palette.cursor = palette.cursor.saturating_sub(1);
        }
        (Code::PageDown, _) => palette.cursor = (palette.cursor + usize::from(PALETTE_LINES)).min(last),
        (Code::PageUp, _) => palette.cursor = palette.cursor.saturating_sub(usize::from(PALETTE_LINES)),
        _ => {
            if typed::edit(&mut palette.input, key) {
                refresh(model);
            }
            return None;
        }
    }
    palette.top = viewport::top(palette.top, palette.cursor, palette.entries.len(), PALETTE_LINES, |_| 1);
    None
}

/// Finds anew what matches.
pub(super) fn refresh(model: &mut Model) {
    let Some(Overlay::Palette(palette)) = &model.overlay else { return };
    let entries = entries(model, palette.input.value());
    if let Some(Overlay::Palette(palette)) = &mut model.overlay {
        (palette.entries, palette.cursor, palette.top) = (entries, 0, 0);
    }
}

/// Goes where the chosen entry is about, and says what is to be done there.
fn choose(model: &mut Model, effects: &mut Vec<Effect>) -> Option<Command> {
    let Some(Overlay::Palette(palette)) = model.overlay.take() else { return None };
    let (destination, command) = match palette.entries.into_iter().nth(palette.cursor)?.target {
        Target::Command(command) => return Some(command),
        Target::Open(id) => (Destination::Environment(id), None),
        Target::Of(command, Subject::Environment(id)) => (Destination::Environment(id), Some(command)),
        Target::Of(command, of @ Subject::Application(_)) => (Destination::Runs(of), Some(command)),
    };
    go::push(model, destination.into(), effects);
    command
}
