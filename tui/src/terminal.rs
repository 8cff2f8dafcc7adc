//! The terminal: taken, drawn on, and given back whole, whatever happens.
//!
//! It is given back by [`Screen`]'s end, by the panic hook, and by [`give_back`], which the runtime calls on signals. All
//! three may come; giving back twice does nothing the second time.

mod backend;
mod keys;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, queue};
use ratatui::{Frame, Terminal};
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};

pub use self::keys::{Input, read};

use quarterdeck_shared::error::Hint;

use self::backend::FrameBackend;

/// Why the console cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Input or output is a file or a pipe.
    #[error("the console needs a terminal")]
    NotATerminal,
    /// `TERM=dumb`.
    #[error("TERM=dumb names a terminal that cannot show the console")]
    Dumb,
    /// The terminal refused.
    #[error("cannot set up the terminal")]
    SetUp(#[source] io::Error),
    /// The terminal is gone.
    #[error("cannot draw on the terminal")]
    Draw(#[source] io::Error),
}

impl Hint for TerminalError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NotATerminal | Self::Dumb => "use the commands: qd status, qd --help".into(),
            Self::SetUp(_) | Self::Draw(_) => "".into(),
        }
    }
}

/// Whether there is a terminal, and one that can show the console.
pub fn is_able() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// Whether there is a shell that could take the process up again after it was stopped: then the shell has given it a
/// process group of its own. Where we are the whole session, stopping would freeze the terminal for good.
pub fn is_job() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, while it is ours.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<FrameBackend>,
}

impl Screen {
    /// Takes the terminal, to draw with or without colours.
    pub fn take(colour: bool) -> Result<Self, TerminalError> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(TerminalError::NotATerminal);
        }
        if is_dumb() {
            return Err(TerminalError::Dumb);
        }
        HOOK.call_once(hook);
        // The library would leave colours out by itself where `NO_COLOR` is set; that was decided already.
        crossterm::style::force_color_output(colour);
        take().map_err(TerminalError::SetUp)?;
        let terminal = Terminal::new(FrameBackend::default()).map_err(TerminalError::SetUp)?;
        Ok(Self { terminal })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        backend::size()
    }

    /// Draws, with one write and as one update of the terminal; nothing is written where nothing changed. The bytes that
    /// were written come back with what the drawing gave.
    pub fn draw<T>(&mut self, draw: impl FnOnce(&mut Frame) -> T) -> Result<(T, usize), TerminalError> {
        let mut given = None;
        self.terminal.draw(|frame| given = Some(draw(frame))).map_err(TerminalError::Draw)?;
        let bytes = self.terminal.backend_mut().send().map_err(TerminalError::Draw)?;
        Ok((given.expect("a drawing always draws"), bytes))
    }

    /// Draws everything anew with the next drawing: somebody else wrote on the terminal.
    pub fn forget(&mut self) -> Result<(), TerminalError> {
        let (width, height) = self.size();
        let area = ratatui::layout::Rect { x: 0, y: 0, width, height };
        self.terminal.backend_mut().forget();
        self.terminal.resize(area).map_err(TerminalError::Draw)
    }

    /// Stops the process as a job of its shell, and takes the terminal again when it goes on.
    pub fn stop(&mut self) -> Result<(), TerminalError> {
        give_back();
        // The whole group: a program that started us and waits for us must stop too, or the shell never comes back.
        // SIGSTOP, since SIGTSTP is what we may have been told by.
        kill_current_process_group(Signal::STOP).map_err(|error| TerminalError::SetUp(error.into()))?;
        self.retake()
    }

    /// Takes the terminal again after the process was stopped: the shell has set it to its own liking meanwhile.
    pub fn retake(&mut self) -> Result<(), TerminalError> {
        give_back();
        take().map_err(TerminalError::SetUp)?;
        self.forget()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mut out = io::stdout().lock();
    queue!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    out.flush()
}

/// Gives the terminal back as it was. Errors have nobody to be told to: the terminal may be gone.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout().lock();
    // A frame may have been cut off in its middle: its update is ended first, and its colours.
    let ends = [backend::END_UPDATE, b"\x1b[m".as_slice()].concat();
    let restored = out.write_all(&ends).and_then(|()| {
        queue!(out, DisableBracketedPaste, cursor::Show, LeaveAlternateScreen)?;
        out.flush()
    });
    drop((restored, disable_raw_mode()));
}

/// On a panic, wherever it is, the terminal is given back first, so that its words can be read; then the process ends. A
/// console with a part missing would show things that are not so.
fn hook() {
    const PANICKED: i32 = 101;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let ours = TAKEN.load(Ordering::SeqCst);
        give_back();
        before(panic);
        if ours {
            std::process::exit(PANICKED);
        }
    }));
}
