//! What ratatui draws on: a frame is gathered in memory, and sent as one write within one synchronized update (DEC
//! private mode 2026), so that nobody sees half of it; an empty frame is not sent at all.
//!
//! It never asks the terminal anything: an answer would come among the keys, or not at all.

use std::io::{self, Write};

use crossterm::queue;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
pub(super) const END_UPDATE: &[u8] = b"\x1b[?2026l";

/// A frame of a large terminal with many colours; more is possible, and then memory is asked for once more.
const FRAME_BYTES: usize = 64 * 1024;

/// Gathers frames.
#[derive(Debug)]
pub(super) struct FrameBackend {
    inner: CrosstermBackend<Vec<u8>>,
    /// Where the cursor is seen; hidden where none.
    cursor: Option<Position>,
    /// Whether cells were drawn since the cursor was put where it is.
    moved: bool,
}

impl Default for FrameBackend {
    fn default() -> Self {
        Self { inner: CrosstermBackend::new(Vec::with_capacity(FRAME_BYTES)), cursor: None, moved: false }
    }
}

impl FrameBackend {
    /// Sends what was gathered; how many bytes that were comes back.
    pub(super) fn send(&mut self) -> io::Result<usize> {
        let frame = self.inner.writer_mut();
        if frame.is_empty() {
            return Ok(0);
        }
        frame.splice(0..0, BEGIN_UPDATE.iter().copied());
        frame.extend_from_slice(END_UPDATE);
        let mut out = io::stdout().lock();
        out.write_all(frame)?;
        out.flush()?;
        let bytes = frame.len();
        frame.clear();
        frame.shrink_to(4 * FRAME_BYTES);
        Ok(bytes)
    }

    /// What is gathered and what is known of the cursor is void.
    pub(super) fn forget(&mut self) {
        self.inner.writer_mut().clear();
        self.cursor = None;
        self.moved = true;
    }
}

impl Backend for FrameBackend {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.moved = true;
        self.inner.draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor.take().is_some() {
            self.inner.hide_cursor()?;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor.is_none() {
            self.moved = true;
            self.inner.show_cursor()?;
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.moved || self.cursor != Some(position) {
            queue!(self.inner.writer_mut(), crossterm::cursor::MoveTo(position.x, position.y))?;
            (self.cursor, self.moved) = (Some(position), false);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = size();
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let pixels = Size { width: 0, height: 0 };
        Ok(WindowSize { columns_rows: self.size()?, pixels })
    }

    /// Nothing: a frame is sent when all of it is there.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Columns and rows of the terminal. One that does not say is taken for the size that terminals have had for ever.
pub(super) fn size() -> (u16, u16) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use ratatui::{TerminalOptions, Viewport};

    use super::*;

    fn terminal() -> Terminal<FrameBackend> {
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 2));
        Terminal::with_options(FrameBackend::default(), TerminalOptions { viewport }).expect("memory does not fail")
    }

    fn frame(terminal: &mut Terminal<FrameBackend>, text: &str, cursor: Option<Position>) -> Vec<u8> {
        let draw = |frame: &mut ratatui::Frame| {
            frame.buffer_mut().set_string(0, 0, text, Style::new());
            if let Some(cursor) = cursor {
                frame.set_cursor_position(cursor);
            }
        };
        terminal.draw(draw).expect("memory does not fail");
        std::mem::take(terminal.backend_mut().inner.writer_mut())
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let mut terminal = terminal();
        assert!(!frame(&mut terminal, "one", None).is_empty());
        assert_eq!(frame(&mut terminal, "one", None), b"");
        let at = Some(Position { x: 3, y: 0 });
        assert!(!frame(&mut terminal, "one", at).is_empty(), "the cursor is shown");
        assert_eq!(frame(&mut terminal, "one", at), b"");
        assert!(!frame(&mut terminal, "one", None).is_empty(), "the cursor is hidden");
        assert_eq!(frame(&mut terminal, "one", None), b"");
    }

    #[test]
    fn the_terminal_is_never_asked() {
        let mut terminal = terminal();
        let all =
            [frame(&mut terminal, "one", None), frame(&mut terminal, "two", Some(Position { x: 1, y: 1 }))].concat();
        let text = String::from_utf8(all).expect("what is written is text");
        assert!(!text.contains("\x1b[6n"), "{text:?}");
    }
}
