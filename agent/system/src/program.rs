//! Programs that we start: git, ssh, renderers, and those that hand out credentials. Without a shell, in a process group of their
//! own, with a clock, and with all that they print bounded. What they are given (arguments, environment, input) is their room's.
//!
//! [`run`] waits where blocking is fine, [`run_beside`] from a task; [`Running`] is for who talks with a program.

mod find;
mod running;

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use find::find;
pub use running::{Bounds, Input, Output, Running};

/// How far a program may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From its start to its end.
    pub time: Duration,
    /// Of standard output; of standard error the first 32 KiB are kept, and the rest is read and dropped.
    pub output_bytes: u64,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// All of it.
    pub stdout: Vec<u8>,
    /// Its beginning.
    pub stderr: String,
}

/// Why a program gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("cannot start it")]
    Start(#[source] io::Error),
    /// It could not be followed to its end.
    #[error("cannot wait for it")]
    Wait(#[source] io::Error),
    /// It failed.
    #[error("{status}: {stderr}")]
    Failed {
        /// `exit status: 1`.
        status: ExitStatus,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// It took too long and was killed.
    #[error("it was killed after {} s without an end", .0.as_secs())]
    TooLong(Duration),
    /// It wrote too much and was killed.
    #[error("it was killed after {0} bytes of output")]
    TooMuch(u64),
    /// Who asked is gone, and it was killed.
    #[error("it was killed because its answer is no longer needed")]
    Dropped,
}

impl Finished {
    /// It, where it ended well.
    ///
    /// # Errors
    /// [`ProgramError::Failed`] otherwise.
    pub fn successful(self) -> Result<Self, ProgramError> {
        let Self { status, stderr, .. } = self;
        if status.success() {
            return Ok(Self { stderr, ..self });
        }
        Err(ProgramError::Failed { status, stderr })
    }
}

/// Runs a program to its end with `input`. Blocks.
///
/// # Errors
/// Where it could not be started or followed, or met its limits. Not where it failed: that is its status.
pub fn run(command: Command, input: &[u8], limits: Limits) -> Result<Finished, ProgramError> {
    run_until(command, input, limits, Arc::default())
}

/// As [`run`], beside other tasks. The program is killed within a tenth of a second where this is dropped.
///
/// # Errors
/// As [`run`].
pub async fn run_beside(command: Command, input: Vec<u8>, limits: Limits) -> Result<Finished, ProgramError> {
    let asker = Asker::default();
    let gone = asker.0.clone();
    let span = tracing::Span::current();
    let run = tokio::task::spawn_blocking(move || span.in_scope(|| run_until(command, &input, limits, gone)));
    run.await.unwrap_or_else(|error| Err(ProgramError::Wait(io::Error::other(error))))
}

/// Runs a program to its end with `input`, within bounds that are kept elsewhere. Blocks.
///
/// # Errors
/// `Start` where it could not be started, else `Wait`: with what the bounds said, or what the system did.
pub fn run_within(command: Command, input: &[u8], bounds: Arc<dyn Bounds>) -> Result<Finished, ProgramError> {
    let running = Running::start(command, bounds).map_err(ProgramError::Start)?;
    let (mut output, mut writer) = running.ends();
    // A program that does not want its input closes it early; its exit says whether that was a failure.
    match writer.write_all(input) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(ProgramError::Wait(error)),
        _ => running.close_input(),
    }
    let mut stdout = Vec::new();
    output.read_to_end(&mut stdout).map_err(ProgramError::Wait)?;
    let status = running.wait().map_err(ProgramError::Wait)?;
    let (_, stderr) = running.end();
    Ok(Finished { status, stdout, stderr })
}

fn run_until(command: Command, input: &[u8], limits: Limits, gone: Arc<AtomicBool>) -> Result<Finished, ProgramError> {
    let budget = Arc::new(Budget::new(limits, gone));
    run_within(command, input, budget.clone()).map_err(|error| budget.over().take().unwrap_or(error))
}

/// Who waits for an answer; that it is gone is known when this is dropped.
#[derive(Default)]
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is left of the limits, and which of them was met first.
struct Budget {
    limits: Limits,
    started: Instant,
    printed: AtomicU64,
    gone: Arc<AtomicBool>,
    over: Mutex<Option<ProgramError>>,
}

impl Budget {
    fn new(limits: Limits, gone: Arc<AtomicBool>) -> Self {
        let (started, printed, over) = (Instant::now(), AtomicU64::new(0), Mutex::new(None));
        Self { limits, started, printed, gone, over }
    }

    fn over(&self) -> std::sync::MutexGuard<'_, Option<ProgramError>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self, why: ProgramError) -> io::Error {
        let error = io::Error::other(why.to_string());
        self.over().get_or_insert(why);
        error
    }
}

impl Bounds for Budget {
    fn patience(&self) -> io::Result<Duration> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(self.ends(ProgramError::Dropped));
        }
        let left = self.limits.time.checked_sub(self.started.elapsed()).filter(|left| !left.is_zero());
        left.ok_or_else(|| self.timed_out())
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let printed = self.printed.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let fits = printed <= self.limits.output_bytes;
        if fits { Ok(()) } else { Err(self.ends(ProgramError::TooMuch(self.limits.output_bytes))) }
    }

    fn timed_out(&self) -> io::Error {
        self.ends(ProgramError::TooLong(self.limits.time))
    }
}

#[cfg(test)]
mod tests;
