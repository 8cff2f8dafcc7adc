//! What each command says and exits with where the agent is away, of another version, slow, mad, or the reader leaves.

use std::io::{self, Write};

use clap::Parser as _;
use http::StatusCode;
use serde_json::json;

use super::*;
use crate::cli::Cli;
use crate::client::Limits;

/// A command line of every command that asks the agent.
const ALL: &[&str] = &[
    "status",
    "status shop",
    "diff shop",
    "sync shop",
    "sync shop --dry-run",
    "sync shop --wait",
    "sync shop --only Job/x",
    "adopt shop",
    "adopt shop --dry-run",
    "build shop",
    "push shop",
    "runs",
    "runs show 1",
    "runs log 1",
    "runs cancel 1",
    "history shop",
    "rollback shop",
    "test shop",
    "delete shop --yes",
    "unpin shop",
    "suspend shop",
    "resume shop",
    "refresh shop",
    "pods",
    "images",
    "sources",
    "logs shop",
    "events",
    "events -f",
    "manifests shop",
    "api GET /v1/state",
    "doctor",
    "gc",
    "gc --dry-run",
    "version",
];

#[test]
fn no_command_is_forgotten() {
    use clap::CommandFactory;
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let asks = ALL.iter().any(|line| line.split(' ').next() == Some(name));
        assert!(asks || name == "completions", "{name} is in none of the lines");
    }
}

#[tokio::test]
async fn without_an_agent_each_command_says_so_and_how_to_start_one() {
    let agent = StandIn::start(|_| Reply::Never);
    let socket = agent.socket();
    drop(agent);
    for line in ALL {
        let words = ["qd", "--socket", socket.to_str().unwrap()].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words).unwrap();
        let (out, err) = (Page::default(), Page::default());
        let mut context = Context {
            client: Client::new(crate::client::socket_candidates(cli.socket.as_deref())),
            output: Output::new(Box::new(out.clone()), Box::new(err.clone()), Dress::default(), None),
            clock: Timestamp::now,
            zone: || TimeZone::UTC,
            read_line: None,
        };
        let exit = run_in(&cli, &mut context).await;
        assert_eq!(exit, Exit::NoAgent, "{line}");
        let err = err.text();
        assert!(err.starts_with("qd: no agent answers: "), "{line}: {err}");
        assert!(err.contains("start one: qd-agent run"), "{line}: {err}");
        assert!(out.text().is_empty() || *line == "version", "{line}: {}", out.text());
    }
}

