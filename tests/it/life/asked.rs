//! What a person asks for is done, that and no more: some objects of a commit, a stop in the middle of a sync.

use std::time::Duration;

use harness::cluster::faults::Fault;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::protocol::DiffAnswer;
use quarterdeck_shared::snapshot::Progress;
use quarterdeck_shared::status::Phase;
use serde_json::{Value, json};

use super::*;

fn named(name: &str) -> Value {
    json!({ "only": [{ "group": "", "kind": "ConfigMap", "namespace": "shop", "name": name }] })
}

/// Asks for something and waits for the end of the sync that answers it.
async fn answered(world: &World, what: &str, body: Value) -> SyncRecord {
    let taken = ask(world, what, body).await;
    let ended = |app: &EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > taken.after_sync && sync.phase.is_final())
    };
    world.wait_for("the end of the sync that was asked for", "shop", ended).await.unwrap().last_sync.unwrap()
}

#[tokio::test]
async fn what_a_merge_request_would_change_is_shown_before_it_is_merged() {
    let world = deployed(&[("one.yaml", &config_map("one", "1")), ("two.yaml", &config_map("two", "1"))], "").await;
    let change = deploy(&world);
    change.branch("proposal", "main");
    let commit = change.commit("proposal", &[("apps/shop/one.yaml", &config_map("one", "2"))], "Two");
    change.delete_branch("proposal");
    change.git(&["update-ref", "refs/merge-requests/7/head", &commit]);

    let path = |number: u64| format!("/v1/environments/shop/diff?revision=merge-request-{number}");
    let diff: DiffAnswer = world.client().get(&path(7)).await.unwrap();
    let revision = (&*diff.plan.revision.reference, diff.plan.revision.commit.as_str());
    assert_eq!(revision, ("merge-request-7", &*commit));
    let changed: Vec<_> = diff.plan.changes.iter().filter(|change| change.action != Action::Unchanged).collect();
    let [one] = changed[..] else { panic!("{changed:#?}") };
    assert_eq!((&*one.resource.name, one.action), ("one", Action::Configure));
    assert_eq!(value(&world, "one").as_deref(), Some("1"), "nothing is written");
    let missing = world.client().get::<DiffAnswer>(&path(8)).await.unwrap_err().to_string();
    assert!(missing.contains("the deploy repository has no merge request 8"), "{missing}");
}

#[tokio::test]
async fn a_sync_of_one_object_deploys_nothing_else_and_no_drift_makes_up_for_it() {
    let files = ["beside", "one", "two", "precious"].map(|name| (format!("{name}.yaml"), config_map(name, "1")));
    let world = deployed(&borrowed(&files), "[application.environment.sync]\nautomatic = false\n").await;
    ask(&world, "sync", json!({})).await;
    let first = deploy(&world).rev("main");
    synced_to(&world, &first).await;
    let change = deploy(&world);
    let second = change
        .change("main")
        .write("apps/shop/one.yaml", config_map("one", "2"))
        .write("apps/shop/two.yaml", config_map("two", "2"))
        .remove("apps/shop/precious.yaml")
        .commit("Two of them, and one goes");
    let waits = "differs from git, and automatic sync is off";
    world.wait_for("the commit to wait", "shop", |app| app.message.starts_with(waits)).await.unwrap();

    let sync = answered(&world, "sync", named("one")).await;
    let at = &second[..7];
    assert_eq!(sync.message, format!("1 of 3 objects of main@{at} applied: 1 configured, 0 unchanged"));
    let part = sync.part.expect("it says that it is a part");
    assert_eq!((part.named[0].name.as_str(), part.count, part.of), ("one", 1, 3));
    let words = format!("1 of 3 objects of main@{at} applied, and automatic sync is off");
    let told = |app: &EnvironmentStatus| app.message == format!("{words}; 1 commit waits, newest main@{at}");
    let status = world.wait_for("the rest to be told", "shop", told).await.unwrap();
    assert_eq!((status.sync, is_at(&status, &first), status.drifted), (SyncStatus::OutOfSync, true, 2));
    // The same again finds nothing to do, and says so of that object alone.
    let sync = answered(&world, "sync", named("one")).await;
    assert_eq!(
        (sync.phase, sync.message.as_str()),
        (Phase::Succeeded, "nothing to do: 1 of 3 objects are as git says")
    );

    let by_hand = |object: &mut Value| object["data"]["value"] = json!("by hand");
    for name in ["beside", "one", "two"] {
        world.cluster.edit("configmaps", "shop", name, "kubectl-edit", by_hand).unwrap();
    }
    // What was applied with the manifest that it has is applied again, and nothing else is.
    let reverted = |_: &EnvironmentStatus| {
        value(&world, "beside").as_deref() == Some("1") && value(&world, "one").as_deref() == Some("2")
    };
    world.wait_for("the drift to be reverted", "shop", reverted).await.unwrap();
    let done =
        |app: &EnvironmentStatus| app.progress.is_none() && app.drifted == 2 && app.sync == SyncStatus::OutOfSync;
    let status = world.wait_for("the rest to wait", "shop", done).await.unwrap();
    assert!(is_at(&status, &first), "{status:?}");
    let value = |name| value(&world, name);
    assert_eq!((value("two").as_deref(), value("precious").as_deref()), (Some("by hand"), Some("1")));

    // What is to be pruned is not pruned by its name.
    let sync = answered(&world, "sync", named("precious")).await;
    let words = format!("ConfigMap/precious is not in main@{at}, and a sync of named objects prunes nothing");
    assert_eq!((sync.phase, sync.message), (Phase::Failed, words));
    ask(&world, "sync", json!({})).await;
    synced_to(&world, &second).await;
    assert_eq!((value("two").as_deref(), value("precious")), (Some("2"), None));
    // The release before is the first commit: what was applied in between was none.
    let taken = ask(&world, "rollback", json!({ "reason": "a test" })).await;
    assert_eq!(taken.revision.unwrap().commit.as_str(), first);
}

