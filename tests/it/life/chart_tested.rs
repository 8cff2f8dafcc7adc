//! Tests of a chart: which run when a person asks, of what, what comes of them, and that nothing else changes by it.

use quarterdeck_shared::event::{Cause, Event, EventRecord};
use quarterdeck_shared::protocol::{ManifestsAnswer, TestsAnswer};
use quarterdeck_shared::snapshot::Progress;
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::chart_hooks::{charted, commit, exists, job, jobs};
use super::*;

const TRUE: &str = "[\"true\"]";

/// A Pod that is a test; `more` are annotations.
fn pod(name: &str, events: &str, more: &str, command: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {events}\n{more}spec:\n  restartPolicy: Never\n  \
         containers:\n  - {{ name: probe, image: \"{}/busybox:1\", command: {command} }}\n",
        world::EVERYWHERE
    )
}

fn weight(weight: i64) -> String {
    format!("    helm.sh/hook-weight: \"{weight}\"\n")
}

/// How the newest tests ended; each test with its phase.
async fn ended(world: &World) -> TestsAnswer {
    let is_done = |app: &EnvironmentStatus| app.tests.as_ref().is_some_and(|tests| tests.phase.is_final());
    world.wait_for("the tests to end", "shop", is_done).await.unwrap();
    world.client().get("/v1/environments/shop/tests").await.unwrap()
}

async fn tested(world: &World, body: serde_json::Value) -> TestsAnswer {
    let asked = ask(world, "test", body).await;
    let is_done = |app: &EnvironmentStatus| {
        app.tests.as_ref().is_some_and(|tests| Some(tests.at) == asked.tests && tests.phase.is_final())
    };
    world.wait_for("the tests to end", "shop", is_done).await.unwrap();
    world.client().get("/v1/environments/shop/tests").await.unwrap()
}

fn phases(answer: &TestsAnswer) -> Vec<(String, Phase)> {
    answer.tests.iter().map(|test| (test.resource.short(), test.phase)).collect()
}

async fn events(world: &World) -> Vec<EventRecord> {
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    events.into_iter().filter(|record| matches!(record.event, Event::Tested { .. })).collect()
}

/// Why a request for tests was refused.
async fn refused(world: &World, body: serde_json::Value) -> String {
    let answer: Result<Accepted, _> = world.client().post("/v1/environments/shop/test", &body).await;
    answer.expect_err("it was taken").to_string()
}

fn named(name: &str, phase: Phase) -> (String, Phase) {
    (name.to_owned(), phase)
}

#[tokio::test]
async fn tests_run_when_a_person_asks_in_their_order_and_change_nothing() {
    let says = "[\"sh\", \"-c\", \"echo hello from the test; exit 0\"]";
    let templates = [
        ("a", config_map("a", "one")),
        ("last", job("last", "test-success", &weight(5), says)),
        ("b", pod("b", "test", "", TRUE)),
        ("first", pod("first", "test", &weight(-5), says)),
        ("odd", pod("odd", "test-failure", "", TRUE)),
    ];
    let templates: Vec<_> = templates.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (world, first) = charted(&templates, "").await;
    let before = synced_to(&world, &first).await;
    assert!(!exists(&world, "pods", "first") && jobs(&world, "last") == 0, "no sync runs a test");
    let manifests: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(manifests.yaml.contains("name: first") && !manifests.yaml.contains("name: odd"), "{}", manifests.yaml);

    let answer = tested(&world, json!({})).await;
    let passed = ["Pod/first", "Pod/b", "Job/last"].map(|name| named(name, Phase::Succeeded));
    assert_eq!(phases(&answer), passed);
    assert_eq!((answer.run.phase, answer.run.message.as_str()), (Phase::Succeeded, "3 passed"));
    assert_eq!(answer.run.revision.commit.as_str(), first);
    assert_eq!(answer.tests[0].log, ["hello from the test"], "{answer:?}");
    assert_eq!(answer.tests[2].log, ["hello from the test"], "of the pods of a Job");
    let told = events(&world).await;
    let [EventRecord { cause: Cause::Person { .. }, event: Event::Tested { phase, message, .. }, .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((*phase, message.as_str()), (Phase::Succeeded, "3 passed"));
    let shown = world.wait_for("it to rest", "shop", |app| app.progress.is_none()).await.unwrap();
    assert_eq!((shown.sync, shown.health, shown.resources), (before.sync, before.health, before.resources));
    assert_eq!(shown.last_sync, before.last_sync);
    let inventory = world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").unwrap().to_string();
    assert!(!inventory.contains("\"first\""), "{inventory}");

    // Some of them, again: each is another object of that name.
    let uid = |world: &World| world.cluster.get("pods", "shop", "first").unwrap()["metadata"]["uid"].clone();
    let one = uid(&world);
    let answer = tested(&world, json!({"only": ["fir*"]})).await;
    assert_eq!(phases(&answer), [named("Pod/first", Phase::Succeeded)]);
    assert_ne!(uid(&world), one);
    let answer = tested(&world, json!({"only": ["nosuch"]})).await;
    assert_eq!((answer.run.phase, answer.tests.len()), (Phase::Failed, 0));
    assert_eq!(answer.run.message, "shop/prod has no test named nosuch");
    assert_eq!(answer.run.hint, "choose of first, b, last");
}

#[tokio::test]
async fn a_test_that_fails_ends_them_and_policies_and_time_limits_count() {
    let policy = |policy: &str| format!("    helm.sh/hook-delete-policy: {policy}\n");
    let goes = policy("hook-succeeded,before-hook-creation");
    let failing = "[\"sh\", \"-c\", \"echo cannot connect; exit 3\"]";
    let templates = [
        ("a", config_map("a", "one")),
        ("goes", pod("goes", "test", &(weight(-1) + &goes), TRUE)),
        ("fails", pod("fails", "test", "", failing)),
        ("never", pod("never", "test", &weight(1), TRUE)),
    ];
    let templates: Vec<_> = templates.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (world, first) = charted(&templates, "").await;
    let before = synced_to(&world, &first).await;
    let answer = tested(&world, json!({})).await;
    let ended =
        [named("Pod/goes", Phase::Succeeded), named("Pod/fails", Phase::Failed), named("Pod/never", Phase::Skipped)];
    assert_eq!(phases(&answer), ended);
    assert_eq!(answer.run.message, "test Pod/fails failed: container probe: exit 3; 1 passed, 1 not run");
    assert_eq!(answer.run.hint, "read its log: kubectl -n shop logs pod/fails");
    assert_eq!(answer.tests[1].log, ["cannot connect"]);
    assert!(!exists(&world, "pods", "goes") && exists(&world, "pods", "fails") && !exists(&world, "pods", "never"));
    let shown = world.wait_for("it to rest", "shop", |app| app.progress.is_none()).await.unwrap();
    assert_eq!((shown.sync, shown.health, shown.message), (before.sync, before.health, before.message));

    // Each has its time.
    let slow = pod("fails", "test", "", "[\"sleep\", \"3600\"]");
    let second = commit(&world, &[("fails", &slow)], "One that takes long");
    synced_to(&world, &second).await;
    let answer = tested(&world, json!({"timeout_seconds": 1, "only": ["fails"]})).await;
    let begin = "test Pod/fails is not done after 1 s: ";
    assert!(answer.run.message.starts_with(begin), "{}", answer.run.message);
    assert_eq!(answer.run.revision.commit.as_str(), second);
    let error = refused(&world, json!({"timeout_seconds": 0})).await;
    assert!(error.contains("a test has no 0 s to be done"), "{error}");
}

#[tokio::test]
async fn tests_go_on_after_a_restart_and_wait_for_no_sync_to_change_what_they_test() {
    let slow = pod("slow", "test", "", "[\"sleep\", \"10\"]");
    let (mut world, first) = charted(&[("a", &config_map("a", "one")), ("slow", &slow)], "").await;
    synced_to(&world, &first).await;
    ask(&world, "test", json!({})).await;
    let runs = |app: &EnvironmentStatus| match &app.progress {
        Some(Progress::Testing { hook: Some(hook), .. }) => hook.resource.name == "slow",
        _ => false,
    };
    let shown = world.wait_for("the test to run", "shop", runs).await.unwrap();
    let words = shown.progress.unwrap().describe();
    assert!(words.starts_with("testing 0 of 1, waiting for Pod/slow: "), "{words}");
    let error = refused(&world, json!({})).await;
    assert!(error.contains("tests of shop/prod are running already"), "{error}");
    let uid = |world: &World| world.cluster.get("pods", "shop", "slow").unwrap()["metadata"]["uid"].clone();
    let one = uid(&world);
    world.kill_agent();
    let second = commit(&world, &[("a", &config_map("a", "two"))], "Another value");
    world.start_agent().await.unwrap();
    let answer = ended(&world).await;
    assert_eq!((answer.run.phase, answer.run.revision.commit.as_str()), (Phase::Succeeded, first.as_str()));
    assert_eq!(uid(&world), one, "it was not begun again");
    synced_to(&world, &second).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
}

#[tokio::test]
async fn what_was_deployed_is_tested_with_git_away_and_where_there_is_no_test_it_is_told() {
    let probe = pod("probe", "test", "", TRUE);
    let (mut world, first) = charted(&[("a", &config_map("a", "one")), ("probe", &probe)], "").await;
    synced_to(&world, &first).await;
    world.kill_agent();
    let forge = world.forge.path("ops/deploy");
    std::fs::rename(&forge, forge.with_extension("away")).unwrap();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    world.start_agent().await.unwrap();
    let answer = tested(&world, json!({})).await;
    assert_eq!((answer.run.phase, answer.tests.len()), (Phase::Succeeded, 1), "{answer:?}");
    std::fs::rename(forge.with_extension("away"), &forge).unwrap();

    let repository = deploy(&world);
    let second = repository.change("main").remove("apps/shop/templates/probe.yaml").commit("No test any more");
    synced_to(&world, &second).await;
    let answer = tested(&world, json!({})).await;
    assert_eq!((answer.run.phase, answer.tests.len()), (Phase::Failed, 0));
    assert!(answer.run.message.starts_with("shop/prod has no tests at main@"), "{}", answer.run.message);
    assert_eq!(answer.run.hint, "a test is an object of a chart with the annotation helm.sh/hook: test");

    ask(&world, "suspend", json!({"reason": "a test"})).await;
    let error = refused(&world, json!({})).await;
    assert!(error.contains("environment shop/prod is suspended"), "{error}");
}

#[tokio::test]
async fn a_test_that_cannot_be_run_is_in_the_way_of_no_sync() {
    let nameless = pod("x", "test", "", TRUE).replace("name: x", "generateName: x-");
    let unknown =
        "apiVersion: nosuch.example/v1\nkind: Probe\nmetadata: { name: p, annotations: { helm.sh/hook: test } }\n";
    let templates = [
        ("a", config_map("a", "one")),
        ("nameless", nameless),
        ("unknown", unknown.to_owned()),
        ("good", pod("good", "test", "", TRUE)),
        ("asks", config_map("asks", "one").replace("kind: ConfigMap", "kind: ConfigMap # lookup")),
    ];
    let templates: Vec<_> = templates.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (world, first) = charted(&templates, "").await;
    synced_to(&world, &first).await;
    let answer = tested(&world, json!({})).await;
    assert_eq!(phases(&answer), [named("Pod/good", Phase::Succeeded)]);
    let manifests: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    let notes: Vec<_> = manifests.notes.iter().map(String::as_str).collect();
    assert_eq!(
        notes,
        [
            "its templates call `lookup`, which finds nothing: the cluster is not asked while rendering",
            "left out, as no sync runs it: Pod/? (test): apps/shop/templates/nameless.yaml: it has a generateName and no name: every sync \
             would make another one; give it a name",
            "left out, as no sync runs it: apps/shop/templates/unknown.yaml: the cluster does not serve the kind Probe of \
             nosuch.example/v1, and no CustomResourceDefinition beside it does",
        ]
    );
}
