//! The link and the tasks against a stand-in agent on a real socket, and when the loop draws.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::StatusCode;
use quarterdeck_shared::protocol::{LogRecord, Role, VersionAnswer, WIRE_VERSION, WatchRecord};
use quarterdeck_shared::snapshot::RunId;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::effect::{Answer, Ask, Asker, Ticket};
use crate::message::LinkMessage;
use crate::model::act::Act;
use crate::model::fixture;
use crate::model::log::{Resume, Source};
use crate::standin::{Reply, StandIn};

/// Nothing here takes longer, unless it never comes.
const SOON: Duration = Duration::from_secs(10);

fn version() -> Reply {
    Reply::json(&VersionAnswer {
        wire: WIRE_VERSION,
        agent: "0.1.0".to_owned(),
        pid: 7,
        started: fixture::now(),
        history: fixture::HISTORY,
        role: Role::Operator,
    })
}

fn bookmark(revision: u64) -> WatchRecord {
    WatchRecord::Bookmark { revision }
}

/// Keeps a link to a stand-in; its messages come back.
fn link(socket: std::path::PathBuf) -> (mpsc::Receiver<Message>, Arc<Notify>, AbortOnDropHandle<()>) {
    let (sender, messages) = mpsc::channel(1);
    let now = Arc::new(Notify::new());
    let kept = tokio::spawn(link::keep(Client::new(vec![socket]), sender, now.clone()));
    (messages, now, AbortOnDropHandle::new(kept))
}