/// A rollback leads to what ran before, not to what runs: commits to other folders are in force without a sync.
#[tokio::test]
async fn a_rollback_goes_past_commits_that_changed_nothing_here() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let first = deploy(&world).rev("main");
    let second = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &second).await;
    for round in 0..2 {
        let other = deploy(&world).commit("main", &[("apps/other/a.txt", &format!("{round}"))], "Not ours");
        synced_to(&world, &other).await;
        answered(&world, "sync", json!({})).await;
    }
    ask(&world, "rollback", json!({ "reason": "a test" })).await;
    synced_to(&world, &first).await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}

/// How many objects: each is answered so late that a person can say something in between.
const MANY: usize = 200;

#[tokio::test]
async fn a_suspension_stops_a_sync_before_its_next_step_and_before_it_prunes() {
    let all = |value: &str| -> Vec<(String, String)> {
        (0..MANY).map(|n| (format!("c{n}.yaml"), config_map(&format!("c{n}"), value))).collect()
    };
    let mut files = all("one");
    files.push(("old.yaml".to_owned(), config_map("old", "one")));
    let world = deployed(&borrowed(&files), "").await;
    let first = deploy(&world).rev("main");
    world.cluster.fault(Fault::slow(Duration::from_millis(150)).on("patch", "configmaps"));
    let files: Vec<_> = all("two").into_iter().map(|(name, text)| (format!("apps/shop/{name}"), text)).collect();
    let repository = deploy(&world);
    let change = files.iter().fold(repository.change("main"), |change, (path, text)| change.write(path, text));
    let second = change.remove("apps/shop/old.yaml").commit("All of them, and one goes");
    let runs = |app: &EnvironmentStatus| matches!(app.progress, Some(Progress::Applying { done: 1.., .. }));
    world.wait_for("the sync to be on its way", "shop", runs).await.unwrap();
    let taken = ask(&world, "suspend", json!({ "reason": "a test" })).await;
    assert!(taken.message.contains(") stops before its next step, nothing else is synced"), "{}", taken.message);
    let ended = |app: &EnvironmentStatus| app.last_sync.as_ref().is_some_and(|sync| sync.phase == Phase::Cancelled);
    let status = world.wait_for("the sync to be stopped", "shop", ended).await.unwrap();
    let message = status.last_sync.unwrap().message;
    assert!(message.starts_with("stopped by ") && message.ends_with(&format!(" of {}", MANY + 1)), "{message}");
    let left = |app: &EnvironmentStatus| app.message.starts_with("suspended by ") && app.sync == SyncStatus::OutOfSync;
    let status = world.wait_for("what is left to be told", "shop", left).await.unwrap();
    let waits = format!(": a test; differs from git; 1 commit waits, newest main@{}", &second[..7]);
    assert!(status.message.ends_with(&waits), "{}", status.message);
    assert!(is_at(&status, &first), "{status:?}");
    let changed = (0..MANY).filter(|n| value(&world, &format!("c{n}")).as_deref() == Some("two")).count();
    assert!(changed > 0 && changed < MANY, "{changed}");
    assert_eq!(value(&world, "old").as_deref(), Some("one"), "nothing is pruned");

    world.cluster.mend();
    ask(&world, "resume", json!({})).await;
    synced_to(&world, &second).await;
    assert_eq!(value(&world, "old"), None, "the inventory still named it");
}
