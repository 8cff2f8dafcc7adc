//! Who changes back what is reverted is left alone after a while, and named; many objects at once are no fight.

use serde_json::json;

use super::*;

/// Another value, by a controller that never rests.
fn steal(world: &World, name: &str, round: usize) {
    let change = |object: &mut serde_json::Value| object["data"]["value"] = json!(format!("stolen {round}"));
    world.cluster.edit("configmaps", "shop", name, "thief", change).unwrap();
}

#[tokio::test]
async fn an_object_that_is_fought_over_is_left_alone_and_the_message_says_what_to_do() {
    let world = deployed(&[("a.yaml", &config_map("a", "one")), ("b.yaml", &config_map("b", "one"))], "").await;
    let reverted = |name: &'static str| {
        let world = &world;
        move |app: &EnvironmentStatus| value(world, name).as_deref() == Some("one") && app.progress.is_none()
    };
    for round in 0..5 {
        steal(&world, "a", round);
        world.wait_for("it to be reverted", "shop", reverted("a")).await.unwrap();
    }
    steal(&world, "a", 5);
    let words = "thief keeps changing data.value of ConfigMap/a: reverted 5 times in 10 min, next try in 1m; to leave it: \
                 quarterdeck.dev/ignore: data.value";
    let held = |app: &EnvironmentStatus| app.message == words && app.sync == SyncStatus::OutOfSync;
    let status = world.wait_for("the fight to be told", "shop", held).await.unwrap();
    assert_eq!(status.drifted, 1);
    // It takes no other object with it.
    steal(&world, "b", 0);
    world.wait_for("another object to be reverted", "shop", reverted("b")).await.unwrap();
    world.wait_for("the fight to be told still", "shop", held).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("stolen 5"));

    let left = config_map("a", "one")
        .replace("{ name: a }", "{ name: a, annotations: { quarterdeck.dev/ignore: data.value } }");
    let commit = manifests(&world, &[("a.yaml", &left)], "Leave it to the thief");
    synced_to(&world, &commit).await;
    steal(&world, "a", 6);
    polled_twice(&world).await;
    let peace = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.message.is_empty();
    world.wait_for("peace", "shop", peace).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("stolen 6"));
}

#[tokio::test]
async fn many_objects_that_go_at_once_are_made_again_and_nobody_is_blamed() {
    const MANY: usize = 120;
    let files: Vec<_> = (0..MANY).map(|n| (format!("c{n}.yaml"), config_map(&format!("c{n}"), "one"))).collect();
    let world = deployed(&borrowed(&files), "").await;
    for number in 0..MANY {
        world.cluster.delete("configmaps", "shop", &format!("c{number}")).unwrap();
        tokio::task::yield_now().await;
    }
    let back = |app: &EnvironmentStatus| {
        let is_there = |n: usize| value(&world, &format!("c{n}")).is_some();
        // The last of them is in the cluster before the watch tells of it: until then the message says that it is missing.
        app.sync == SyncStatus::Synced && app.progress.is_none() && app.message.is_empty() && (0..MANY).all(is_there)
    };
    world.wait_for("all of them to be back, and nobody to be blamed", "shop", back).await.unwrap();
    let syncs: Vec<quarterdeck_shared::event::SyncRecord> =
        world.client().get("/v1/environments/shop/history").await.unwrap();
    assert!(syncs.len() <= 4, "{} syncs", syncs.len());
}
