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

const MAIN: &str = "main@sha1:1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";
const AT: &str = "2026-11-23T12:04:00Z";

/// An agent whose shop is tested, or deleted, and how that ends.
fn agent_ending(phase: &'static str, message: &'static str) -> StandIn {
    let hook =
        json!({"resource": resource("Pod", "http"), "moment": {"phase": "test", "weight": 0}, "message": "running"});
    let running = environment("shop/prod", json!({"progress": {"step": "testing", "done": 0, "of": 2, "hook": hook}}));
    let ended = move |more: Value| {
        let run = json!({"at": AT, "cause": {"by": "person", "uid": 1000, "name": "alice"}, "revision": MAIN,
            "phase": phase, "finished": "2026-11-23T12:04:09Z", "message": message, "hint": more});
        if phase == "Succeeded" { without_hint(run) } else { run }
    };
    StandIn::start(move |asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/state") => Reply::json(&state_of(1, std::slice::from_ref(&running))),
        Some("/v1/watch") => {
            let run = ended(json!("read its log: kubectl -n shop logs pod/grpc"));
            Reply::open(&[put(2, environment("shop/prod", json!({"tests": run, "deletion": run})))])
        }
        Some("/v1/environments/shop/tests") => {
            let test = |name: &str, phase: &str, message: &str, log: &str| json!({"resource": resource("Pod", name), "weight": 0, "phase": phase, "seconds": 3.12, "message": message, "log": [log]});
            let second = match phase {
                "Succeeded" => test("grpc", "Succeeded", "", "connected"),
                _ => test("grpc", "Failed", "failed: container grpc: exit 1", "connection refused"),
            };
            let tests = [test("http", "Succeeded", "", "200 OK"), second];
            Reply::json(&json!({"environment": "shop/prod", "run": ended(json!("")), "tests": tests}))
        }
        Some("/v1/environments/shop/deletion") => {
            let change = |name: &str, action: &str, reason: &str| json!({"resource": resource("ConfigMap", name), "action": action, "reason": reason});
            let changes = [
                change("a", "prune", "deleted with its environment"),
                change("b", "skip", "helm.sh/resource-policy: keep"),
            ];
            let plan = json!({"revision": MAIN, "changes": changes});
            Reply::json(&json!({"environment": "shop/prod", "plan": plan}))
        }
        Some("/v1/environments/unknown/deletion") => Reply::json(
            &json!({"environment": "unknown/prod", "plan": {"revision": MAIN, "changes": []}, "no_hooks": "git is unreachable"}),
        ),
        _ => Reply::json(&json!({"message": "shop is asked", "tests": AT, "deletion": AT})),
    })
}

fn resource(kind: &str, name: &str) -> Value {
    json!({"group": "", "kind": kind, "namespace": "shop", "name": name})
}

fn without_hint(mut run: Value) -> Value {
    run.as_object_mut().unwrap().remove("hint");
    run
}

#[tokio::test]
async fn tests_are_waited_for_and_their_end_is_the_exit_code() {
    let agent = agent_ending("Succeeded", "2 passed");
    let ran = qd(&agent, "test shop --filter http --filter grpc* --timeout 90s --logs").await;
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(
        ran.out,
        "passed  Pod/http  3.1 s\n    | 200 OK\npassed  Pod/grpc  3.1 s\n    | connected\nshop/prod at main@1f3c2a9: 2 passed\n"
    );
    assert_eq!(ran.err, "shop is asked\ntesting 0 of 2, waiting for Pod/http: running\n");
    assert_eq!(agent.asked()[0], r#"POST /v1/environments/shop/test {"only":["http","grpc*"],"timeout_seconds":90}"#);
    let agent = agent_ending("Failed", "test Pod/grpc failed: container grpc: exit 1; 1 passed");
    let ran = qd(&agent, "test shop").await;
    assert_eq!(ran.exit, 1);
    assert_eq!(
        ran.out,
        "passed  Pod/http  3.1 s\nfailed  Pod/grpc  3.1 s\n    failed: container grpc: exit 1\n    | connection refused\n"
    );
    assert!(ran.err.contains("qd: test Pod/grpc failed: container grpc: exit 1; 1 passed\n"), "{ran:?}");
    let ran = qd(&agent, "test shop -o json").await;
    let answer: quarterdeck_shared::protocol::TestsAnswer = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.exit, answer.tests.len()), (1, 2));
    let words = ["qd", "test", "shop", "--timeout", "0s"].map(std::ffi::OsString::from);
    assert!(crate::cli::parse(words).is_err(), "no time at all");
}

#[tokio::test]
async fn a_deletion_is_shown_asked_for_and_waited_for() {
    let agent = agent_ending("Succeeded", "1 deleted; ConfigMap/b stays: helm.sh/resource-policy: keep");
    let ran = qd(&agent, "delete shop --dry-run").await;
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.starts_with("shop/prod: 1 object to delete\n"), "{ran:?}");
    assert_eq!(qd(&agent, "delete shop").await.exit, 2, "no terminal to ask at");
    assert_eq!(agent.asked().iter().filter(|asked| asked.starts_with("POST")).count(), 0);
    let ran = qd(&agent, "delete shop --yes --no-hooks").await;
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.err.ends_with("1 deleted; ConfigMap/b stays: helm.sh/resource-policy: keep\n"), "{ran:?}");
    let posts: Vec<_> = agent.asked().into_iter().filter(|asked| asked.starts_with("POST")).collect();
    assert_eq!(posts, [r#"POST /v1/environments/shop/prod/delete {"skip_hooks":true}"#]);
    let ran = qd(&agent, "delete unknown --yes").await;
    assert_eq!(ran.exit, 1);
    assert_eq!(
        ran.err,
        "qd: the hooks of its chart are not known: git is unreachable\nhint: delete it without them: --no-hooks\n"
    );
    let agent = agent_ending("Failed", "Job/drain: pre-delete hook failed; done before it: 0 deleted");
    let ran = qd(&agent, "delete shop --yes").await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("qd: Job/drain: pre-delete hook failed"), "{ran:?}");
}
