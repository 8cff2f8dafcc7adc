//! Requests and streams, each a task of its own that ends when nobody waits for it any more.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::Address;
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{Accepted, DiffAnswer, LogRecord};
use quarterdeck_shared::queries::{AtRevision, EventsQuery, Limit, LogOptions, LogQuery};
use quarterdeck_shared::routes;
use serde::Serialize;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::client::Client;
use crate::client::error::ClientError;
use crate::effect::{Answer, Ask, EVENTS_ASKED, Effect, SYNCS_ASKED, Ticket};
use crate::message::Message;
use crate::model::act::Act;
use crate::model::link::Problem;
use crate::model::log::{Resume, Source};
use crate::model::{diff, packages, text};
use crate::runtime::link;

/// More of what makes a screen old may follow within this time.
const SOON: Duration = Duration::from_millis(250);

/// Lines of each container that a log begins with.
const TAIL: u64 = 500;

/// Lines in one message.
const LINES_AT_ONCE: usize = 512;

/// The thread on which all this runs: not the one that draws, which thereby never waits for an answer to be read.
#[derive(Debug)]
pub(super) struct Workers(Option<Runtime>);

impl Workers {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).thread_name("worker").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a task on it, until the handle is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        let runtime = self.0.as_ref().expect("the workers run until they are dropped");
        AbortOnDropHandle::new(runtime.spawn(task))
    }
}

impl Workers {
    /// Runs a task on it for as long as the console lives.
    pub(super) fn spawn_detached(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Detached: the handle's drop would end it.
        self.spawn(task).detach();
    }
}

impl Drop for Workers {
    /// Waits for nobody: what is asked for when the console ends is not wanted any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What runs beside the loop.
#[derive(Debug)]
pub(super) struct Tasks {
    workers: Workers,
    client: Client,
    messages: mpsc::Sender<Message>,
    reconnect: Arc<Notify>,
    running: HashMap<Ticket, AbortOnDropHandle<()>>,
    _link: AbortOnDropHandle<()>,
}

impl Tasks {
    /// Starts with the link.
    pub(super) fn start(workers: Workers, client: Client, messages: mpsc::Sender<Message>) -> Self {
        let reconnect = Arc::new(Notify::new());
        let waiting = messages.clone();
        // Where no message has room the console has more to show than that.
        let client = client.saying(move |told| drop(waiting.try_send(Message::Waiting(told.text()))));
        let link = workers.spawn(link::keep(client.clone(), messages.clone(), reconnect.clone()));
        Self { workers, client, messages, reconnect, running: HashMap::new(), _link: link }
    }

    /// Begins, or ends, what an update asks for.
    pub(super) fn begin(&mut self, effect: Effect) {
        let client = self.client.clone();
        match effect {
            Effect::Ask(ticket, what) => self.answer(ticket, async move { ask(&client, what).await }),
            Effect::AskSoon(ticket, what) => self.answer(ticket, async move {
                sleep(SOON).await;
                ask(&client, what).await
            }),
            Effect::Send(ticket, what) => {
                tracing::info!("asked for {}", what.describe());
                self.answer(ticket, async move { send(&client, what).await });
            }
            Effect::Follow(ticket, source, resume) => {
                let messages = self.messages.clone();
                self.spawn(ticket, async move {
                    let ended = follow(&client, &messages, ticket, &source, resume).await;
                    drop(messages.send(Message::Ended(ticket, ended.err().map(Problem::from))).await);
                });
            }
            Effect::Drop(ticket) => drop(self.running.remove(&ticket)),
            Effect::Reconnect => self.reconnect.notify_one(),
            Effect::OwnLog(_) | Effect::Repaint | Effect::Stop | Effect::Quit => {}
        }
    }

