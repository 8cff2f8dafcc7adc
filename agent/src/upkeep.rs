//! Upkeep: what the agent stands on is looked at now and then, since others can take it away while it runs: its socket, and
//! the files of its history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quarterdeck_shared::event::{Cause, Event};
use tokio::sync::Notify;

use crate::api::socket::{Presence, Socket};
use crate::context::Context;
use crate::flood::Flood;
use crate::journal::fact::Fact;
use quarterdeck_shared::error::chain;

/// A look is four `stat`s. Who removes something of ours is answered before a person has begun to search.
const EVERY: Duration = Duration::from_secs(10);

/// Looks every ten seconds, and when it is `asked` to, until the agent ends; the socket goes then.
pub async fn keep(context: Arc<Context>, mut socket: Socket, asked: Arc<Notify>) {
    let mut flood = Flood::default();
    let mut failing = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = asked.notified() => {}
            () = context.stop.cancelled() => return,
        }
        context.journal.check_files().await;
        let event = match socket.check() {
            Ok(Presence::Ours) => {
                failing = None;
                continue;
            }
            Ok(Presence::Again(missed)) => {
                failing = None;
                let path = socket.path().display().to_string();
                tracing::warn!(socket = %path, "listening at the socket again: {missed}");
                Event::SocketRemade { path, why: missed.to_string() }
            }
            Err(error) => {
                let message = chain(&error);
                if let Some(times) = flood.count(Instant::now()) {
                    tracing::error!(times, "this agent cannot be reached: {message}");
                }
                if failing.as_ref() == Some(&message) {
                    continue;
                }
                failing = Some(message.clone());
                Event::ConnectionLost { to: format!("socket {}", socket.path().display()), message }
            }
        };
        // Not kept on a full disk: the log says the same.
        let _ = context.journal.record(vec![Fact::at_large(Cause::Agent, event)]).await;
    }
}
