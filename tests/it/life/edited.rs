//! What holds whatever the manifests say: any edit of a field that they name is undone, any other is left alone, and of
//! two commits the last wins.

use harness::world::manifests as of_shop;
use quarterdeck_shared::event::SyncRecord;
use serde_json::{Value, json};

use super::*;

type Edit = (&'static str, &'static str, Value);

/// Of fields that the manifests name. Fewer than what is taken for a fight.
fn managed() -> [Edit; 4] {
    [
        ("deployments.apps", "/spec/replicas", json!(5)),
        ("deployments.apps", "/spec/template/spec/containers/0/image", json!("registry.example/other:1")),
        ("services", "/spec/ports/0/targetPort", json!(9999)),
        ("configmaps", "/data/greeting", json!("goodbye")),
    ]
}

/// Of fields that they do not name.
fn foreign() -> [Edit; 4] {
    [
        ("deployments.apps", "/metadata/labels/example.com~1note", json!("mine")),
        ("deployments.apps", "/spec/minReadySeconds", json!(3)),
        ("services", "/metadata/labels/example.com~1team", json!("mine")),
        ("configmaps", "/data/other", json!("mine")),
    ]
}

fn set(world: &World, (resource, pointer, new): &Edit) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let change = |object: &mut Value| {
        let parent = object.pointer_mut(parent).unwrap();
        let key = key.replace("~1", "/");
        match parent {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = new.clone(),
            parent => parent[key] = new.clone(),
        }
    };
    world.cluster.edit(resource, "shop", "shop", "somebody", change).unwrap();
}

fn get(world: &World, (resource, pointer, _): &Edit) -> Option<Value> {
    world.cluster.get(resource, "shop", "shop")?.pointer(pointer).cloned()
}

async fn syncs(world: &World) -> Vec<SyncRecord> {
    world.client().get("/v1/applications/shop/history").await.unwrap()
}

#[tokio::test]
async fn an_edit_of_what_git_says_is_undone_and_any_other_is_left() {
    let files: Vec<(String, String)> = of_shop("shop", "registry.example/shop:1")
        .into_iter()
        .map(|(path, text)| (path.trim_start_matches("apps/shop/").to_owned(), text))
        .collect();
    let world = deployed(&borrowed(&files), "").await;
    for edit in foreign() {
        set(&world, &edit);
        // Something that is undone was looked at after it.
        polled_twice(&world).await;
        assert_eq!(get(&world, &edit), Some(edit.2.clone()), "{}", edit.1);
    }
    assert_eq!(syncs(&world).await.len(), 1, "nobody synced for what is not git's");

    for (index, edit) in managed().iter().enumerate() {
        let before = get(&world, edit);
        set(&world, edit);
        let undone = |_: &ApplicationStatus| get(&world, edit) == before;
        world.wait_for(edit.1, "shop", undone).await.unwrap();
        let told = |app: &ApplicationStatus| {
            app.sync == SyncStatus::Synced
                && app.last_sync.as_ref().is_some_and(|sync| sync.phase.is_final() && sync.id > index as u64 + 1)
        };
        let status = world.wait_for("the sync that undid it", "shop", told).await.unwrap();
        assert!(status.last_sync.unwrap().cause.words().contains("somebody"), "{}", edit.1);
    }
    for edit in foreign() {
        assert_eq!(get(&world, &edit), Some(edit.2.clone()), "{} after all that", edit.1);
    }
}

#[tokio::test]
async fn of_two_commits_in_a_second_the_last_wins() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    for round in 0..5 {
        manifests(&world, &[("a.yaml", &config_map("a", &format!("first-{round}")))], "The first of two");
        let last = manifests(&world, &[("a.yaml", &config_map("a", &format!("last-{round}")))], "The last of two");
        synced_to(&world, &last).await;
        assert_eq!(value(&world, "a"), Some(format!("last-{round}")));
        assert_eq!(syncs(&world).await[0].revision.commit.as_str(), last);
    }
}
