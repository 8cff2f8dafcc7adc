//! Every command against a stand-in agent on a real socket: what it prints, asks, and exits with.
//!
//! A test is a transcript: command lines, and below each what came out on standard output, on standard error (`!`), and
//! the exit code. One snapshot a command, to be read as a person would read their terminal.

mod faults;
mod wait;
mod world;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::cli;
use crate::output::Dress;
use crate::run_in;
use crate::standin::{Reply, StandIn};

/// What a command did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) exit: u8,
    pub(super) out: String,
    pub(super) err: String,
}

/// Something that is written to and read by a test.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A context that writes to these pages.
pub(super) fn context(agent: &StandIn, out: Box<dyn Write + Send>, err: Page, terminal: Option<usize>) -> Context {
    let dress = Dress { colours: false, signs: terminal.is_some() };
    let output = Output::new(out, Box::new(err), dress, terminal);
    let aside = output.aside();
    let client = Client::new(vec![agent.socket()]);
    Context {
        client: client.saying(move |waiting| aside.say(&waiting.with_way_out())),
        output,
        clock: || world::NOW.parse().unwrap(),
        zone: || TimeZone::UTC,
        read_line: None,
    }
}

/// Runs `qd` with these words, in a pipe or on a terminal so many columns wide.
pub(super) async fn qd_on(agent: &StandIn, line: &str, terminal: Option<usize>) -> Ran {
    qd_asking(agent, line, terminal, None).await
}

/// The same where somebody answers questions.
async fn qd_asking(agent: &StandIn, line: &str, terminal: Option<usize>, read_line: Option<ReadLine>) -> Ran {
    let words = std::iter::once("qd").chain(line.split_whitespace()).map(OsString::from);
    let (cli, as_json) = cli::parse(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    let (out, err) = (Page::default(), Page::default());
    let mut context = context(agent, Box::new(out.clone()), err.clone(), terminal);
    context.output.errors_as_json = as_json;
    context.read_line = read_line;
    let exit = run_in(&cli, &mut context).await;
    let hide = |text: String| text.replace(&agent.socket().display().to_string(), "SOCKET");
    Ran { exit: exit as u8, out: hide(out.text()), err: hide(err.text()) }
}

/// Runs `qd` with these words in a pipe.
pub(super) async fn qd(agent: &StandIn, line: &str) -> Ran {
    qd_on(agent, line, None).await
}

/// A transcript of these command lines.
async fn transcript(agent: &StandIn, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        // `80> status` is on a terminal of 80 columns.
        let (terminal, line) = match line.split_once("> ") {
            Some((columns, line)) => (Some(columns.parse().unwrap()), line),
            None => (None, *line),
        };
        let ran = qd_on(agent, line, terminal).await;
        let place = terminal.map(|columns| format!("  ({columns} columns)")).unwrap_or_default();
        text += &format!("$ qd {line}{place}\n{}", ran.out);
        ran.err.lines().for_each(|line| text += &format!("! {line}\n"));
        text += &format!("= {}\n\n", ran.exit);
    }
    text
}

/// Holds a transcript against its snapshot.
pub(super) async fn check(name: &str, agent: &StandIn, lines: &[&str]) {
    insta::assert_snapshot!(name, transcript(agent, lines).await);
}

#[tokio::test]
async fn status() {
    let agent = StandIn::start(world::answer);
    check(
        "status",
        &agent,
        &[
            "status",
            "80> status",
            "200> status",
            "status -o wide",
            "status -o name",
            "status shop",
            "100> status billing",
            "status cart -o name",
            "status cart -o wide",
            "status shpo",
        ],
    )
    .await;
    check("status_json", &agent, &["status -o json", "status shop -o json"]).await;
}