    /// Forgets what has ended.
    pub(super) fn answered(&mut self, message: &Message) {
        if let Message::Answered(ticket, _) | Message::Ended(ticket, _) = message {
            self.running.remove(ticket);
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: impl Future<Output = Result<Answer, Problem>> + Send + 'static) {
        let messages = self.messages.clone();
        self.spawn(ticket, async move {
            let answer = answer.await;
            if let Err(problem) = &answer {
                tracing::warn!("{}", problem.message);
            }
            drop(messages.send(Message::Answered(ticket, answer)).await);
        });
    }

    fn spawn(&mut self, ticket: Ticket, task: impl Future<Output = ()> + Send + 'static) {
        self.running.insert(ticket, self.workers.spawn(task));
    }
}

async fn ask(client: &Client, what: Ask) -> Result<Answer, Problem> {
    let answer = match what {
        Ask::Diff(of, revision) => {
            let answer: DiffAnswer = client.get(&routes::DIFF.of_with(&of.into(), &AtRevision { revision })).await?;
            Answer::Diff(Box::new(beside(move || diff::document(answer)).await?))
        }
        Ask::Manifests(of, revision) => {
            let answer = client.get(&routes::MANIFESTS.of_with(&of.into(), &AtRevision { revision })).await?;
            Answer::Text(Box::new(beside(move || text::document(answer)).await?))
        }
        Ask::Object(of, resource) => {
            let answer = client.get(&routes::OBJECT.of_with(&of.into(), &resource)).await?;
            Answer::Text(Box::new(beside(move || text::document(answer)).await?))
        }
        Ask::History(of) => {
            let limit = Limit { limit: Some(SYNCS_ASKED) };
            Answer::History(client.get(&routes::HISTORY.of_with(&of.into(), &limit)).await?)
        }
        Ask::Images(of) => {
            let limit = Limit { limit: Some(SYNCS_ASKED) };
            Answer::Images(client.get(&routes::IMAGES.of_with(&of.into(), &limit)).await?)
        }
        Ask::Packages(run) => {
            let answer = client.get(&routes::PACKAGES.of(&run.into())).await?;
            Answer::Packages(Box::new(beside(move || packages::document(answer)).await?))
        }
        Ask::Events(of, before) => {
            let before = before.map(TypedId::from);
            let events =
                EventsQuery { limit: Some(EVENTS_ASKED), before, ..EventsQuery::about(of.as_ref().map(Address::from)) };
            Answer::Events(client.get(&routes::EVENTS.with(&events)).await?)
        }
    };
    Ok(answer)
}

/// Does what takes long beside the loop.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem { message: format!("the answer could not be made ready: {error}"), hints: Vec::new() })
}

async fn send(client: &Client, what: Act) -> Result<Answer, Problem> {
    let words = what.describe();
    let accepted: Result<Accepted, ClientError> = match what {
        Act::Sync(of, body) => post(client, &routes::SYNC.of(&of.into()), &body).await,
        Act::Build(name, body) => post(client, &routes::BUILD.of(&name), &body).await,
        Act::Push(name, body) => post(client, &routes::PUSH.of(&name), &body).await,
        Act::Rollback(of, body) => post(client, &routes::ROLLBACK.of(&of.into()), &body).await,
        Act::Suspend(of, body) => post(client, &routes::SUSPEND.of(&of.into()), &body).await,
        Act::Unpin(of) => client.post_empty(&routes::UNPIN.of(&of.into())).await,
        Act::Test(of) => client.post_empty(&routes::TEST.of(&of.into())).await,
        Act::Resume(of) => client.post_empty(&routes::RESUME.of(&of.into())).await,
        Act::Refresh(name) => client.post_empty(&routes::REFRESH.of(&name)).await,
        Act::Cancel(run) => client.post_empty(&routes::CANCEL.of(&run.into())).await,
        Act::Retry(run) => client.post_empty(&routes::RETRY.of(&run.into())).await,
        Act::Allow(run) => client.post_empty(&routes::ALLOW.of(&run.into())).await,
    };
    match accepted {
        Ok(accepted) => Ok(Answer::Accepted(accepted)),
        Err(error) => {
            let Problem { message, hints } = Problem::from(error);
            Err(Problem { message: format!("{words}: {message}"), hints })
        }
    }
}

async fn post(client: &Client, path: &str, body: &impl Serialize) -> Result<Accepted, ClientError> {
    client.post(path, body).await
}

/// Follows a log to its end.
async fn follow(
    client: &Client,
    messages: &mpsc::Sender<Message>,
    ticket: Ticket,
    source: &Source,
    resume: Resume,
) -> Result<(), ClientError> {
    let mut records = client.stream::<LogRecord>(&log_path(source, resume, Timestamp::now()), None).await?;
    // The head of the stream came: that nothing was written is known from now on.
    drop(messages.send(Message::Lines(ticket, Vec::new())).await);
    let mut known = if let Resume::After(lines) = resume { lines } else { 0 };
    while let Some(first) = records.next().await? {
        let mut batch = vec![first];
        while batch.len() < LINES_AT_ONCE
            && let Some(record) = records.ready()?
        {
            batch.push(record);
        }
        if known > 0 {
            batch.retain(|record| match record {
                LogRecord::Line { .. } if known > 0 => {
                    known -= 1;
                    false
                }
                _ => true,
            });
        }
        if messages.send(Message::Lines(ticket, batch)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn log_path(source: &Source, resume: Resume, now: Timestamp) -> String {
    /// Clocks of machines differ a little; what is sent twice by it is left out by the time of each line.
    const GRACE_SECONDS: u64 = 5;
    let since_seconds = match resume {
        // A last line of the future is of another clock, or ours was set back: nothing tells how long ago it was. Then the
        // newest lines come as at first, and those that are here already are left out all the same.
        Resume::Since(last) => {
            let seconds = u64::try_from(now.duration_since(last).as_secs());
            seconds.ok().filter(|_| last <= now).map(|seconds| seconds + GRACE_SECONDS)
        }
        Resume::Fresh | Resume::After(_) => None,
    };
    match source {
        Source::Pods { of, pod, previous } => {
            let log = LogQuery {
                pod: pod.as_deref().map(str::to_owned),
                container: None,
                follow: !previous,
                tail: since_seconds.is_none().then_some(TAIL),
                since_seconds,
                previous: *previous,
            };
            routes::POD_LOG.of_with(&of.clone().into(), &log)
        }
        Source::Run { run, .. } => routes::RUN_LOG.of_with(&(*run).into(), &LogOptions { follow: true, tail: None }),
        Source::Agent => routes::AGENT_LOG.with(&LogOptions { follow: true, tail: Some(TAIL) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn a_log_is_taken_up_whatever_the_clock_did() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let source = Source::Pods { of: fixture::id("shop/prod"), pod: None, previous: false };
        let asked = |resume| log_path(&source, resume, at(100_000));
        let fresh = asked(Resume::Fresh);
        assert!(fresh.contains(&format!("tail={TAIL}")) && !fresh.contains("since"), "{fresh}");
        let soon = asked(Resume::Since(at(99_980)));
        assert!(soon.contains("since_seconds=25") && !soon.contains("tail"), "{soon}");
        // An hour back, a day forward.
        assert_eq!(asked(Resume::Since(at(103_600))), fresh);
        let forward = asked(Resume::Since(at(13_600)));
        assert!(forward.contains("since_seconds=86405"), "{forward}");
    }
}
