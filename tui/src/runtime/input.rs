//! What the loop waits for: a signal, a key, a message, a moment.

use std::future::pending;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::message::Message;
use crate::runtime::signals::{Signal, Signals};
use crate::terminal::{self, Input};

/// Keys that wait. A person does not type ahead further, and a paste is one.
const INPUTS_WAITING: usize = 256;

/// What came.
pub(super) enum What {
    /// A signal to end.
    End(i32),
    /// The terminal is gone.
    Gone,
    /// A signal to stop as a job.
    Stop,
    /// The process went on after it was stopped.
    Continued,
    /// Something from the terminal.
    Input(Input),
    /// Something from a task.
    Message(Message),
    /// The moment that was waited for.
    Time,
}

/// Reads from the terminal in a thread of its own. It ends with the process: a read cannot be taken back.
pub(super) fn listen() -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(INPUTS_WAITING);
    std::thread::spawn(move || {
        loop {
            let input = terminal::read();
            let last = input == Input::Gone;
            if sender.blocking_send(input).is_err() || last {
                return;
            }
        }
    });
    inputs
}

/// Waits for whatever comes first; signals before keys, keys before what the agent sends.
pub(super) async fn next(
    inputs: &mut mpsc::Receiver<Input>,
    messages: &mut mpsc::Receiver<Message>,
    signals: &mut Signals,
    wake_at: Option<Instant>,
) -> What {
    let moment = async {
        match wake_at {
            Some(at) => sleep_until(at.into()).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        signal = signals.next() => match signal {
            Signal::End(number) => What::End(number),
            Signal::Gone => What::Gone,
            Signal::Stop => What::Stop,
            Signal::Continued => What::Continued,
        },
        input = inputs.recv() => input.map_or(What::Gone, What::Input),
        () = moment => What::Time,
        Some(message) = messages.recv() => What::Message(message),
    }
}