#[tokio::test]
async fn an_agent_of_another_version_is_told_by_each_command() {
    let agent = StandIn::start(|_| Reply::Answer(StatusCode::OK, Some(9), "{}".to_owned()));
    for line in ALL.iter().filter(|line| !line.starts_with("api")) {
        let ran = qd(&agent, line).await;
        assert_eq!(ran.exit, 3, "{line}");
        assert!(ran.err.contains("speaks version 9 of the wire; this qd speaks version 1"), "{line}: {}", ran.err);
        assert!(ran.err.contains("install the qd that came with that agent"), "{line}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_slow_agent_is_told_by_each_command() {
    let agent = StandIn::start(|_| Reply::Never);
    each_gives_up(&agent.socket()).await;
}

/// A process that is stopped: its socket takes connections, and nothing comes back. Reads give up early.
#[tokio::test]
async fn a_frozen_agent_is_told_by_each_command_and_reads_give_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = crate::standin::socket_in(folder.path());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    each_gives_up(&socket).await;
}

/// Runs each command where nothing is answered: reads give up after some milliseconds, changes after a second.
async fn each_gives_up(socket: &std::path::Path) {
    let limits = || Limits {
        notice: Duration::from_millis(20),
        read: Duration::from_millis(40),
        answer: Duration::from_secs(1),
        ..Limits::default()
    };
    let all = ALL.iter().map(|line| async move {
        let cli = Cli::try_parse_from(["qd"].into_iter().chain(line.split(' '))).unwrap();
        let err = Page::default();
        let output = Output::new(Box::new(Page::default()), Box::new(err.clone()), Dress::default(), None);
        let aside = output.aside();
        let client = Client::with_limits(vec![socket.to_owned()], limits());
        let mut context = Context {
            client: client.saying(move |waiting| aside.say(&waiting.with_way_out())),
            output,
            clock: Timestamp::now,
            zone: || TimeZone::UTC,
            read_line: None,
        };
        assert_eq!(run_in(&cli, &mut context).await, Exit::NoAgent, "{line}");
        let err = err.text();
        assert!(err.starts_with("the agent has not answered for "), "{line}: {err}");
        // The listener is this process: its number is told, and where to look.
        assert!(err.contains(&format!("(process {}) did not answer", std::process::id())), "{line}: {err}");
        let changes = err.contains(" did not answer POST ");
        assert_eq!(err.contains("may or may not be carried out"), changes, "{line}: {err}");
        assert_eq!(err.contains("may still be carried out"), changes, "{line}: {err}");
        assert!(err.contains(if changes { " within 1 s" } else { " within 0 s" }), "{line}: {err}");
    });
    futures::future::join_all(all).await;
}

/// What takes an agent long that is alive is waited for.
#[tokio::test]
async fn slow_work_of_an_agent_that_is_alive_is_waited_for() {
    // The answer comes once the agent was asked whether it is alive.
    let asked_beside = std::sync::Arc::new(tokio::sync::Notify::new());
    let agent = StandIn::start(move |asked| match asked {
        "GET /v1/environments/shop/diff" => Reply::After(asked_beside.clone(), Box::new(world::answer(asked))),
        "GET /v1/version" => {
            asked_beside.notify_one();
            world::answer(asked)
        }
        other => panic!("nobody should ask for {other}"),
    });
    let limits = Limits { notice: Duration::from_millis(20), ..Limits::default() };
    let client = Client::with_limits(vec![agent.socket()], limits);
    let answer: quarterdeck_shared::protocol::DiffAnswer = client.get("/v1/environments/shop/diff").await.unwrap();
    assert_eq!(answer.environment.to_string(), "shop/prod");
    assert!(agent.asked().contains(&"GET /v1/version".to_owned()), "{:?}", agent.asked());
}

/// A disk that is full under the answer.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        // ENOSPC
        Err(io::Error::from_raw_os_error(28))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_says_why() {
    let agent = StandIn::start(world::answer);
    for line in ["status", "status -o json", "events", "diff shop", "runs", "pods -o name"] {
        let cli = Cli::try_parse_from(["qd"].into_iter().chain(line.split(' '))).unwrap();
        let err = Page::default();
        let out = io::BufWriter::new(Full);
        let mut context = context(&agent, Box::new(out), err.clone(), None);
        let exit = if line.starts_with("diff") { Exit::Usage } else { Exit::Failed };
        assert_eq!(run_in(&cli, &mut context).await, exit, "{line}");
        let err = err.text();
        assert!(err.ends_with("qd: cannot write: no space left on device\n"), "{line}: {err}");
    }
}

#[tokio::test]
async fn a_mad_agent_is_told_by_each_command() {
    let garbage = "\u{1b}[2J<html>\u{202e}".to_owned();
    let agent = StandIn::start(move |_| Reply::Answer(StatusCode::OK, Some(1), garbage.clone()));
    for line in ALL.iter().filter(|line| !line.starts_with("api")) {
        let ran = qd(&agent, line).await;
        assert_eq!(ran.exit, if line.starts_with("diff") { 2 } else { 1 }, "{line}");
        assert!(ran.err.contains("cannot be read"), "{line}: {}", ran.err);
    }
    let ran = qd(&agent, "api GET /v1/state").await;
    assert_eq!(ran.out, "^[[2J<html><U+202E>\n");
}

/// A reader that leaves after so many bytes.
struct Leaves(usize);

impl Write for Leaves {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.min(bytes.len()) {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            n => {
                self.0 -= n;
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_leaves_is_left_in_peace() {
    let agent = StandIn::start(|asked| match asked {
        "GET /v1/environments/shop/logs?follow=true" => {
            Reply::open(&[json!({"type": "line", "from": "x/y", "text": "words"})])
        }
        asked => world::answer(asked),
    });
    for line in ["status", "status -o json", "events", "diff shop", "logs shop -f", "manifests shop", "pods"] {
        let cli = Cli::try_parse_from(["qd"].into_iter().chain(line.split(' '))).unwrap();
        let err = Page::default();
        let mut context = context(&agent, Box::new(Leaves(3)), err.clone(), None);
        assert_eq!(run_in(&cli, &mut context).await, Exit::PipeClosed, "{line}");
        assert!(!err.text().contains("qd:"), "{line}: {}", err.text());
    }
}

#[tokio::test]
async fn no_answer_reaches_a_terminal_raw() {
    let agent = StandIn::start(world::answer);
    for line in [
        "status",
        "status billing",
        "pods",
        "pods -o json",
        "status -o json",
        "runs log 17",
        "runs log 17 --steps",
        "logs shop",
        "logs shop -o json",
        "api GET /v1/state",
        "api GET /v1/runs/17/log",
    ] {
        for terminal in [None, Some(80)] {
            let ran = qd_on(&agent, line, terminal).await;
            let raw = |c: char| c != '\n' && crate::text::is_control(c);
            assert!(!ran.out.contains(raw) && !ran.err.contains(raw), "{line}: {ran:?}");
        }
    }
}
