//! `--wait` and `--follow`: what is waited for, what ends the waiting, and what an agent that goes away does to it.

use std::sync::atomic::{AtomicUsize, Ordering};

use quarterdeck_shared::snapshot::{Object, RunId};
use serde_json::{Value, json};

use super::world::{environment, state_of, sync, with};
use super::*;
use crate::command::wait::{Goal, Judgement, Objects};

const NEW: &str = "main@sha1:1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";
const OLD: &str = "main@sha1:e4b1c77de4b1c77de4b1c77de4b1c77de4b1c77d";

fn objects(all: &[Value]) -> Objects {
    let objects = all.iter().map(|object| serde_json::from_value::<Object>(object.clone()).unwrap());
    objects.map(|object| (object.key(), object)).collect()
}

#[test]
fn health_is_judged_at_the_revision_of_a_newer_sync() {
    let goal_of = |address: &str, commit: Option<&str>| Goal::Healthy {
        of: address.parse().unwrap(),
        after_sync: Some("k7x2m-41".parse().unwrap()),
        commit: commit.map(|revision| revision.parse::<quarterdeck_shared::revision::Revision>().unwrap().commit),
    };
    let goal = |commit| goal_of("shop", commit);
    let synced = |id, revision, phase: &str| with(sync(id, revision), json!({"phase": phase, "message": "words"}));
    let waiting = |why: &str| Judgement::Waiting(why.to_owned());
    let unseen = json!({"of": "watch", "what": "pods in namespace shop", "reason": "forbidden"});
    let cases = [
        (json!({}), waiting("the sync has not begun")),
        (json!({"progress": {"step": "planning", "objects": 2}}), waiting("planning 2 objects")),
        (json!({"suspended": true}), waiting("suspended, so it does not sync")),
        (json!({"last_sync": synced(41, NEW, "Succeeded")}), waiting("the sync has not begun")),
        (json!({"last_sync": synced(42, NEW, "Running")}), waiting("syncing")),
        (json!({"last_sync": synced(42, NEW, "Interrupted")}), waiting("the sync was interrupted and will resume")),
        (json!({"last_sync": synced(42, NEW, "Failed")}), Judgement::Bad("sync 42: words".into())),
        (
            json!({"last_sync": synced(42, NEW, "Succeeded"), "revision": OLD}),
            waiting("the revision of the sync is not applied yet"),
        ),
        (
            json!({"last_sync": synced(42, NEW, "Succeeded"), "health": "Degraded", "message": "crash"}),
            waiting("Degraded: crash"),
        ),
        (json!({"last_sync": synced(42, NEW, "Succeeded"), "health": "Progressing"}), waiting("Progressing")),
        (
            json!({"last_sync": synced(42, NEW, "Succeeded"), "health": "Unknown", "unseen": [unseen],
                "message": "pods in namespace shop not watched: forbidden"}),
            waiting("Unknown: pods in namespace shop not watched: forbidden"),
        ),
        (
            json!({"last_sync": synced(41, NEW, "Succeeded"), "unseen": [unseen]}),
            waiting("the sync has not begun; pods in namespace shop not watched: forbidden"),
        ),
        (json!({"last_sync": synced(42, NEW, "Succeeded")}), Judgement::Good("Healthy at main@1f3c2a9".to_owned())),
        // The revision is none of its business.
        (
            json!({
                "last_sync": with(synced(42, NEW, "Succeeded"), json!({"part": {"named": [], "count": 1, "of": 3}})),
                "revision": OLD,
            }),
            Judgement::Good("1 of 3 objects of main@1f3c2a9 applied and Healthy".to_owned()),
        ),
        (
            json!({"last_sync": synced(43, NEW, "Skipped"), "health": "Suspended"}),
            Judgement::Good("Suspended at main@1f3c2a9".to_owned()),
        ),
    ];
    for (changed, expected) in cases {
        assert_eq!(goal(None).judge(&objects(&[environment("shop/prod", changed.clone())])), expected, "{changed}");
    }
    let other = objects(&[environment("shop/prod", json!({"last_sync": synced(42, NEW, "Succeeded")}))]);
    assert_eq!(goal(Some(OLD)).judge(&other), waiting("a sync to another revision came first"));
    assert_eq!(goal(Some(NEW)).judge(&other), Judgement::Good("Healthy at main@1f3c2a9".to_owned()));
    assert_eq!(goal_of("shop/prod", None).judge(&other), Judgement::Good("Healthy at main@1f3c2a9".to_owned()));
    assert_eq!(goal_of("shop/qa", None).judge(&other), Judgement::Bad("shop/qa is gone".into()));
    assert_eq!(goal(None).judge(&Objects::new()), Judgement::Bad("shop is gone".into()));
}

fn run(phase: &str, message: &str) -> Value {
    json!({
        "kind": "Run", "id": "k7x2m-19", "application": "shop", "goal": "build", "reference": "main", "phase": phase,
        "commit": "9b1e77d09b1e77d09b1e77d09b1e77d09b1e77d0", "cause": {"by": "agent"}, "message": message,
        "queued": "2026-11-23T12:04:00Z",
        "stages": [{"kind": "build", "phase": phase, "message": "step 3 of 7"}],
    })
}

