//! Filters of lists and searches of texts: typed in the footer, applied while they are typed.
//!
//! Lists are filtered, for neighbours do not matter there; texts are searched, for there they do.

use tui_input::Input;

use crate::console::Model;
use crate::keymap::{Code, Command, Key};
use crate::model::overlay::{self, Overlay};
use crate::update::typed;

/// Begins to type.
pub(super) fn begin(model: &mut Model) {
    if let Some(find) = model.place().find() {
        let before = find.text().to_owned();
        model.overlay = Some(Overlay::Find(overlay::Find { input: Input::new(before.clone()), before }));
    }
}

/// A key while it is typed, and the command that it is of the list below.
pub(super) fn press(model: &mut Model, key: Key) -> Option<Command> {
    let Some(Overlay::Find(find)) = &mut model.overlay else { return None };
    match key.code {
        Code::Esc => {
            let before = std::mem::take(&mut find.before);
            model.overlay = None;
            set(model, &before);
        }
        Code::Enter => model.overlay = None,
        // Rows can be chosen while the filter is typed.
        Code::Up => return Some(Command::Up),
        Code::Down => return Some(Command::Down),
        Code::Backspace if find.input.value().is_empty() => model.overlay = None,
        _ => {
            if typed::edit(&mut find.input, key) {
                apply(model);
            }
        }
    }
    None
}

/// Applies what is typed.
pub(super) fn apply(model: &mut Model) {
    if let Some(Overlay::Find(find)) = &model.overlay {
        let words = find.input.value().to_owned();
        set(model, &words);
    }
}

/// Sets filter or search of the seen screen.
pub(super) fn set(model: &mut Model, words: &str) {
    let (screen, world) = model.seen();
    screen.place.set_find(words, world);
}
