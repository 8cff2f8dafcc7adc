//! What comes from the terminal: keys, pasted text, new sizes.

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::keymap::{Code, Key};

/// Something that came from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// Pasted text.
    Paste(String),
    /// The terminal has another size.
    Resize,
    /// The terminal is gone.
    Gone,
}

/// Reads until something comes. It blocks, so it has a thread of its own.
pub fn read() -> Input {
    loop {
        match event::read() {
            Ok(Event::Key(event)) => {
                if let Some(key) = key(event) {
                    return Input::Key(key);
                }
            }
            Ok(Event::Paste(text)) => return Input::Paste(text),
            Ok(Event::Resize(..)) => return Input::Resize,
            Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_)) => {}
            Err(_) => return Input::Gone,
        }
    }
}

fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let code = match event.code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        _ => return None,
    };
    let held = |modifier| event.modifiers.contains(modifier);
    Some(Key { code, ctrl: held(KeyModifiers::CONTROL), alt: held(KeyModifiers::ALT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_translated() {
        let name = |code, modifiers| key(KeyEvent::new(code, modifiers)).map(|key| key.to_string());
        assert_eq!(name(KeyCode::Char('S'), KeyModifiers::SHIFT), Some("S".to_owned()));
        assert_eq!(name(KeyCode::Char('d'), KeyModifiers::CONTROL), Some("ctrl-d".to_owned()));
        assert_eq!(name(KeyCode::PageDown, KeyModifiers::NONE), Some("pagedown".to_owned()));
        assert_eq!(name(KeyCode::F(5), KeyModifiers::NONE), None);
    }
}