async fn heard(messages: &mut mpsc::Receiver<Message>) -> String {
    let message = timeout(SOON, messages.recv()).await.expect("a message comes soon").expect("the link goes on");
    match message {
        Message::Link(LinkMessage::Hello(role)) => format!("hello {role:?}"),
        Message::Link(LinkMessage::State(state)) => format!("state {} {}", state.epoch, state.revision),
        Message::Link(LinkMessage::Records(records)) => format!("{} records", records.len()),
        Message::Link(LinkMessage::Lost { attempts, problem }) => {
            format!("lost {attempts}, {} hints", problem.hints.len())
        }
        Message::Link(LinkMessage::Incompatible(problem)) => format!("incompatible: {}", problem.hints.join(" ")),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_broke_off() {
    let agent = StandIn::start(|asked| match asked {
        "GET /v1/version" => version(),
        "GET /v1/state" => Reply::json(&fixture::state()),
        "GET /v1/watch?epoch=one&since=1" => Reply::records(&[bookmark(2), bookmark(5)]),
        "GET /v1/watch?epoch=one&since=5" => Reply::open(&[bookmark(6)]),
        other => panic!("nobody should ask for {other}"),
    });
    let (mut messages, _, _link) = link(agent.socket());
    let mut story = Vec::new();
    for _ in 0..8 {
        story.push(heard(&mut messages).await);
    }
    // How many records come in one batch is left to the moment.
    let story: Vec<&str> = story.iter().map(String::as_str).filter(|line| !line.ends_with("records")).collect();
    assert_eq!(story[..4], ["hello Operator", "state one 1", "lost 1, 0 hints", "hello Operator"]);
    let asked = agent.asked();
    assert_eq!(asked.iter().filter(|line| *line == "GET /v1/state").count(), 1, "{asked:?}");
}

#[tokio::test]
async fn what_is_too_old_is_listed_again() {
    let agent = StandIn::start(|asked| match asked {
        "GET /v1/version" => version(),
        "GET /v1/state" => Reply::json(&fixture::state()),
        _ => Reply::error(410, "gone", "revision 1 is of another life", ""),
    });
    let (mut messages, _, _link) = link(agent.socket());
    assert_eq!(heard(&mut messages).await, "hello Operator");
    for _ in 0..3 {
        assert_eq!(heard(&mut messages).await, "state one 1");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_looked_for() {
    let folder = tempfile::tempdir().expect("a folder for a socket");
    let (mut messages, now, _link) = link(folder.path().join("agent.sock"));
    for attempts in 1..=3 {
        assert_eq!(heard(&mut messages).await, format!("lost {attempts}, 3 hints"));
        now.notify_one();
    }
}

#[tokio::test]
async fn an_agent_of_another_version_is_told_with_what_to_do() {
    let agent = StandIn::start(|_| Reply::Answer(StatusCode::OK, Some(WIRE_VERSION + 1), "{}".to_owned()));
    let (mut messages, _, _link) = link(agent.socket());
    assert_eq!(heard(&mut messages).await, "incompatible: install the qd that came with that agent");
}

/// Runs tasks against a stand-in until the request is answered.
async fn done(agent: StandIn, effect: Effect) -> Vec<Message> {
    let (sender, mut messages) = mpsc::channel(8);
    let workers = Workers::start().expect("a thread");
    let mut tasks = Tasks::start(workers, Client::new(vec![agent.socket()]), sender);
    tasks.begin(effect);
    let mut all = Vec::new();
    loop {
        let message = timeout(SOON, messages.recv()).await.expect("an answer comes soon").expect("the tasks go on");
        match message {
            Message::Link(_) => {}
            Message::Lines(_, lines) if lines.is_empty() => {}
            Message::Answered(..) | Message::Ended(..) => {
                all.push(message);
                return all;
            }
            message => all.push(message),
        }
    }
}

const TICKET: Ticket = Ticket { asker: Asker::Screen(4), number: 9 };

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_come_ready_for_drawing() {
    let agent = StandIn::start(|asked| match asked {
        "GET /v1/environments/shop/prod/diff?revision=1f3c2a9" => Reply::json(&fixture::diff()),
        _ => Reply::Never,
    });
    let ask = Ask::Diff(fixture::id("shop/prod"), Some("1f3c2a9".to_owned()));
    let messages = done(agent, Effect::Ask(TICKET, ask)).await;
    let [Message::Answered(TICKET, Ok(Answer::Diff(document)))] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(document.objects.len(), fixture::diff().objects.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_refusal_is_told_with_its_hint() {
    let agent = StandIn::start(|asked| match asked {
        "POST /v1/environments/shop/prod/resume " | "POST /v1/environments/shop/prod/resume" => {
            Reply::error(403, "forbidden", "resume requires role approver", "ask carol")
        }
        _ => Reply::Never,
    });
    let messages = done(agent, Effect::Send(TICKET, Act::Resume(fixture::id("shop/prod")))).await;
    let [Message::Answered(TICKET, Err(problem))] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(problem.message, "resume of shop/prod: resume requires role approver");
    assert_eq!(problem.hints, ["ask carol"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_log_that_is_sent_from_its_beginning_is_taken_up_after_what_is_known() {
    let line = |n: u64| LogRecord::Line { at: None, from: "build".into(), text: n.to_string().into() };
    let agent = StandIn::start(move |asked| match asked {
        asked if asked == format!("GET /v1/runs/{}-7/log?follow=true", fixture::HISTORY) => {
            Reply::records(&(0..1_500).map(line).collect::<Vec<_>>())
        }
        _ => Reply::Never,
    });
    let source = Source::Run { of: fixture::name("shop"), run: RunId::new(fixture::HISTORY, 7) };
    let messages = done(agent, Effect::Follow(TICKET, source, Resume::After(1_000))).await;
    let Some(Message::Ended(TICKET, None)) = messages.last() else { panic!("{messages:?}") };
    let lines: Vec<LogRecord> = messages
        .into_iter()
        .flat_map(|message| if let Message::Lines(_, lines) = message { lines } else { Vec::new() })
        .collect();
    assert_eq!(lines, (1_000..1_500).map(line).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_nobody_waits_for_is_not_asked_to_its_end() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let agent = StandIn::start(|asked| {
        if asked.starts_with("GET /v1/events") {
            ASKED.fetch_add(1, Ordering::SeqCst);
        }
        Reply::json(&fixture::events())
    });
    let (sender, mut messages) = mpsc::channel(8);
    let workers = Workers::start().expect("a thread");
    let mut tasks = Tasks::start(workers, Client::new(vec![agent.socket()]), sender);
    tasks.begin(Effect::AskSoon(TICKET, Ask::Events(None, None)));
    tasks.begin(Effect::Drop(TICKET));
    let other = Ticket { number: 10, ..TICKET };
    tasks.begin(Effect::AskSoon(other, Ask::Events(None, None)));
    loop {
        let message = timeout(SOON, messages.recv()).await.expect("an answer comes soon").expect("the tasks go on");
        if let Message::Answered(ticket, _) = message {
            assert_eq!(ticket, other);
            break;
        }
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
}

#[test]
fn a_frame_earns_the_next_by_its_bytes_and_a_key_never_waits() {
    let mut pace = Pace::default();
    assert!(!pace.is_due(), "nothing is drawn for nothing");
    pace.dirty();
    assert!(pace.is_due(), "the first change is drawn at once");
    let began = Instant::now();
    pace.drawn(began, 1_000_000, None);
    assert_eq!(pace.wake_at(), None, "what does not age wakes nobody");
    pace.dirty();
    assert!(!pace.is_due(), "a large frame must be carried before the next");
    let wait = pace.wake_at().expect("a change waits").duration_since(began);
    assert!(wait >= FRAME_MOST && wait < FRAME_MOST * 2, "{wait:?}");
    pace.hurry();
    assert!(pace.is_due(), "a key is painted at once");
    pace.drawn(Instant::now(), 100, Some(Duration::from_secs(3)));
    assert!(pace.wake_at().is_some(), "what ages wakes when it does");
}
