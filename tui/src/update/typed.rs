//! A line that is typed into.

use tui_input::{Input, InputRequest};

use crate::keymap::{Code, Key};

/// Bytes of an input: more than anybody types as a reason, less than slows the console down.
const INPUT_BYTES_MAX: usize = 2_000;

/// Edits a line of input as readline does; false where the key is none of editing.
pub(super) fn edit(input: &mut Input, key: Key) -> bool {
    use InputRequest::*;
    let request = match (key.code, key.ctrl, key.alt) {
        (Code::Char(c), false, false) => {
            insert(input, c);
            return true;
        }
        (Code::Backspace, false, false) | (Code::Char('h'), true, false) => DeletePrevChar,
        (Code::Delete, ..) | (Code::Char('d'), true, false) => DeleteNextChar,
        (Code::Left, false, false) | (Code::Char('b'), true, false) => GoToPrevChar,
        (Code::Right, false, false) | (Code::Char('f'), true, false) => GoToNextChar,
        (Code::Left, ..) | (Code::Char('b'), false, true) => GoToPrevWord,
        (Code::Right, ..) | (Code::Char('f'), false, true) => GoToNextWord,
        (Code::Home, ..) | (Code::Char('a'), true, false) => GoToStart,
        (Code::End, ..) | (Code::Char('e'), true, false) => GoToEnd,
        (Code::Char('w'), true, false) | (Code::Backspace, ..) => DeletePrevWord,
        (Code::Char('u'), true, false) => DeleteLine,
        (Code::Char('k'), true, false) => DeleteTillEnd,
        (Code::Char('y'), true, false) => Yank,
        _ => return false,
    };
    input.handle(request);
    true
}

/// Types a character, where there is room and it is one that is seen.
pub(super) fn insert(input: &mut Input, c: char) {
    if input.value().len() < INPUT_BYTES_MAX && !c.is_control() {
        input.handle(InputRequest::InsertChar(c));
    }
}
