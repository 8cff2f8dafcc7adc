//! The console in a pseudo-terminal that takes no time: a thread reads and notes when each piece came, and the screen is
//! worked out from the pieces afterwards. So the moment of a paint is when its bytes were there, whatever it takes us to
//! see what they show.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::{Parser, Screen};

use crate::measure::Process;

/// How long anything is waited for before it is missing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// After the last piece of a frame, nothing more of it comes: it is written at once.
const FRAME_REST: Duration = Duration::from_millis(3);

/// A console in a terminal. It is killed when this is dropped.
pub(crate) struct Pty {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    input: Box<dyn Write + Send>,
    pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
    parser: Parser,
    /// When the program was started, just before its `exec`.
    pub(crate) started: Instant,
    /// Bytes that came in all.
    pub(crate) bytes: usize,
}

/// What was waited for, painted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    /// When the last of the bytes came that show it.
    pub(crate) at: Instant,
    /// Bytes from the waiting's begin to the end of the frame.
    pub(crate) bytes: usize,
}

impl Pty {
    /// Starts a console on an agent's socket, in a terminal of so many columns and rows.
    pub(crate) fn start(program: &Path, socket: &Path, (columns, rows): (u16, u16)) -> anyhow::Result<Self> {
        let pair = native_pty_system().openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })?;
        // This process has a whole cluster in its memory, and what is copied for a child takes longer than the console's own
        // start. So a small program stands between, says that it is there, and becomes the console.
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", "printf S; exec \"$0\" --socket \"$1\""]);
        command.arg(program);
        command.arg(socket);
        for absent in ["NO_COLOR", "COLORTERM", "QD_SOCKET", "QD_ASCII"] {
            command.env_remove(absent);
        }
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")] {
            command.env(name, value);
        }
        let (mut output, input) = (pair.master.try_clone_reader()?, pair.master.take_writer()?);
        let (sender, pieces) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            // The end of the program's side is an error to its reader (EIO).
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        let size = |cells| NonZeroU16::new(cells).context("a terminal has a column and a row");
        let child = pair.slave.spawn_command(command)?;
        let (started, said) = pieces.recv_timeout(PATIENCE).context("the console is not started")?;
        let own = said.strip_prefix(b"S").context("something else was started")?;
        let mut parser = Parser::new(size(rows)?, size(columns)?, 0);
        parser.process(own);
        Ok(Self { child, _master: pair.master, input, pieces, parser, started, bytes: own.len() })
    }

    /// Its process.
    pub(crate) fn process(&self) -> anyhow::Result<Process> {
        self.child.process_id().map(Process).context("the console has ended")
    }

    /// The screen, as far as pieces were taken.
    pub(crate) fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Presses keys: when comes back.
    pub(crate) fn press(&mut self, keys: &str) -> anyhow::Result<Instant> {
        let at = Instant::now();
        self.input.write_all(keys.as_bytes()).and_then(|()| self.input.flush()).context("cannot press a key")?;
        Ok(at)
    }

    /// Takes what comes until the screen is as wanted, and the rest of that frame. What came already is not looked at.
    pub(crate) fn wait(&mut self, what: &str, mut wanted: impl FnMut(&Screen) -> bool) -> anyhow::Result<Paint> {
        let (until, before) = (Instant::now() + PATIENCE, self.bytes);
        while let Some(at) = self.take(until)? {
            if wanted(self.screen()) {
                self.quiet(FRAME_REST)?;
                return Ok(Paint { at, bytes: self.bytes - before });
            }
        }
        anyhow::bail!("waited for {what}, and saw:\n{}", self.screen().contents())
    }

    /// Takes what comes until then: each piece's screen is shown to `see`, with when it came.
    pub(crate) fn watch(&mut self, until: Instant, mut see: impl FnMut(Instant, &Screen)) -> anyhow::Result<()> {
        while let Some(at) = self.take(until)? {
            see(at, self.screen());
        }
        Ok(())
    }

    /// Takes what comes until nothing has come for so long; the bytes come back.
    pub(crate) fn quiet(&mut self, quiet: Duration) -> anyhow::Result<usize> {
        let before = self.bytes;
        while self.take(Instant::now() + quiet)?.is_some() {}
        Ok(self.bytes - before)
    }

    /// Takes the next piece; when it came. Nothing where none comes until then.
    fn take(&mut self, until: Instant) -> anyhow::Result<Option<Instant>> {
        match self.pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((at, piece)) => {
                self.parser.process(&piece);
                self.bytes += piece.len();
                Ok(Some(at))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the console has ended:\n{}", self.screen().contents())
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself meanwhile.
            drop((self.child.kill(), self.child.wait()));
        }
    }
}

/// The lines of a screen.
pub(crate) fn lines(screen: &Screen) -> impl Iterator<Item = String> {
    let (_, columns) = screen.size();
    screen.rows(0, columns.get())
}

/// The name in the row under the cursor.
pub(crate) fn selected(screen: &Screen) -> Option<String> {
    let row = lines(screen).find(|line| line.starts_with('▌'))?;
    row.trim_start_matches(['▌', ' ']).split(' ').next().map(str::to_owned)
}
