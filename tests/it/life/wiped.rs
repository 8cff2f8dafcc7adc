//! All objects of an environment are deleted, with the hooks of its chart for that: what goes, what stays, and what stops it.

use quarterdeck_shared::change::{Action, StepAction};
use quarterdeck_shared::event::{Cause, Event, EventRecord};
use quarterdeck_shared::protocol::DeletionAnswer;
use quarterdeck_shared::snapshot::{Deletion, Progress};
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::chart_hooks::{charted, commit, exists, job, jobs};
use super::*;

const TRUE: &str = "[\"true\"]";
const FALSE: &str = "[\"false\"]";

async fn plan(world: &World) -> DeletionAnswer {
    world.client().get("/v1/environments/shop/deletion").await.unwrap()
}

/// Somebody deletes it; how that ended.
async fn deleted(world: &World, body: serde_json::Value) -> Deletion {
    let asked = ask(world, "delete", body).await;
    ended(world, asked.deletion).await
}

async fn ended(world: &World, at: Option<jiff::Timestamp>) -> Deletion {
    let is_done = |app: &EnvironmentStatus| {
        app.deletion.as_ref().is_some_and(|deletion| Some(deletion.at) == at && deletion.phase.is_final())
    };
    let status = world.wait_for("the deletion to end", "shop", is_done).await.unwrap();
    *status.deletion.unwrap()
}

async fn events(world: &World) -> Vec<EventRecord> {
    world.client().get("/v1/events?limit=1000").await.unwrap()
}

#[tokio::test]
async fn an_environment_is_deleted_with_its_hooks_stays_suspended_and_is_installed_again() {
    let templates = |value: &str| {
        [
            ("a", config_map("a", value)),
            ("b", config_map("b", value)),
            (
                "kept",
                config_map("kept", value)
                    .replace("{ name: kept }", "{ name: kept, annotations: { helm.sh/resource-policy: keep } }"),
            ),
            ("before", job("before", "pre-delete,pre-install", "", TRUE)),
            ("drain", job("drain", "pre-delete", "    helm.sh/hook-weight: \"-5\"\n", TRUE)),
            ("after", job("after", "post-delete", "    helm.sh/hook-delete-policy: hook-succeeded\n", TRUE)),
        ]
    };
    let one = templates("one");
    let texts: Vec<_> = one.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (world, first) = charted(&texts, "").await;
    synced_to(&world, &first).await;
    assert_eq!(
        ["before", "drain", "after"].map(|name| jobs(&world, name)),
        [1, 0, 0],
        "no sync runs those of a deletion"
    );

    let answer = plan(&world).await;
    assert_eq!(answer.no_hooks, "");
    let going: Vec<_> =
        answer.plan.changes.iter().filter(|one| one.action == Action::Prune).map(|one| one.resource.short()).collect();
    assert_eq!(going, ["ConfigMap/b", "ConfigMap/a"]);
    let hooks: Vec<_> =
        answer.plan.steps.iter().filter(|step| step.action == StepAction::Hook).map(ToString::to_string).collect();
    assert_eq!(
        hooks,
        [
            "run hook Job/drain (pre-delete, weight -5); wait until completed, 300 s at most",
            "run hook Job/before (pre-delete, weight 0); wait until completed, 300 s at most",
            "run hook Job/after (post-delete, weight 0); wait until completed, 300 s at most",
        ]
    );
    assert!(exists(&world, "configmaps", "a"), "who looks deletes nothing");

    let deletion = deleted(&world, json!({})).await;
    assert_eq!(
        (deletion.phase, deletion.message.as_str()),
        (Phase::Succeeded, "2 deleted, 3 hooks done; ConfigMap/kept stays: helm.sh/resource-policy: keep")
    );
    assert!(!exists(&world, "configmaps", "a") && !exists(&world, "configmaps", "b"));
    assert!(exists(&world, "configmaps", "kept") && exists(&world, "jobs.batch", "drain"));
    assert!(!exists(&world, "jobs.batch", "after"), "its policy says so");
    assert_eq!(["before", "drain", "after"].map(|name| jobs(&world, name)), [2, 1, 1]);
    let told = events(&world).await;
    let is_it = |record: &&EventRecord| matches!(record.event, Event::ObjectsDeleted { objects: 2, .. });
    assert!(matches!(told.iter().find(is_it).unwrap().cause, Cause::Person { .. }));

    // It stays so: a commit brings nothing back.
    let two = templates("two");
    let texts: Vec<_> = two.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let second = commit(&world, &texts, "Another value");
    let known = |app: &EnvironmentStatus| app.target.as_ref().is_some_and(|target| target.commit.as_str() == second);
    let status = world.wait_for("the commit to be seen", "shop", known).await.unwrap();
    assert_eq!((status.suspended, status.revision, value(&world, "a")), (true, None, None));
    let _: Accepted = world.client().post("/v1/environments/shop/resume", &json!({})).await.unwrap();
    synced_to(&world, &second).await;
    assert_eq!((value(&world, "a").as_deref(), jobs(&world, "before")), (Some("two"), 3), "it is installed again");
}