#[tokio::test]
async fn what_cannot_be_seen_is_told_by_every_form() {
    let agent = StandIn::start(|_| Reply::json(&world::blind()));
    check(
        "status_unseen",
        &agent,
        &[
            "status",
            "80> status",
            "120> status",
            "status -o wide",
            "status shop",
            "80> status cart",
            "status search",
            "pods",
        ],
    )
    .await;
    let all: serde_json::Value = serde_json::from_str(&qd(&agent, "status -o json").await.out).unwrap();
    let one: serde_json::Value = serde_json::from_str(&qd(&agent, "status shop -o json").await.out).unwrap();
    let shop = all.as_array().unwrap().iter().find(|one| one["environment"] == "shop/prod").unwrap();
    assert_eq!(*shop, one);
    assert_eq!(one["unseen"][0]["of"], "watch");
    assert_eq!(one["unseen"][0]["last_seen"], "2026-11-23T12:04:20Z");
    assert_eq!(one["last_known"]["health"], "Healthy");
}

#[tokio::test]
async fn status_of_nothing() {
    let agent = StandIn::start(|_| Reply::json(&world::empty()));
    check("status_of_nothing", &agent, &["status", "status -o json", "status shop", "pods"]).await;
}

#[tokio::test]
async fn pods() {
    let agent = StandIn::start(world::answer);
    check(
        "pods",
        &agent,
        &[
            "pods",
            "90> pods shop",
            "pods cart -o wide",
            "pods -o name",
            "pods cart -o json",
            "pods billing",
            "pods nosuch",
        ],
    )
    .await;
}

#[tokio::test]
async fn runs() {
    let agent = StandIn::start(world::answer);
    check(
        "runs",
        &agent,
        &[
            "runs",
            "100> runs shop",
            "runs -o wide",
            "runs -o name",
            "runs -n 5 shop -o json",
            "runs -n 1 --before 18",
            "runs --before #k7x2m-17",
            "runs show 17",
            "runs show #k7x2m-17 -o json",
            "runs log 17",
            "runs log run/17 -f -o json",
            "runs log 17 --steps",
            "runs log 17 --steps -o json",
            "runs log 18 --steps",
            "runs cancel 18",
            "runs cancel 18 -o json",
            "runs show 99",
            "100> runs packages 17",
            "runs packages 17 -o wide",
            "runs packages 17 -o name",
            "runs packages 17 -o json",
            "runs packages 18",
        ],
    )
    .await;
    assert!(agent.asked().contains(&"GET /v1/runs?application=shop&limit=5".to_owned()));
    assert!(agent.asked().contains(&"GET /v1/runs/17/log?follow=true".to_owned()));
    assert!(agent.asked().contains(&"POST /v1/runs/18/cancel".to_owned()));
}

#[tokio::test]
async fn history() {
    let agent = StandIn::start(world::answer);
    check(
        "history",
        &agent,
        &[
            "history shop",
            "80> history shop",
            "history shop -o wide",
            "history shop -o name",
            "history shop -n 1 -o json",
            "history shop --images",
            "history shop --images -n 1 -o json",
            "history search",
            "history nosuch",
        ],
    )
    .await;
}

#[tokio::test]
async fn diff() {
    let agent = StandIn::start(world::answer);
    check(
        "diff",
        &agent,
        &[
            "diff shop",
            "diff shop --revision release/1 -o json",
            "diff search",
            "diff nosuch",
            "sync shop --dry-run",
            "100> sync shop --dry-run",
            "sync shop --dry-run -o json",
        ],
    )
    .await;
    assert_eq!(agent.asked()[1], "GET /v1/environments/shop/diff?revision=release%2F1");
}

#[tokio::test]
async fn adopt() {
    let agent = StandIn::start(world::answer);
    let lines = ["adopt shop --dry-run", "adopt shop --yes", "adopt shop", "adopt search --yes", "adopt till --yes"];
    check("adopt", &agent, &lines).await;
    let posts: Vec<_> = agent.asked().into_iter().filter(|asked| asked.starts_with("POST")).collect();
    assert_eq!(posts, ["POST /v1/environments/shop/prod/adopt"], "of all these only what was confirmed");
    let (yes, no): (ReadLine, ReadLine) =
        (|| Box::pin(async { Ok("y\n".to_owned()) }), || Box::pin(async { Ok("\n".to_owned()) }));
    for (answer, posted) in [(yes, 1), (no, 0)] {
        let agent = StandIn::start(world::answer);
        let ran = qd_asking(&agent, "adopt shop", Some(80), Some(answer)).await;
        assert!(ran.exit == 0 && ran.err.contains("adopt 3 objects? [y/N]"), "{ran:?}");
        assert_eq!(agent.asked().iter().filter(|asked| asked.starts_with("POST")).count(), posted);
    }
    let json = qd(&agent, "adopt shop --dry-run -o json").await;
    let answer: quarterdeck_shared::protocol::AdoptionAnswer = serde_json::from_str(&json.out).unwrap();
    assert_eq!((answer.pending(), json.exit), (3, 0));
}