#[test]
fn a_run_is_judged_by_its_end() {
    let run_19: RunId = "k7x2m-19".parse().unwrap();
    for (phase, expected) in [
        ("Queued", Judgement::Waiting("queued".to_owned())),
        ("Running", Judgement::Waiting("build: step 3 of 7".to_owned())),
        ("Succeeded", Judgement::Good("words".to_owned())),
        ("Skipped", Judgement::Good("words".to_owned())),
        ("Failed", Judgement::Bad("words".into())),
        ("Cancelled", Judgement::Bad("words".into())),
        ("Interrupted", Judgement::Bad("words".into())),
    ] {
        assert_eq!(Goal::Run(run_19).judge(&objects(&[run(phase, "words")])), expected, "{phase}");
    }
    let unseen = Judgement::Waiting("run 19 not found yet".to_owned());
    assert_eq!(Goal::Run(run_19).judge(&Objects::new()), unseen);
}

fn put(revision: u64, object: Value) -> Value {
    let key = serde_json::from_value::<Object>(object.clone()).unwrap().key().to_string();
    json!({"type": "put", "revision": revision, "key": key, "object": object})
}

/// An agent whose shop goes from the first of these to the last, one a watch record; then nothing more happens.
fn agent_of(steps: &'static [fn() -> Value]) -> StandIn {
    StandIn::start(move |asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/state") => Reply::json(&state_of(1, &[steps[0]()])),
        Some("/v1/watch") => {
            Reply::open(&steps[1..].iter().zip(2..).map(|(step, at)| put(at, step())).collect::<Vec<_>>())
        }
        Some("/v1/applications/shop/build") => Reply::json(&json!({"message": "run 19 is queued", "run": "k7x2m-19"})),
        _ => Reply::json(&json!({"message": "shop syncs", "after_sync": "k7x2m-41"})),
    })
}

const BEFORE: fn() -> Value = || environment("shop/prod", json!({"progress": {"step": "planning", "objects": 2}}));
const SYNCED: fn() -> Value = || {
    let message = "Deployment/shop: 2 of 3 updated";
    environment("shop/prod", json!({"last_sync": sync(42, NEW), "health": "Progressing", "message": message}))
};
const HEALTHY: fn() -> Value = || environment("shop/prod", json!({"last_sync": sync(42, NEW)}));
const REFUSED: fn() -> Value = || {
    let failed = json!({"phase": "Failed", "message": "admission refused it"});
    environment("shop/prod", json!({"last_sync": with(sync(42, NEW), failed)}))
};

#[tokio::test]
async fn sync_waits_until_it_is_healthy() {
    let agent = agent_of(&[BEFORE, SYNCED, HEALTHY]);
    check("wait_healthy", &agent, &["sync shop --wait", "sync shop -w --timeout 1m -o json"]).await;
}

#[tokio::test]
async fn sync_says_why_it_did_not_become_healthy() {
    check("wait_failed", &agent_of(&[BEFORE, REFUSED]), &["sync shop --wait", "rollback shop --wait -o json"]).await;
    check("wait_timeout", &agent_of(&[BEFORE, SYNCED]), &["sync shop --wait --timeout 300ms"]).await;
}

#[tokio::test]
async fn build_waits_for_its_run() {
    let good = agent_of(&[|| run("Running", ""), || run("Succeeded", "built 1.4.0")]);
    check("wait_run", &good, &["build shop --wait"]).await;
    let bad = agent_of(&[|| run("Running", ""), || run("Failed", "RUN make: exit 2")]);
    check("wait_run_failed", &bad, &["build shop --wait"]).await;
}

#[tokio::test]
async fn waiting_outlives_an_agent_that_is_started_again() {
    // The first watch breaks at once, the next list is refused; only then all is well.
    let lists = AtomicUsize::new(0);
    let agent = StandIn::start(move |asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/state") => match lists.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::json(&state_of(1, &[BEFORE()])),
            1 => Reply::error(503, "unavailable", "starting", ""),
            _ => Reply::json(&state_of(1, &[HEALTHY()])),
        },
        Some("/v1/watch") => Reply::Lines(Vec::new(), false),
        _ => Reply::json(&json!({"message": "shop syncs", "after_sync": "k7x2m-41"})),
    });
    assert_eq!(qd(&agent, "sync shop --wait").await.exit, 0);
}

#[tokio::test]
async fn events_are_followed_without_loss_or_repetition() {
    // Each look finds two events more than the one before; each watch ends after a bookmark, so the state is listed
    // again; then the agent has restored a history that knows less, whose ids have another prefix; the last look is
    // refused, which ends the command.
    let looks = AtomicUsize::new(0);
    let agent = StandIn::start(move |asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/state") => Reply::json(&state_of(1, &[])),
        Some("/v1/watch") => Reply::records(&[json!({"type": "bookmark", "revision": 1})]),
        _ => {
            let event = |id: String, at: &str| {
                json!({"id": id, "at": at, "cause": {"by": "agent"},
                    "application": "shop", "event": {"type": "run_queued", "run": id}})
            };
            let before = |id: u64| event(format!("k7x2m-{id}"), "2026-11-23T12:04:31Z");
            match looks.fetch_add(1, Ordering::SeqCst) {
                look @ 0..=2 => Reply::json(&(1..=look as u64 * 2 + 2).rev().map(before).collect::<Vec<_>>()),
                3 => Reply::json(&[event("m4n5p-3".to_owned(), "2026-11-23T12:05:00Z"), before(2), before(1)]),
                _ => Reply::error(500, "internal", "enough", ""),
            }
        }
    });
    check("events_followed", &agent, &["events shop -f"]).await;
    assert_eq!(agent.asked().iter().filter(|asked| asked.contains("limit=100")).count(), 4);
}
