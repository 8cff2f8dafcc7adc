//! A program that runs: its pipes, its clock, its end.
//!
//! Each wait is a `poll` on all pipes at once, so one thread serves a conversation, nothing blocks behind a full pipe,
//! and a program that hangs is killed with all its children when its time is over.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// How far a conversation may go. Each wait asks first, so that it always ends.
pub trait Bounds: Send + Sync {
    /// How long a wait that begins now may last; an error once the time is over or nobody wants the answer any more.
    fn patience(&self) -> io::Result<Duration>;

    /// Counts bytes that came in; an error over the bound.
    fn count(&self, bytes: usize) -> io::Result<()>;

    /// A wait lasted as long as it might: the error for who waited.
    fn timed_out(&self) -> io::Error;
}

/// How much of a program's diagnostics is kept: its beginning, where programs say what is wrong. Some pages.
pub(super) const STDERR_BYTES_MAX: usize = 32 << 10;
/// A wait is cut into slices, so that an interrupt is seen soon.
const SLICE: Duration = Duration::from_millis(100);
/// How long a program may take to end by itself when it has been told to.
const FAREWELL: Duration = Duration::from_millis(500);

/// A running program whose output is read and whose input is written by two halves of one transport. It is ended when the last
/// of them is dropped.
#[derive(Clone)]
pub struct Running(Arc<Mutex<Inner>>);

struct Inner {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    said: Vec<u8>,
    /// Output that came while input was still being written; a program that is not read stops reading.
    ahead: VecDeque<u8>,
    bounds: Arc<dyn Bounds>,
}

/// Reads what the program prints.
pub struct Output(Running);
/// Writes what the program reads.
pub struct Input(Running);

