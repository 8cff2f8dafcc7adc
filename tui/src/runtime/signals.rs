//! Signals, and the end of the terminal.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::runtime::tasks::Workers;
use crate::terminal;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// End, and say by which signal.
    End(i32),
    /// The terminal hung up.
    Gone,
    /// Stop as a job of the shell.
    Stop,
    /// The process was stopped and goes on.
    Continued,
}

/// Who is asked to end and is stuck in a write to a terminal that takes nothing ends after this all the same.
const STUCK: Duration = Duration::from_secs(2);

/// Listens for signals.
#[derive(Debug)]
pub(super) struct Signals {
    ends: mpsc::Receiver<Signal>,
    stop: Stream,
    continued: Stream,
}

impl Signals {
    /// Begins to listen: from now on none of these ends the process by itself.
    pub(super) fn listen(workers: &Workers) -> io::Result<Self> {
        let (sender, ends) = mpsc::channel(4);
        for number in [Number::TERM, Number::HUP, Number::INT, Number::QUIT] {
            let number = number.as_raw();
            let mut stream = signal(SignalKind::from_raw(number))?;
            let sender = sender.clone();
            workers.spawn_detached(async move {
                if stream.recv().await.is_some() {
                    end(&sender, Signal::End(number), number).await;
                }
            });
        }
        listen_for_hang_up(sender);
        let kind = |number: Number| SignalKind::from_raw(number.as_raw());
        Ok(Self { ends, stop: signal(kind(Number::TSTP))?, continued: signal(kind(Number::CONT))? })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            Some(end) = self.ends.recv() => end,
            Some(()) = self.stop.recv() => Signal::Stop,
            Some(()) = self.continued.recv() => Signal::Continued,
            else => std::future::pending().await,
        }
    }
}

/// A terminal whose other side is closed (a lost SSH session) hangs up; not every process is told by a signal. Reading is
/// done elsewhere: here only the hanging up is waited for, which the kernel always reports. In a thread of its own, for it
/// may never come.
fn listen_for_hang_up(sender: mpsc::Sender<Signal>) {
    std::thread::spawn(move || {
        let stdin = io::stdin();
        loop {
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            match poll(&mut fds, None) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        // A closed channel means that the loop has ended already.
        let _ = sender.blocking_send(Signal::Gone);
        std::thread::sleep(STUCK);
        terminal::give_back();
        std::process::exit(128 + Number::HUP.as_raw());
    });
}

/// Tells the loop to end, and ends the process where the loop cannot.
async fn end(sender: &mpsc::Sender<Signal>, signal: Signal, number: i32) {
    // A full or closed channel means that the loop is ending already.
    let _ = sender.try_send(signal);
    sleep(STUCK).await;
    terminal::give_back();
    std::process::exit(128 + number);
}
