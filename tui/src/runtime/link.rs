//! The link to the agent: list, then watch; and again, for as long as the console lives.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck_shared::protocol::{VersionAnswer, WatchRecord};
use quarterdeck_shared::routes;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use crate::client::Client;
use crate::client::error::ClientError;
use crate::message::{LinkMessage, Message};
use crate::model::link::Problem;

/// Pause after the first failure; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause: an agent that is started again is seen within two seconds.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Changes in one message: what a cluster in motion sends while a frame is drawn.
const RECORDS_AT_ONCE: usize = 1_024;

/// Why a session ended.
enum End {
    /// The agent, or the way to it.
    Agent(Option<ClientError>),
    /// The console.
    Console,
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        Self::Agent(Some(error))
    }
}

/// Where a watch goes on: the life of the agent, and the revision of its state.
type Place = (String, u64);

/// Keeps the link for as long as somebody takes its messages. `now` is told where a person does not want to wait.
pub(super) async fn keep(client: Client, messages: mpsc::Sender<Message>, now: Arc<Notify>) {
    let mut place: Option<Place> = None;
    let mut attempts = 0;
    loop {
        let error = match session(&client, &messages, &mut place, &mut attempts).await {
            Ok(never) => match never {},
            Err(End::Console) => return,
            Err(End::Agent(error)) => error,
        };
        attempts += 1;
        let problem = match &error {
            Some(error) => error.into(),
            None => Problem { message: "the agent ended the connection".to_owned(), hints: Vec::new() },
        };
        tracing::warn!("no agent, attempt {attempts}: {}", problem.message);
        let message = match error {
            Some(ClientError::WireVersion { .. }) => LinkMessage::Incompatible(problem),
            _ => LinkMessage::Lost { attempts, problem },
        };
        if messages.send(Message::Link(message)).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(pause(attempts)) => {}
            () = now.notified() => {}
        }
    }
}

/// Lists and watches until something ends it.
async fn session(
    client: &Client,
    messages: &mpsc::Sender<Message>,
    place: &mut Option<Place>,
    attempts: &mut u32,
) -> Result<std::convert::Infallible, End> {
    let send = async |message| messages.send(Message::Link(message)).await.map_err(|_| End::Console);
    let version: VersionAnswer = client.get(routes::VERSION.path()).await?;
    send(LinkMessage::Hello(version.role)).await?;
    tracing::info!("agent {} answers, process {}", version.agent, version.pid);
    loop {
        let (epoch, since) = match place.clone() {
            Some(known) => known,
            None => {
                let state = client.state().await?;
                let known = (state.epoch.clone(), state.revision);
                send(LinkMessage::State(Box::new(state))).await?;
                place.insert(known).clone()
            }
        };
        let mut records = match client.watch(&epoch, since).await {
            Err(error) if error.is_gone() => {
                *place = None;
                continue;
            }
            records => records?,
        };
        *attempts = 0;
        // The agent is there, though nothing may have changed.
        send(LinkMessage::Records(Vec::new())).await?;
        let ended = loop {
            let first = match records.next().await {
                Ok(Some(first)) => first,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            let mut batch = vec![first];
            while batch.len() < RECORDS_AT_ONCE
                && let Some(record) = records.ready()?
            {
                batch.push(record);
            }
            if let Some(revision) = batch.last().map(revision) {
                *place = Some((epoch.clone(), revision));
            }
            send(LinkMessage::Records(batch)).await?;
        };
        match ended {
            Some(error) if error.is_gone() => *place = None,
            ended => return Err(End::Agent(ended)),
        }
    }
}

fn revision(record: &WatchRecord) -> u64 {
    match record {
        WatchRecord::Put { revision, .. } | WatchRecord::Del { revision, .. } | WatchRecord::Bookmark { revision } => {
            *revision
        }
    }
}

fn pause(attempts: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(PAUSE_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_two_seconds() {
        let pauses: Vec<u128> = [1, 2, 3, 6, 7, 1_000_000].map(|attempts| pause(attempts).as_millis()).into();
        assert_eq!(pauses, [50, 100, 200, 1_600, 2_000, 2_000]);
    }
}
