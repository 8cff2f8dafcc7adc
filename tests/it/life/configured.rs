//! A configuration that changes under a running agent.

use harness::world::environment as status;
use quarterdeck_shared::event::{Event, EventRecord, SyncRecord};

use super::*;

#[tokio::test]
async fn a_bad_one_leaves_the_old_one_running_and_says_where_it_is_wrong() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let good = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&good.replace("poll_interval = \"500ms\"", "poll_interval = \"soon\"")).unwrap();
    world.reload_agent();
    let told = |state: &State| agent(state)?.configuration_error.clone();
    let error = world.wait("the error", told).await.unwrap();
    let path = world.path("config.toml").display().to_string();
    assert_eq!(error, format!("{path}:2:17: \"soon\" is not a valid duration: write 30s, 5m or 1h"));

    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));

    world.configure(&good).unwrap();
    world.reload_agent();
    let mended = |state: &State| agent(state)?.configuration_error.is_none().then_some(());
    world.wait("the error to be gone", mended).await.unwrap();
}

#[tokio::test]
async fn a_good_one_adds_and_removes_applications_and_tells_so() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    deploy(&world).commit("main", &[("apps/cart/b.yaml", &config_map("b", "one"))], "A cart");
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("another") + &application("cart", &address, ""))).unwrap();
    world.reload_agent();
    world.wait_for("the new application", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert!(world.cluster.get("configmaps", "cart", "b").is_some());
    let gone = |state: &State| status(state, "shop").is_none().then_some(());
    world.wait("the old application to be gone", gone).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "what it applied stays");

    let changes = reloaded(&world).await;
    assert!(changes.contains("cart is added") && changes.contains("shop is removed"), "{changes}");
}

/// Each round changes the application, so that each reload ends its workers and begins others.
#[tokio::test]
async fn what_is_asked_in_the_middle_of_a_reload_is_done_after_it() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let good = std::fs::read_to_string(world.path("config.toml")).unwrap();
    for round in 0..10 {
        let before = events(&world).await.iter().map(|event| event.id).max();
        world
            .configure(&(good.clone() + &format!("[application.environment.sync]\nprune = {}\n", round % 2 == 0)))
            .unwrap();
        world.reload_agent();
        let mut last = None;
        let is_it = |e: &EventRecord| Some(e.id) > before && matches!(e.event, Event::ConfigurationReloaded { .. });
        while !events(&world).await.iter().any(is_it) {
            let asked: Accepted = ask(&world, "sync", serde_json::json!({ "full": true })).await;
            last = asked.after_sync.max(last);
            let _: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history").await.unwrap();
        }
        let done = |app: &EnvironmentStatus| {
            last.is_none() || app.last_sync.as_ref().is_some_and(|sync| sync.phase.is_final() && Some(sync.id) > last)
        };
        world.wait_for("the sync that was asked for last", "shop", done).await.unwrap();
    }
}

async fn events(world: &World) -> Vec<EventRecord> {
    world.client().get("/v1/events").await.unwrap()
}

/// What a reload changed. It is told after the applications are in force.
async fn reloaded(world: &World) -> String {
    loop {
        let changes = events(world).await.into_iter().find_map(|record| match record.event {
            Event::ConfigurationReloaded { changes } => Some(changes.join("\n")),
            _ => None,
        });
        if let Some(changes) = changes {
            return changes;
        }
        tokio::task::yield_now().await;
    }
}

/// Not only what is wrong in it: a file that is half written, no text, gone, or no file at all.
#[tokio::test]
async fn a_file_that_cannot_be_read_leaves_the_old_one_running() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let path = world.path("config.toml");
    let good = std::fs::read(&path).unwrap();
    // In the middle of a text.
    let cut = (good.len() / 2..).find(|at| good[*at..].starts_with(b"= \"")).unwrap() + 2;
    let spoil: [(&str, &dyn Fn()); 4] = [
        ("config.toml:", &|| std::fs::write(&path, &good[..=cut]).unwrap()),
        ("UTF-8", &|| std::fs::write(&path, b"[agent]\nbanner = \"\xff\"\n").unwrap()),
        ("No such file", &|| std::fs::remove_file(&path).unwrap()),
        ("Is a directory", &|| std::fs::create_dir(&path).unwrap()),
    ];
    for (words, spoil) in spoil {
        spoil();
        world.reload_agent();
        let told = |state: &State| agent(state)?.configuration_error.clone().filter(|error| error.contains(words));
        let error = world.wait(words, told).await.unwrap();
        assert!(error.contains("config.toml"), "{error}");
    }
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;
}

#[tokio::test]
async fn another_namespace_leaves_the_old_objects_and_says_so() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let good = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&good.replace("namespace = \"shop\"", "namespace = \"market\"")).unwrap();
    world.reload_agent();
    let there = |_: &State| world.cluster.get("configmaps", "market", "a").map(drop);
    world.wait("the object in the other namespace", there).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    let told =
        "its objects are left in namespace shop of cluster demo, where the inventory quarterdeck-shop.prod lists them";
    let changes = reloaded(&world).await;
    assert!(changes.contains(told), "{changes}");
}
