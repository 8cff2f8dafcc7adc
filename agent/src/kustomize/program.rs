//! Runs a renderer's program: without a shell, in a process group of its own, with an end to its time and its output.
//!
//! Rendering is done where blocking is fine, so this blocks too; nothing outlives the call but what left the group.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How far a program may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) output_bytes: usize,
}

/// A program's last words that are kept, in bytes: some pages.
const STDERR_BYTES_MAX: usize = 32 << 10;

/// How often an ending process is looked at. Its output is complete by then, so it ends at once or not by itself.
const EXIT_POLL: Duration = Duration::from_millis(2);

/// What a program said.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
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
    /// It said no.
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
    TooMuch(usize),
}

enum Said {
    Stdout(io::Result<Vec<u8>>),
    Stderr(Vec<u8>),
}

/// Runs a program to its end.
pub(super) fn run(command: &mut Command, limits: Limits) -> Result<Output, ProgramError> {
    let deadline = Instant::now() + limits.time;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(ProgramError::Start)?;
    let said = listen(&mut child, limits.output_bytes).map_err(ProgramError::Start);
    let outcome = said.and_then(|said| converse(&mut child, &said, deadline, limits));
    if outcome.is_err() {
        end(&mut child);
    }
    let (status, output) = outcome?;
    if status.success() { Ok(output) } else { Err(ProgramError::Failed { status, stderr: output.stderr }) }
}

/// Two threads, since a program that waits to write to one pipe never closes the other.
fn listen(child: &mut Child, output_bytes: usize) -> io::Result<Receiver<Said>> {
    let (tell, said) = mpsc::sync_channel(2); // each of the two threads says one thing
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |name: &str, job: Box<dyn FnOnce(SyncSender<Said>) + Send>| {
        let tell = tell.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || job(tell)).map(drop)
    };
    read(
        "render-out",
        Box::new(move |tell| {
            let mut bytes = Vec::new();
            let read = stdout.map_or(Ok(0), |pipe| pipe.take(output_bytes as u64 + 1).read_to_end(&mut bytes));
            let _ = tell.send(Said::Stdout(read.map(|_| bytes)));
        }),
    )?;
    read(
        "render-err",
        Box::new(move |tell| {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stderr {
                let _ = pipe.by_ref().take(STDERR_BYTES_MAX as u64).read_to_end(&mut bytes);
                let _ = io::copy(&mut pipe, &mut io::sink()); // a full pipe would stop the program
            }
            let _ = tell.send(Said::Stderr(bytes));
        }),
    )?;
    Ok(said)
}

fn converse(
    child: &mut Child,
    said: &Receiver<Said>,
    deadline: Instant,
    limits: Limits,
) -> Result<(ExitStatus, Output), ProgramError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let (mut stdout, mut stderr) = (None, None);
    while stdout.is_none() || stderr.is_none() {
        match said.recv_timeout(left()) {
            Ok(Said::Stdout(bytes)) => {
                let bytes = bytes.map_err(ProgramError::Wait)?;
                if bytes.len() > limits.output_bytes {
                    return Err(ProgramError::TooMuch(limits.output_bytes));
                }
                stdout = Some(bytes);
            }
            Ok(Said::Stderr(bytes)) => stderr = Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => return Err(ProgramError::TooLong(limits.time)),
        }
    }
    loop {
        if let Some(status) = child.try_wait().map_err(ProgramError::Wait)? {
            return Ok((status, Output { stdout: stdout.unwrap_or_default(), stderr: stderr.unwrap_or_default() }));
        }
        if left().is_zero() {
            return Err(ProgramError::TooLong(limits.time));
        }
        thread::sleep(EXIT_POLL.min(left()));
    }
}

/// Kills the program and what it started. It was not waited for yet, so the id is still its own.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { time: Duration::from_secs(20), output_bytes: 1 << 20 };

    fn sh(script: &str, limits: Limits) -> Result<Output, ProgramError> {
        run(Command::new("/bin/sh").args(["-c", script]), limits)
    }

    #[test]
    fn what_a_program_says_comes_back() {
        let output = sh("echo out; echo err >&2", LIMITS).unwrap();
        assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], "err\n"));
    }

    #[test]
    fn a_program_that_says_no_is_quoted() {
        let error = sh("echo 'no such file' >&2; exit 3", LIMITS).unwrap_err();
        assert_eq!(error.to_string(), "exit status: 3: no such file\n");
        assert!(matches!(run(&mut Command::new("/nonexistent"), LIMITS), Err(ProgramError::Start(_))));
    }

    #[test]
    fn much_on_standard_error_does_not_stop_it() {
        let output = sh("head -c 1000000 /dev/zero >&2; echo done", LIMITS).unwrap();
        assert_eq!((&*output.stdout, output.stderr.len()), (&b"done\n"[..], STDERR_BYTES_MAX));
    }

    #[test]
    fn endless_output_is_ended() {
        let error = sh("exec cat /dev/zero", Limits { output_bytes: 1000, ..LIMITS }).unwrap_err();
        assert_eq!(error.to_string(), "it was killed after 1000 bytes of output");
    }

    /// The child of the program holds its pipes: only killing the group ends both.
    #[test]
    fn a_hanging_program_is_killed_with_its_children() {
        let begun = Instant::now();
        let error =
            sh("sleep 600 & sleep 600; echo", Limits { time: Duration::from_millis(100), ..LIMITS }).unwrap_err();
        assert!(matches!(error, ProgramError::TooLong(_)), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        let closed_but_alive =
            sh("exec >&- 2>&-; sleep 600", Limits { time: Duration::from_millis(100), ..LIMITS }).unwrap_err();
        assert!(matches!(closed_but_alive, ProgramError::TooLong(_)), "{closed_but_alive}");
    }
}
