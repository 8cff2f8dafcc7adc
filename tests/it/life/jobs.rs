//! A Job that ended is done for its manifest: it is not run again because it is gone.

use harness::cluster::faults::Fault;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::snapshot::ResourceStatus;
use quarterdeck_shared::status::{Health, Phase};
use serde_json::{Value, json};

use super::*;

fn job(more: &str, word: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: migrate }}\nspec:\n  backoffLimit: 0\n{more}  template:\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - {{ name: migrate, image: \"{}/busybox:1\", command: [\"{word}\"] }}\n",
        world::EVERYWHERE
    )
}

/// How often the Job was written.
fn written(world: &World) -> u64 {
    world.cluster.counts().written.get("jobs.batch shop/migrate").copied().unwrap_or_default()
}

fn row(state: &State) -> Option<ResourceStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Resource(row) if row.resource.kind == "Job" => Some((**row).clone()),
        _ => None,
    })
}

async fn gone(world: &World, message: &str) -> ResourceStatus {
    world
        .cluster
        .wait_for("the Job to go", |cluster| cluster.get("jobs.batch", "shop", "migrate").is_none().then_some(()))
        .await;
    world.wait("its end to be told", |state| row(state).filter(|row| row.message == message)).await.unwrap()
}

/// Something beside it is reverted: what was to be done for the Job is done by then.
async fn looked_at(world: &World) {
    let by_hand = |object: &mut Value| object["data"]["value"] = json!("by hand");
    world.cluster.edit("configmaps", "shop", "a", "kubectl-edit", by_hand).unwrap();
    let reverted = |app: &EnvironmentStatus| {
        value(world, "a").as_deref() == Some("one") && app.sync == SyncStatus::Synced && app.progress.is_none()
    };
    world.wait_for("a drift beside it to be reverted", "shop", reverted).await.unwrap();
}

const COMPLETED: &str = "completed; removed since";

#[tokio::test]
async fn a_job_that_completed_and_went_is_not_run_again_until_its_manifest_changes_or_a_person_asks() {
    let beside = config_map("a", "one");
    let ttl = "  ttlSecondsAfterFinished: 0\n";
    let mut world = deployed(&[("a.yaml", &beside), ("job.yaml", &job(ttl, "true"))], "").await;
    let row = gone(&world, COMPLETED).await;
    assert_eq!((row.sync, row.health), (SyncStatus::Synced, Health::Healthy));
    looked_at(&world).await;
    let status = world.wait_for("health", "shop", |app| app.health == Health::Healthy).await.unwrap();
    assert_eq!((status.sync, status.message.as_str()), (SyncStatus::Synced, ""));
    assert_eq!(written(&world), 1);

    world.kill_agent();
    world.start_agent().await.unwrap();
    let taken = ask(&world, "sync", json!({})).await;
    let newer = |app: &EnvironmentStatus| app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > taken.after_sync);
    world.wait_for("a sync of the next run", "shop", newer).await.unwrap();
    gone(&world, COMPLETED).await;
    assert_eq!(written(&world), 1, "over a restart, and by a sync of the whole");

    let only = json!({ "only": [{ "group": "batch", "kind": "Job", "namespace": "shop", "name": "migrate" }] });
    let taken = ask(&world, "sync", only).await;
    let ended = |app: &EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > taken.after_sync && sync.phase.is_final())
    };
    world.wait_for("it to run for who names it", "shop", ended).await.unwrap();
    assert_eq!(written(&world), 2);
    gone(&world, COMPLETED).await;
    let commit = manifests(&world, &[("job.yaml", &job(ttl, "date"))], "Another migration");
    synced_to(&world, &commit).await;
    gone(&world, COMPLETED).await;
    looked_at(&world).await;
    assert_eq!(written(&world), 3);
}

