//! A terminal for tests: a pseudo-terminal with a program in it, and the screen that a person would see.
//!
//! It is a terminal as far as programs can tell: it has a size, a line discipline and signals, and it answers what
//! terminals are asked (where the cursor is, what they are, which colour lies behind). It is not a person: whoever waits
//! for something on the screen waits for as long as [`PATIENCE`], and is told with the screen that was there instead.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::sync::watch;
use vt100::{Parser, Screen};

/// How long a screen is waited for before it is missing. Far above what any takes, so that a busy machine passes.
const PATIENCE: Duration = Duration::from_secs(60);

type Input = Arc<Mutex<Box<dyn Write + Send>>>;

/// A program in a terminal. It is killed when this is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    input: Input,
    seen: Arc<Mutex<Parser<Questions>>>,
    /// How many bytes came; closed when the program's side is.
    bytes: watch::Receiver<usize>,
    /// How the line discipline was set before the program came.
    discipline: String,
}

/// What is left when the program in a terminal has ended.
pub struct Ended {
    /// Its exit code; 1 where a signal ended it.
    pub code: u32,
    /// What a person is left with.
    pub screen: Screen,
    /// Whether the line discipline is again as it was before.
    pub discipline_restored: bool,
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> anyhow::Result<Self> {
        let pair = native_pty_system().openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for absent in ["NO_COLOR", "COLORTERM", "QD_SOCKET", "QD_ASCII"] {
            command.env_remove(absent);
        }
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")].iter().chain(environment)
        {
            command.env(name, value);
        }
        let discipline = discipline(&*pair.master);
        let child = pair.slave.spawn_command(command)?;
        let (mut output, input) = (pair.master.try_clone_reader()?, pair.master.take_writer()?);
        let input: Input = Arc::new(Mutex::new(input));
        let size = |cells| NonZeroU16::new(cells).context("a terminal has a column and a row");
        let parser = Parser::new_with_callbacks(size(rows)?, size(columns)?, 0, Questions::default());
        let seen = Arc::new(Mutex::new(parser));
        let (count, bytes) = watch::channel(0);
        let (shown, answers) = (Arc::clone(&seen), Arc::clone(&input));
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            // The end of the program's side is an error to its reader (EIO).
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let answer = {
                    let mut parser = lock(&shown);
                    parser.process(&buffer[..length]);
                    std::mem::take(&mut parser.callbacks_mut().answers)
                };
                // Who has asked and ended is not answered.
                let _ = lock(&answers).write_all(&answer);
                count.send_modify(|bytes| *bytes += length);
            }
        });
        Ok(Self { child, master: pair.master, input, seen, bytes, discipline })
    }

    /// Types: the bytes that the keys send.
    pub fn type_keys(&self, keys: &str) -> anyhow::Result<()> {
        let mut input = lock(&self.input);
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).context("cannot type")
    }

    /// Gives the terminal another size; the program is told as always.
    pub fn resize(&self, (columns, rows): (u16, u16)) -> anyhow::Result<()> {
        let size = |cells| NonZeroU16::new(cells).context("a terminal has a column and a row");
        // The screen first, as a terminal does it: what the program draws on being told finds the room.
        lock(&self.seen).set_size(size(rows)?, size(columns)?);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })
    }

    /// The screen as it is now.
    pub fn screen(&self) -> Screen {
        lock(&self.seen).screen().clone()
    }

    /// How many bytes the program has written so far.
    pub fn bytes(&self) -> usize {
        *self.bytes.borrow()
    }

    /// Waits until the screen is as wanted.
    pub async fn wait(&self, what: &str, mut wanted: impl FnMut(&Screen) -> bool) -> anyhow::Result<Screen> {
        let mut bytes = self.bytes.clone();
        let all = async {
            loop {
                bytes.borrow_and_update();
                let screen = self.screen();
                if wanted(&screen) {
                    return Some(screen);
                }
                bytes.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(PATIENCE, all).await;
        found.ok().flatten().with_context(|| format!("waited for {what}, and saw:\n{}", self.screen().contents()))
    }

    /// Waits until a text is on the screen.
    pub async fn wait_text(&self, text: &str) -> anyhow::Result<Screen> {
        self.wait(&format!("{text:?}"), |screen| screen.contents().contains(text)).await
    }

    /// Waits until nothing is written for so long; how many bytes there were in all comes back.
    pub async fn wait_quiet(&self, quiet: Duration) -> anyhow::Result<usize> {
        let mut bytes = self.bytes.clone();
        let all = async {
            bytes.borrow_and_update();
            while let Ok(changed) = tokio::time::timeout(quiet, bytes.changed()).await {
                changed.context("the program has ended")?;
            }
            Ok(*bytes.borrow())
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .with_context(|| format!("it writes without end:\n{}", self.screen().contents()))?
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let pid = self.child.process_id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        Ok(rustix::process::kill_process(pid.context("the program has ended")?, signal)?)
    }

    /// Waits until the program has ended by itself, and everything that it wrote was shown.
    pub async fn ended(mut self) -> anyhow::Result<Ended> {
        let all = async {
            while self.bytes.changed().await.is_ok() {}
            // Its side is closed; what is left is to be told its code.
            self.child.wait()
        };
        let status = tokio::time::timeout(PATIENCE, all).await;
        let status = status.with_context(|| format!("it does not end:\n{}", self.screen().contents()))??;
        Ok(Ended {
            code: status.exit_code(),
            screen: self.screen(),
            discipline_restored: discipline(&*self.master) == self.discipline,
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself meanwhile.
            drop((self.child.kill(), self.child.wait()));
        }
    }
}

/// How the line discipline of a terminal is set, in words that can be compared.
fn discipline(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What terminals are asked, and answer among the keys.
#[derive(Default)]
struct Questions {
    answers: Vec<u8>,
}

impl vt100::Callbacks for Questions {
    fn unhandled_csi(&mut self, screen: &mut Screen, i1: Option<u8>, _: Option<u8>, parameters: &[&[u16]], last: char) {
        match (i1, parameters, last) {
            (None, [[6]], 'n') => {
                let (row, column) = screen.cursor_position();
                self.answers.extend(format!("\x1b[{};{}R", row + 1, column + 1).bytes());
            }
            // A VT100 with advanced video, as most say.
            (None, _, 'c') => self.answers.extend(b"\x1b[?1;2c"),
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        if parameters == [b"11".as_slice(), b"?"] {
            self.answers.extend(b"\x1b]11;rgb:1414/1616/1b1b\x1b\\");
        }
    }
}
