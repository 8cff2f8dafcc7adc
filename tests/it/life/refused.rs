//! What the cluster refuses is tried again and again, and told once.

use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::status::Phase;

use super::*;

#[tokio::test]
async fn a_refusal_is_in_the_history_once_and_not_once_a_try() {
    let good = config_map("a", "one");
    let world = deployed(&[("a.yaml", &good)], "").await;
    let before = deploy(&world).rev("main");
    world.cluster.reset_counts();
    let commit = manifests(&world, &[("a.yaml", &good.replace("\ndata:", "\ndatum:"))], "No such field");
    // A try whose check was asked has told of the one before it.
    world.wait("three tries", |_| (world.cluster.counts().dry_runs() >= 3).then_some(())).await.unwrap();
    let told = |app: &EnvironmentStatus| app.message.contains("datum") && app.sync == SyncStatus::OutOfSync;
    let status = world.wait_for("the refusal", "shop", told).await.unwrap();
    assert!(is_at(&status, &before), "{status:?}");
    let all: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history?limit=50").await.unwrap();
    let of_it: Vec<_> = all.iter().filter(|sync| sync.revision.commit.as_str() == commit).collect();
    assert_eq!(of_it.iter().map(|sync| sync.phase).collect::<Vec<_>>(), [Phase::Failed], "{of_it:#?}");
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}