impl Running {
    /// Starts `command` in its own process group, with all three streams as pipes.
    ///
    /// # Errors
    /// Where it cannot be started, as the system says it.
    pub fn start(mut command: Command, bounds: Arc<dyn Bounds>) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (said, ahead) = (Vec::new(), VecDeque::new());
        let inner = Inner { child, stdin, stdout, stderr, said, ahead, bounds };
        inner.unblock()?;
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// Starts `command` in its own process group, without input, with what it prints and its diagnostics in one stream, in the
    /// order in which it writes them: for a program that tells its progress on its diagnostic stream.
    ///
    /// # Errors
    /// Where it cannot be started, as the system says it.
    pub fn start_telling(mut command: Command, bounds: Arc<dyn Bounds>) -> io::Result<Self> {
        let (told, telling) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(telling.try_clone()?).stderr(telling).process_group(0);
        let child = command.spawn()?;
        // Our copies of its end: with them the stream would never end.
        drop(command);
        let stdout = Some(ChildStdout::from(OwnedFd::from(told)));
        let (said, ahead) = (Vec::new(), VecDeque::new());
        let inner = Inner { child, stdin: None, stdout, stderr: None, said, ahead, bounds };
        inner.unblock()?;
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// The two ends to talk through.
    pub fn ends(&self) -> (Output, Input) {
        (Output(self.clone()), Input(self.clone()))
    }

    /// Ends the program and tells what it said on its diagnostic stream, and how it ended.
    pub fn end(&self) -> (Option<ExitStatus>, String) {
        let mut inner = self.inner();
        let status = inner.end();
        (status, String::from_utf8_lossy(&inner.said).into_owned())
    }

    /// No more input comes.
    pub(super) fn close_input(&self) {
        self.inner().stdin = None;
    }

    /// Waits until the program has ended by itself, within its bounds.
    ///
    /// # Errors
    /// Where it does not end within them.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        self.inner().wait_for_exit()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.inner().read(buffer)
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    /// Pipes that never block: all waiting is in `poll`.
    fn unblock(&self) -> io::Result<()> {
        let fds = [
            self.stdin.as_ref().map(AsFd::as_fd),
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return self.ahead.read(buffer);
        }
        let mut waiting = Waiting::begin();
        loop {
            let Some(stdout) = self.stdout.as_mut() else { return Ok(0) };
            match stdout.read(buffer) {
                Ok(0) => {
                    self.stdout = None;
                    return Ok(0);
                }
                Ok(read) => {
                    self.bounds.count(read)?;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(&mut waiting, false)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = Waiting::begin();
        loop {
            let Some(stdin) = self.stdin.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
            match stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(&mut waiting, true)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Waits a slice of time until a pipe is ready, and drains the others meanwhile.
    fn wait(&mut self, waiting: &mut Waiting, to_write: bool) -> io::Result<()> {
        let now = self.bounds.patience()?;
        let patience = *waiting.patience.get_or_insert(now);
        let Some(left) = patience.checked_sub(waiting.since.elapsed()) else { return Err(self.bounds.timed_out()) };
        let input = self.stdin.as_ref().filter(|_| to_write).map(|pipe| (pipe.as_fd(), PollFlags::OUT));
        let output = self.stdout.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN));
        let diagnostics = self.stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN));
        wait_for(input.into_iter().chain(output).chain(diagnostics), left.min(SLICE))?;
        self.listen();
        if to_write { self.read_ahead() } else { Ok(()) }
    }

    /// Takes in what is on the output now; the conversation's bound of bytes bounds this too.
    fn read_ahead(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        while let Some(stdout) = self.stdout.as_mut() {
            match stdout.read(&mut buffer) {
                Ok(0) => self.stdout = None,
                Ok(read) => {
                    self.bounds.count(read)?;
                    self.ahead.extend(&buffer[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in what is on the diagnostic stream now.
    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(stderr) = self.stderr.as_mut() {
            match stderr.read(&mut buffer) {
                Ok(0) => self.stderr = None,
                Ok(read) => {
                    let room = STDERR_BYTES_MAX.saturating_sub(self.said.len());
                    self.said.extend_from_slice(&buffer[..read.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stderr = None,
            }
        }
    }

    /// Waits until the program has ended by itself, within the time of the conversation.
    fn wait_for_exit(&mut self) -> io::Result<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            self.listen();
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            // Its output is closed, so it is about to end; few programs linger here, and those are asked rarely.
            wait_for(
                self.stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)).into_iter(),
                self.bounds.patience()?.min(pause),
            )?;
            pause = (pause * 2).min(SLICE);
        }
    }

    /// Closes the input, gives the program a moment to end by itself, and kills its whole group.
    fn end(&mut self) -> Option<ExitStatus> {
        self.stdin = None;
        let since = Instant::now();
        let mut buffer = [0; 4096];
        while let Some(left) = FAREWELL.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
            match self.stdout.as_mut().map(|stdout| stdout.read(&mut buffer)) {
                Some(Ok(read)) if read > 0 => continue,
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Some(_) => self.stdout = None,
                None => {}
            }
            self.listen();
            if let Ok(Some(status)) = self.child.try_wait() {
                self.listen();
                return Some(status);
            }
            let pipes = self.stdout.as_ref().map(AsFd::as_fd).into_iter().chain(self.stderr.as_ref().map(AsFd::as_fd));
            let nap = if self.stdout.is_none() && self.stderr.is_none() { Duration::from_millis(2) } else { left };
            if wait_for(pipes.map(|fd| (fd, PollFlags::IN)), nap.min(SLICE)).is_err() {
                break;
            }
        }
        self.kill();
        self.child.wait().ok()
    }

    fn kill(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            // The group is ours: it was made for this child, and the child has not been waited for yet.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}

/// One wait, of several slices.
struct Waiting {
    since: Instant,
    /// As it was when the wait began: what is left of a whole gets less meanwhile, and is not to be taken from twice.
    patience: Option<Duration>,
}

impl Waiting {
    fn begin() -> Self {
        Self { since: Instant::now(), patience: None }
    }
}

fn wait_for<'fd>(pipes: impl Iterator<Item = (BorrowedFd<'fd>, PollFlags)>, time: Duration) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> = pipes.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
    match poll(&mut fds, Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
