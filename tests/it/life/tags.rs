//! Which tags become runs.

use harness::world::runs;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::{Health, Phase};
use serde_json::json;

use super::*;

async fn ended(world: &World, count: usize) -> Vec<String> {
    let all = |state: &State| {
        let mut names: Vec<_> =
            runs(state).filter(|run| run.phase.is_final()).map(|run| run.reference.clone()).collect();
        names.sort();
        (names.len() >= count).then_some(names)
    };
    world.wait("the runs", all).await.unwrap()
}

#[tokio::test]
async fn of_old_tags_the_newest_of_each_kind_is_done_a_moved_one_again_a_deleted_one_not() {
    let mut world = shop().await;
    let repository = code(&world);
    for n in 0..15 {
        let commit = repository.commit("main", &[("app.txt", &format!("{n}"))], "More");
        repository.tag(&format!("build-0.{n}"), &commit);
        repository.tag(&format!("push-0.{n}"), &commit);
    }
    world.start_agent().await.unwrap();
    polled_twice(&world).await;
    // Of one second all of them may be: the last by name is then the newest.
    let first = ended(&world, 2).await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first[0].starts_with("build-") && first[1].starts_with("push-"), "{first:?}");

    repository.delete_tag("build-0.3");
    polled_twice(&world).await;
    assert_eq!(ended(&world, 2).await, first);

    let commit = repository.commit("main", &[("app.txt", "moved")], "Moved");
    repository.tag("build-0.5", &commit);
    let all = ended(&world, 3).await;
    assert_eq!((all.len(), all.contains(&"build-0.5".to_owned())), (3, true), "{all:?}");
    world
        .wait_run("the moved tag", |run| run.commit.as_str() == commit && run.phase == Phase::Succeeded)
        .await
        .unwrap();
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=100").await.unwrap();
    let moved = |record: &EventRecord| {
        let Event::TagsChanged { changed, moved, .. } = &record.event else { return false };
        changed == &["build-0.5"] && moved == changed
    };
    assert_eq!(events.iter().filter(|record| moved(record)).count(), 1, "{events:#?}");
}

#[tokio::test]
async fn a_moved_push_tag_tells_which_image_its_name_was_before() {
    let mut world = shop().await;
    let repository = code(&world);
    repository.tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let first = world.wait_run("the first push", |run| run.phase == Phase::Succeeded).await.unwrap();
    let commit = repository.commit("main", &[("index.html", "mended")], "Mended under the same name");
    repository.tag("push-1.4.0", &commit);
    let again = |run: &RunStatus| run.commit.as_str() == commit && run.phase == Phase::Succeeded;
    let second = world.wait_run("the second push", again).await.unwrap();
    let digest = |run: RunStatus| harness::agent::digest(&run).unwrap();
    let stages = second.stages.clone();
    let told = format!("{}:1.4.0@{}; until now 1.4.0 was {}", world.image("ops/shop"), digest(second), digest(first));
    assert!(stages.iter().any(|stage| stage.message == told), "{told}: {stages:#?}");
}

#[tokio::test]
async fn an_image_that_went_with_its_moved_tag_is_missed_by_who_still_names_it() {
    let mut world = shop().await;
    world.registry.let_go_untagged();
    // Nothing is synced by itself: no node has the image already.
    let by_hand = world.application("shop", "[application.environment.sync]\nautomatic = false\n");
    world.configure(&(world.config_head("a test") + &by_hand)).unwrap();
    let repository = code(&world);
    repository.tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let first = world.wait_run("the first push", |run| run.phase == Phase::Succeeded).await.unwrap();
    let (image, before) = (first.artifact.clone().unwrap(), harness::agent::promotion(&first).unwrap().clone());

    let commit = repository.commit("main", &[("index.html", "mended")], "Mended under the same name");
    repository.tag("push-1.4.0", &commit);
    let again = |run: &RunStatus| run.commit.as_str() == commit && run.phase == Phase::Succeeded;
    let second = world.wait_run("the second push", again).await.unwrap();
    let lost = format!("; until now 1.4.0 was {}", image.images[0].digest.clone().unwrap());
    assert!(second.stages.iter().any(|stage| stage.message.ends_with(&lost)), "{lost}: {:#?}", second.stages);
    assert_eq!(world.registry.manifests("ops/shop"), [harness::agent::digest(&second).unwrap()]);

    ask(&world, "rollback", json!({ "to": before, "reason": "a test" })).await;
    let missed = format!("ImagePullBackOff in container shop: {}: not found", image.pinned()[0]);
    let told = |app: &EnvironmentStatus| app.health == Health::Degraded && app.message.ends_with(&missed);
    let app = world.wait_for(&missed, "shop", told).await.unwrap();
    assert!(is_at(&app, before.as_str()), "the sync itself is done: {app:?}");

    let now = harness::agent::promotion(&second).unwrap().to_string();
    ask(&world, "unpin", json!({})).await;
    ask(&world, "sync", json!({})).await;
    let runs_well = |app: &EnvironmentStatus| app.health == Health::Healthy && is_at(app, &now);
    world.wait_for("the image that is there", "shop", runs_well).await.unwrap();
}