#[tokio::test]
async fn acts() {
    let agent = StandIn::start(world::answer);
    check(
        "acts",
        &agent,
        &[
            "sync shop",
            "sync shop --prune --full -o json",
            "sync shop --only deployment/shop --only /ConfigMap/prod/flags",
            "sync shop --only Job/nosuch",
            "sync shop --only Service/twin",
            "build shop",
            "push shop push-1.4.0 --rebuild -o json",
            "rollback shop",
            "rollback shop #41 --reason broken -o json",
            "unpin shop",
            "suspend shop --reason fire",
            "resume shop -o json",
            "refresh shop",
            "sync locked",
        ],
    )
    .await;
    let posts: Vec<_> = agent.asked().into_iter().filter(|asked| asked.starts_with("POST")).collect();
    insta::assert_snapshot!("acts_asked", posts.join("\n"));
}

#[tokio::test]
async fn several_environments() {
    let agent = StandIn::start(world::answer);
    check(
        "several",
        &agent,
        &[
            "status media",
            "100> status media",
            "status media -o name",
            "status media/prod",
            "status media/stage",
            "status tools",
            "pods media",
            "pods media/stage",
            "diff media",
            "history media",
            "manifests media",
            "logs media",
            "rollback media",
            "unpin media",
            "sync media",
            "sync media --only Job/x",
            "sync media --dry-run",
            "suspend media",
            "resume media",
            "sync media/qa",
            "rollback media/prod",
            "sync shop/qa --all",
            "sync tools --all",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_person_is_asked_which_and_a_program_is_not() {
    let posted = async |line: &str, answer: ReadLine| {
        let agent = StandIn::start(world::answer);
        let ran = qd_asking(&agent, line, Some(80), Some(answer)).await;
        let asked = agent.asked().into_iter().filter(|asked| asked.starts_with("POST /v1/environments/media/"));
        (ran.exit, ran.err.contains("2  media/prod\nwhich one?"), asked.count())
    };
    let (second, all, nothing, odd): (ReadLine, ReadLine, ReadLine, ReadLine) = (
        || Box::pin(async { Ok("2\n".to_owned()) }),
        || Box::pin(async { Ok("all\n".to_owned()) }),
        || Box::pin(async { Ok(String::new()) }),
        || Box::pin(async { Ok("stage\n".to_owned()) }),
    );
    for (line, answer, wanted) in [
        // Where none is named, the agent refuses one request first.
        ("sync media", second, (0, true, 1 + 1)),
        ("sync media --dry-run", odd, (2, true, 0)),
        ("suspend media", all, (0, true, 1 + 2)),
        ("suspend media", nothing, (2, true, 1)),
        ("sync media -o json", second, (2, false, 1)),
        ("sync media/qa", second, (0, false, 1)),
    ] {
        let (exit, was_asked, posts) = posted(line, answer).await;
        assert_eq!((exit, was_asked, posts), wanted, "{line}");
    }
}

#[tokio::test]
async fn all_environments() {
    let agent = StandIn::start(world::answer);
    check(
        "all",
        &agent,
        &[
            "sync media --all",
            "sync media --all --prune -o json",
            "suspend media --all --reason fire",
            "resume media --all",
            "sync shop --all",
        ],
    )
    .await;
    let posts: Vec<_> = agent.asked().into_iter().filter(|asked| asked.starts_with("POST")).collect();
    insta::assert_snapshot!("all_asked", posts.join("\n"));
}

#[tokio::test]
async fn logs() {
    let agent = StandIn::start(world::answer);
    check(
        "logs",
        &agent,
        &[
            "logs shop",
            "logs shop shop-7b46-x9k",
            "logs shop --timestamps",
            "logs shop -o json",
            "logs shop pod/shop-7b46-x9k -c app -f --tail 10 --since 1m -p --prefix",
            "logs nosuch",
        ],
    )
    .await;
    assert_eq!(
        agent.asked()[4],
        "GET /v1/environments/shop/logs?pod=shop-7b46-x9k&container=app&follow=true&tail=10&since_seconds=60&previous=true"
    );
}

#[tokio::test]
async fn events() {
    let agent = StandIn::start(world::answer);
    check("events", &agent, &["events", "100> events", "events shop -n 2 -o json", "events shop/prod -n 1"]).await;
    assert_eq!(agent.asked()[2], "GET /v1/events?application=shop&limit=2");
    assert_eq!(agent.asked()[3], "GET /v1/events?application=shop&environment=prod&limit=1");
}

#[tokio::test]
async fn manifests() {
    let agent = StandIn::start(world::answer);
    check("manifests", &agent, &["manifests shop", "manifests shop --revision v1 -o json", "manifests nosuch"]).await;
    assert_eq!(agent.asked()[1], "GET /v1/environments/shop/manifests?revision=v1");
}

#[tokio::test]
async fn doctor_and_version() {
    let agent = StandIn::start(world::answer);
    check("doctor_and_version", &agent, &["doctor", "80> doctor", "doctor -o json", "version", "version -o json"])
        .await;
}

#[tokio::test]
async fn images() {
    let agent = StandIn::start(|_| Reply::json(&world::followed()));
    let all = ["images", "images -o wide", "images cart", "images -o name", "images shop -o json", "images nothing"];
    check("images", &agent, &all).await;
    let agent = StandIn::start(|_| Reply::json(&world::empty()));
    check("images_none", &agent, &["images", "images -o json"]).await;
}

#[tokio::test]
async fn configuration_in_git() {
    let agent = StandIn::start(|_| Reply::json(&world::with_configuration_in_git()));
    check("configuration_in_git", &agent, &["status shop", "status"]).await;
}

#[tokio::test]
async fn sources() {
    let agent = StandIn::start(|_| Reply::json(&world::with_sources()));
    let all = ["sources", "sources -o wide", "sources -o name", "sources -o json", "status shop", "status"];
    check("sources", &agent, &all).await;
    let agent = StandIn::start(|_| Reply::json(&world::empty()));
    check("sources_none", &agent, &["sources", "sources -o json"]).await;
}

#[tokio::test]
async fn gc() {
    let agent = StandIn::start(world::answer);
    check("gc", &agent, &["gc --dry-run", "80> gc --all --dry-run", "gc --dry-run -o json"]).await;
    assert_eq!(agent.asked(), ["GET /v1/gc"; 3]);
    check("gc_deletes", &agent, &["gc"]).await;
    assert_eq!(agent.asked()[4], "POST /v1/gc/delete");
    let agent = StandIn::start(|_| Reply::json(&serde_json::json!({"items": []})));
    check("gc_nothing", &agent, &["gc"]).await;
    assert_eq!(agent.asked(), ["GET /v1/gc"]);
}

#[tokio::test]
async fn api() {
    let agent = StandIn::start(world::answer);
    check(
        "api",
        &agent,
        &[
            "api GET /v1/version",
            "api get /v1/version -o json",
            "api GET /v1/runs/17/log",
            "api POST /v1/environments/shop/suspend {\"reason\":\"fire\"}",
            "api GET /v1/nosuch",
            "api POST /v1/x @/nosuch/file",
        ],
    )
    .await;
    assert_eq!(agent.asked()[3], r#"POST /v1/environments/shop/suspend {"reason":"fire"}"#);
}

#[tokio::test]
async fn completions_are_for_each_shell() {
    let agent = StandIn::start(world::answer);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = qd(&agent, &format!("completions {shell}")).await;
        assert_eq!(ran.exit, 0);
        assert!(ran.out.contains("rollback"), "{shell}: {}", ran.out);
    }
    assert_eq!(agent.asked(), Vec::<String>::new(), "a script is made without an agent");
}
