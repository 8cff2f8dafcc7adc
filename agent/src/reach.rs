//! Whether the engine and the registries answer: asked at the pace of polls, so that a person sees an outage before a tag
//! meets it. Clusters are watched and repositories polled anyway; these two are only used when a run comes.
//!
//! Nobody is asked for whom nothing is built. A registry is asked for `/v2/` without a login (OCI distribution
//! specification, "end-1"): whatever it answers it is there, unless a server before it says that it is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus, Key, Object};

use crate::config::Config;
use crate::context::Context;
use crate::images::{Images, one_of_each_registry};
use crate::journal::fact::{Batch, Fact};
use crate::worker::jitter;
use quarterdeck_container::engine::Builder as _;
use quarterdeck_shared::error::chain;

/// Who has not answered by then is told as away; well within the time between two polls.
const PATIENCE: Duration = Duration::from_secs(10);

/// The engine's name where the configuration does not say which: it is found as the `docker` program finds it.
const FOUND: &str = "default";

/// Whom to ask, and what it answers: its version, or why not.
type Asked = (ConnectionKind, String, BoxFuture<'static, Result<String, String>>);

/// Asks until the agent ends.
pub async fn watch(context: Arc<Context>) {
    let mut configuration = context.config.subscribe();
    let mut known: BTreeMap<Key, ConnectionStatus> = BTreeMap::new();
    loop {
        let config = configuration.borrow_and_update().clone();
        let answers = join_all(asked(&config, &context.images()).into_iter().map(answered)).await;
        let mut now = BTreeMap::new();
        for (to, name, answer) in answers {
            let (version, error) = answer.map_or_else(|error| (String::new(), Some(error)), |version| (version, None));
            let status =
                ConnectionStatus { to, name, reachable: error.is_none(), version, error, since: Timestamp::now() };
            let key = Object::Connection(status.clone()).key();
            now.insert(key.clone(), tell(&context, known.remove(&key), status).await);
        }
        let gone: Batch = known.into_keys().map(Fact::Gone).collect();
        if !gone.is_empty() {
            context.journal.tell(gone).await;
        }
        known = now;
        tokio::select! {
            () = tokio::time::sleep(jitter(config.agent.poll_interval.0)) => {}
            changed = configuration.changed() => if changed.is_err() { return },
            () = context.stop.cancelled() => return,
        }
    }
}

/// The engine, and each registry that an image goes to, once.
fn asked(config: &Config, images: &Arc<Images>) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    if config.applications.iter().any(|application| application.delivery.is_some()) {
        let name = config.engine.address.clone().unwrap_or_else(|| FOUND.to_owned());
        let images = images.clone();
        let info = async move {
            let info = images.engine.info().await.map_err(|error| chain(&error))?;
            Ok(format!("{} {}, {}", info.name, info.version, info.builder))
        };
        asked.push((ConnectionKind::Engine, name, Box::pin(info)));
    }
    for image in one_of_each_registry(config) {
        let registry = image.registry().to_owned();
        let (images, host) = (images.clone(), registry.clone());
        let answers = async move {
            images.registries.answers(&host).await.map(|()| String::new()).map_err(|error| chain(&error))
        };
        asked.push((ConnectionKind::Registry, registry, Box::pin(answers)));
    }
    asked
}

async fn answered((to, name, answer): Asked) -> (ConnectionKind, String, Result<String, String>) {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    (to, name, answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))))
}

/// Tells what is news, and gives what is so now.
async fn tell(context: &Context, before: Option<ConnectionStatus>, mut now: ConnectionStatus) -> ConnectionStatus {
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

    #[test]
    fn who_builds_nothing_asks_nobody_and_each_registry_is_asked_once() {
        let text = |builds: &str| {
            format!(
                "[[application]]\nname = \"a\"\n{builds}\n[[application.environment]]\nname = \"prod\"\nrepository = \"/srv/deploy.git\"\n\
                 namespace = \"a\"\n"
            )
        };
        let build = |image: &str| {
            format!("[application.code]\nrepository = \"/srv/a.git\"\n[[application.image]]\nname = \"{image}\"\n")
        };
        let other = |image: &str| format!("[[application]]\nname = \"b\"\n{}", build(image));
        for (config, whom) in [
            (text(""), vec![]),
            (text(&build("registry.example/a")), vec!["engine default", "registry registry.example"]),
            (
                text(&build("registry.example/a")) + &other("registry.example/b"),
                vec!["engine default", "registry registry.example"],
            ),
            (
                text(&build("registry.example/a")) + &other("library/b"),
                vec!["engine default", "registry registry.example", "registry docker.io"],
            ),
        ] {
            let config =
                Config::parse(std::path::Path::new("/etc/qd/config.toml"), &config).expect("a good configuration");
            let images = Arc::new(Images::new(&config));
            let found: Vec<String> =
                asked(&config, &images).iter().map(|(to, name, _)| format!("{} {name}", to.word())).collect();
            assert_eq!(found, whom);
        }
    }
}