/// A promotion writes the new image into a Job, too, whose template cannot be changed: what serves rolls out all the same,
/// and what is to be done about the Job is said until it is done.
#[tokio::test]
async fn a_job_whose_template_changed_holds_up_nothing_else() {
    let world =
        deployed(&[("a.yaml", &config_map("a", "one")), ("job.yaml", &job("  suspend: true\n", "true"))], "").await;
    let second = [("a.yaml", &*config_map("a", "two")), ("job.yaml", &*job("  suspend: true\n", "date"))];
    let commit = manifests(&world, &second, "Another version");
    let refused = |app: &EnvironmentStatus| app.sync == SyncStatus::OutOfSync && is_at(app, &commit);
    let status = world.wait_for("the rest to be deployed", "shop", refused).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
    assert!(
        status.message.starts_with("Job/migrate (apps/shop/job.yaml, document 1, line 1): spec.template: "),
        "{status:?}"
    );
    assert!(status.message.ends_with("field is immutable"), "{}", status.message);
    assert!(status.hint.contains("delete the live object yourself"), "{}", status.hint);
    let sync = status.last_sync.unwrap();
    assert_eq!((sync.phase, sync.hint), (Phase::Failed, status.hint), "{}", sync.message);
    polled_twice(&world).await;
    let history: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history?limit=50").await.unwrap();
    let of_it = history.iter().filter(|sync| sync.revision.commit.as_str() == commit);
    assert_eq!(of_it.count(), 1, "once, and not once a try: {history:#?}");

    world.cluster.delete("jobs.batch", "shop", "migrate").unwrap();
    synced_to(&world, &commit).await;
    assert_eq!(written(&world), 2);
}

#[tokio::test]
async fn a_job_that_was_deleted_after_it_completed_is_done_and_one_before_is_made_anew() {
    let beside = config_map("a", "one");
    let world = deployed(&[("a.yaml", &beside), ("job.yaml", &job("  suspend: true\n", "true"))], "").await;
    world.cluster.delete("jobs.batch", "shop", "migrate").unwrap();
    world.cluster.wait_for("the Job to be made anew", |_| (written(&world) == 2).then_some(())).await;

    let commit = manifests(&world, &[("job.yaml", &job("", "true"))], "It runs");
    synced_to(&world, &commit).await;
    let complete = |state: &State| row(state).filter(|row| row.health == Health::Healthy).map(drop);
    world.wait("the Job to complete", complete).await.unwrap();
    let before = written(&world);
    world.cluster.delete("jobs.batch", "shop", "migrate").unwrap();
    gone(&world, COMPLETED).await;
    looked_at(&world).await;
    assert_eq!(written(&world), before);
}

#[tokio::test]
async fn a_job_that_failed_and_went_stays_failed() {
    let beside = config_map("a", "one");
    let world =
        deployed(&[("a.yaml", &beside), ("job.yaml", &job("  ttlSecondsAfterFinished: 0\n", "false"))], "").await;
    let row = gone(&world, "failed; removed by its time to live").await;
    assert_eq!((row.sync, row.health), (SyncStatus::Synced, Health::Degraded));
    looked_at(&world).await;
    assert_eq!(written(&world), 1);
}

/// No watch tells of it: the sync looks for itself, and does not run it again either.
#[tokio::test]
async fn a_job_that_nobody_watches_any_more_is_not_run_again() {
    let ttl = "  ttlSecondsAfterFinished: 0\n";
    let mut world = deployed(&[("a.yaml", &config_map("a", "one")), ("job.yaml", &job(ttl, "true"))], "").await;
    gone(&world, COMPLETED).await;
    // Its end is shown before it is kept: an agent that dies in between, and may not look any more, knows nothing of it.
    looked_at(&world).await;
    world.kill_agent();
    world.cluster.fault(Fault::status(403).on("list", "jobs.batch"));
    world.cluster.fault(Fault::status(403).on("watch", "jobs.batch"));
    world.start_agent().await.unwrap();
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;
    assert_eq!(written(&world), 1);
}
