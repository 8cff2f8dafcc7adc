//! Whether the engine, the registries and the forges answer: asked at the pace of polls, so that a person sees an outage
//! before a tag meets it. Clusters are watched and repositories polled anyway; these are only used when a run comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus, Key, Object};

use crate::context::Context;
use crate::journal::fact::{Batch, Fact};
use crate::probe;
use crate::worker::jitter;
use quarterdeck_shared::error::Failure;

/// Who has not answered by then is told as away; well within the time between two polls.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks until the agent ends.
pub async fn watch(context: Arc<Context>) {
    let mut configuration = context.config.subscribe();
    let mut known: BTreeMap<Key, ConnectionStatus> = BTreeMap::new();
    loop {
        let config = configuration.borrow_and_update().clone();
        let probes = probe::of_images(&config, &context.images()).into_iter().chain(probe::of_forges(&config));
        let answers = join_all(probes.map(|one| one.ask(PATIENCE))).await;
        let mut now = BTreeMap::new();
        for (to, name, answer) in answers {
            let status = seen(to, name, answer.map(|answer| answer.version));
            let key = Object::Connection(status.clone()).key();
            now.insert(key.clone(), publish_change(&context, known.remove(&key), status).await);
        }
        let gone: Batch = known.into_keys().map(Fact::Gone).collect();
        if !gone.is_empty() {
            context.journal.publish(gone).await;
        }
        known = now;
        tokio::select! {
            () = tokio::time::sleep(jitter(config.agent.poll_interval.0)) => {}
            changed = configuration.changed() => if changed.is_err() { return },
            () = context.stop.cancelled() => return,
        }
    }
}

/// A connection that answers with its version, or does not.
pub fn seen(to: ConnectionKind, name: String, answer: Result<String, Failure>) -> ConnectionStatus {
    let (version, why) = answer.map_or_else(|why| (String::new(), Some(why)), |version| (version, None));
    let reachable = why.is_none();
    let (error, hint) = why.map(|why| (why.message, why.hint)).unzip();
    ConnectionStatus { to, name, reachable, version, error, hint: hint.unwrap_or_default(), since: Timestamp::now() }
}

/// Publishes what is news, and gives what is so now.
async fn publish_change(
    context: &Context,
    before: Option<ConnectionStatus>,
    mut now: ConnectionStatus,
) -> ConnectionStatus {
    if let Some(before) = &before
        && before.reachable == now.reachable
    {
        now.since = before.since;
    }
    if before.as_ref() != Some(&now) {
        // Not kept on a full disk: the status is shown all the same.
        let _ = context.journal.record(news(before.map(|before| before.reachable), now.clone())).await;
    }
    now
}

/// The facts of a connection as it is now: an event where it was lost or is back, and what consoles see.
pub fn news(before: Option<bool>, now: ConnectionStatus) -> Batch {
    let to = format!("{} {}", now.to.word(), now.name);
    let event = match (before, &now.error) {
        (None | Some(true), Some(message)) => Some(Event::ConnectionLost { to, message: message.clone() }),
        (Some(false), None) => Some(Event::ConnectionRestored { to }),
        _ => None,
    };
    let happened = event.map(|event| Fact::at_large(Cause::Agent, event));
    happened.into_iter().chain([Fact::Seen(Object::Connection(now))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an event, for a table.
    fn event(before: Option<bool>, error: Option<&str>) -> String {
        let now = ConnectionStatus {
            to: ConnectionKind::Registry,
            name: "registry.example".into(),
            reachable: error.is_none(),
            version: String::new(),
            error: error.map(str::to_owned),
            hint: String::new(),
            since: Timestamp::UNIX_EPOCH,
        };
        let facts = news(before, now);
        assert!(matches!(facts.last(), Some(Fact::Seen(Object::Connection(_)))), "it is seen in any case");
        match &facts[..facts.len() - 1] {
            [] => String::new(),
            [Fact::Happened { event: Event::ConnectionLost { to, message }, .. }] => format!("lost {to}: {message}"),
            [Fact::Happened { event: Event::ConnectionRestored { to }, .. }] => format!("back {to}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_loss_and_a_return_are_events_and_the_rest_is_seen() {
        for (before, error, told) in [
            (None, None, ""),
            (Some(true), None, ""),
            (None, Some("refused"), "lost registry registry.example: refused"),
            (Some(true), Some("refused"), "lost registry registry.example: refused"),
            (Some(false), Some("no answer"), ""),
            (Some(false), None, "back registry registry.example"),
        ] {
            assert_eq!(event(before, error), told, "{before:?} {error:?}");
        }
    }
}