#[tokio::test]
async fn a_hook_before_it_that_fails_stops_a_deletion_and_it_may_be_left_out() {
    let failing = job("drain", "pre-delete", "", FALSE);
    let (world, first) = charted(&[("a", &config_map("a", "one")), ("drain", &failing)], "").await;
    synced_to(&world, &first).await;
    let deletion = deleted(&world, json!({})).await;
    let begin = "Job/drain (apps/shop/templates/drain.yaml): pre-delete hook failed: BackoffLimitExceeded";
    assert!(deletion.phase == Phase::Failed && deletion.message.starts_with(begin), "{deletion:?}");
    assert!(deletion.message.ends_with("; done before it: 0 deleted"), "{}", deletion.message);
    assert_eq!(deletion.hint, "read its log: kubectl -n shop logs job/drain");
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "nothing was deleted");
    let told = events(&world).await;
    assert!(told.iter().any(|record| matches!(record.event, Event::DeletionFailed { .. })));
    let deletion = deleted(&world, json!({"skip_hooks": true})).await;
    assert_eq!((deletion.phase, deletion.message.as_str()), (Phase::Succeeded, "1 deleted"));
    assert_eq!((value(&world, "a"), jobs(&world, "drain")), (None, 1));
}

#[tokio::test]
async fn a_deletion_goes_on_after_a_restart_with_git_away_and_is_stopped_by_who_resumes() {
    let slow = job("drain", "pre-delete", "", "[\"sleep\", \"10\"]");
    let (mut world, first) = charted(&[("a", &config_map("a", "one")), ("drain", &slow)], "").await;
    synced_to(&world, &first).await;
    let runs = |app: &EnvironmentStatus| match &app.progress {
        Some(Progress::Deleting { hook: Some(hook), .. }) => hook.message.contains("running"),
        _ => false,
    };
    ask(&world, "delete", json!({})).await;
    let shown = world.wait_for("the hook to run", "shop", runs).await.unwrap();
    let words = shown.progress.unwrap().describe();
    assert_eq!(words, "deleting 0 of 2, waiting for hook Job/drain (pre-delete, weight 0): running: 1 active");
    let again: Result<Accepted, _> = world.client().post("/v1/environments/shop/delete", &json!({})).await;
    let error = again.expect_err("it was taken").to_string();
    assert!(error.contains("shop/prod is being deleted already"), "{error}");

    // A person resumes it: nothing is deleted, and it is as it was.
    let _: Accepted = world.client().post("/v1/environments/shop/resume", &json!({})).await.unwrap();
    let stopped = |app: &EnvironmentStatus| {
        app.deletion
            .as_ref()
            .is_some_and(|deletion| deletion.message.starts_with("stopped: the environment was resumed"))
    };
    world.wait_for("the deletion to be stopped", "shop", stopped).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"));

    let asked = ask(&world, "delete", json!({})).await;
    world.wait_for("the hook to run", "shop", runs).await.unwrap();
    let ran = jobs(&world, "drain");
    world.kill_agent();
    let forge = world.forge.path("ops/deploy");
    std::fs::rename(&forge, forge.with_extension("away")).unwrap();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    world.start_agent().await.unwrap();
    let deletion = ended(&world, asked.deletion).await;
    assert_eq!((deletion.phase, deletion.message.as_str()), (Phase::Succeeded, "1 deleted, 1 hook done"));
    assert_eq!((value(&world, "a"), jobs(&world, "drain")), (None, ran), "the hook was not begun again");
}
