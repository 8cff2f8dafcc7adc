//! What moves from one application to another is the same object before and after, and so is all that is in it.

use harness::cluster::faults::Fault;
use quarterdeck_shared::status::Health;

use super::*;

const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec:\n  \
                     accessModes: [ReadWriteOnce]\n  resources: { requests: { storage: 1Gi } }\n";

const GADGETS: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: gadgets.example.com }\n\
                       spec:\n  group: example.com\n  names: { kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList }\n  \
                       scope: Namespaced\n  versions:\n  - { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, \
                       x-kubernetes-preserve-unknown-fields: true } } }\n";

/// Applications in namespace `shop`, each with these files; the agent runs, and synced them.
async fn two(files: &[(&str, &str)], second: &str) -> World {
    let mut world = world().await;
    deploy(&world).commit("main", files, "Two applications");
    configure(&world, &["shop", "other"], second);
    world.start_agent().await.unwrap();
    for name in ["shop", "other"] {
        let is_manual = name == "other" && second.contains("automatic = false");
        let done = |app: &EnvironmentStatus| if is_manual { app.target.is_some() } else { app.revision.is_some() };
        world.wait_for("the first sync", name, done).await.unwrap();
    }
    world
}

fn configure(world: &World, names: &[&str], more_of_the_last: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let last = names.len() - 1;
    let one = |(place, name): (usize, &&str)| {
        let more = if place == last { more_of_the_last } else { "" };
        application(name, &address, more).replace(&format!("namespace = \"{name}\""), "namespace = \"shop\"")
    };
    let applications: Vec<String> = names.iter().enumerate().map(one).collect();
    world.configure(&(world.config_head("a test") + &applications.concat())).unwrap();
}

fn uid(world: &World, resource: &str, namespace: &str, name: &str) -> Option<String> {
    Some(world.cluster.get(resource, namespace, name)?["metadata"]["uid"].as_str()?.to_owned())
}

/// Whether the inventory of an application names an object.
fn is_recorded(world: &World, application: &str, name: &str) -> bool {
    let inventory = world.cluster.get("configmaps", "shop", &format!("quarterdeck-{application}.prod"));
    inventory.is_some_and(|object| object["data"]["inventory.json"].as_str().unwrap().contains(&format!("\"{name}\"")))
}

async fn both_at(world: &World, commit: &str) {
    for name in ["shop", "other"] {
        let synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, commit);
        world.wait_for("the move to be synced", name, synced).await.unwrap();
    }
}

#[tokio::test]
async fn a_volume_claim_and_a_definition_that_move_keep_what_is_in_them() {
    let (keep, beside) = (config_map("keep", "one"), config_map("beside", "one"));
    let files = [
        ("apps/shop/keep.yaml", keep.as_str()),
        ("apps/shop/claim.yaml", CLAIM),
        ("apps/shop/crd.yaml", GADGETS),
        ("apps/other/beside.yaml", beside.as_str()),
    ];
    let world = two(&files, "").await;
    let gadget = serde_json::json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "theirs", "namespace": "default"}});
    world.cluster.put(gadget).unwrap();
    let uids = |world: &World| {
        let definition = "customresourcedefinitions.apiextensions.k8s.io";
        [
            uid(world, "persistentvolumeclaims", "shop", "data"),
            uid(world, definition, "", "gadgets.example.com"),
            uid(world, "gadgets.example.com", "default", "theirs"),
        ]
    };
    let before = uids(&world);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    let moved = |from: &str, to: &str| {
        let change = deploy(&world);
        let mut change = change.change("main");
        for (file, text) in [("claim.yaml", CLAIM), ("crd.yaml", GADGETS)] {
            change = change.remove(format!("apps/{from}/{file}")).write(format!("apps/{to}/{file}"), text);
        }
        change.commit("Moved")
    };
    for (from, to) in [("shop", "other"), ("other", "shop")] {
        let commit = moved(from, to);
        both_at(&world, &commit).await;
        world
            .cluster
            .wait_for("the hand-over", |_| {
                let is_over = is_recorded(&world, to, "data") && !is_recorded(&world, from, "data");
                is_over.then_some(())
            })
            .await;
        assert_eq!(uids(&world), before, "from {from} to {to}");
    }
}

#[tokio::test]
async fn what_holds_data_waits_for_an_application_that_cannot_be_rendered() {
    let (keep, gone, beside) = (config_map("keep", "one"), config_map("gone", "one"), config_map("beside", "one"));
    let files = [
        ("apps/shop/keep.yaml", keep.as_str()),
        ("apps/shop/gone.yaml", gone.as_str()),
        ("apps/shop/claim.yaml", CLAIM),
        ("apps/other/beside.yaml", beside.as_str()),
    ];
    let world = two(&files, "").await;
    let before = uid(&world, "persistentvolumeclaims", "shop", "data");
    let commit = deploy(&world)
        .change("main")
        .remove("apps/shop/gone.yaml")
        .remove("apps/shop/claim.yaml")
        .write("apps/other/claim.yaml", CLAIM.replace("kind: Pers", "kind: [Pers"))
        .commit("Moved, with a slip");
    let held = |app: &EnvironmentStatus| is_at(app, &commit) && app.message.contains("is not deleted");
    let status = world.wait_for("the claim to be held", "shop", held).await.unwrap();
    let words =
        "PersistentVolumeClaim/data is not deleted: environment other/prod may want it now, and cannot be rendered: ";
    assert!(status.message.starts_with(words) && status.sync == SyncStatus::Synced, "{status:?}");
    assert_eq!(value(&world, "gone"), None, "what holds no data goes");
    let commit = deploy(&world).change("main").write("apps/other/claim.yaml", CLAIM).commit("Corrected");
    both_at(&world, &commit).await;
    world.wait_for("nothing to be held", "shop", |app| app.message.is_empty()).await.unwrap();
    assert_eq!(uid(&world, "persistentvolumeclaims", "shop", "data"), before);
}

#[tokio::test]
async fn what_a_manual_application_wants_is_held_until_it_is_synced() {
    let (keep, beside) = (config_map("keep", "one"), config_map("beside", "one"));
    let files = [
        ("apps/shop/keep.yaml", keep.as_str()),
        ("apps/shop/claim.yaml", CLAIM),
        ("apps/other/beside.yaml", beside.as_str()),
    ];
    let world = two(&files, "[application.environment.sync]\nautomatic = false\n").await;
    let before = uid(&world, "persistentvolumeclaims", "shop", "data");
    let commit = deploy(&world)
        .change("main")
        .remove("apps/shop/claim.yaml")
        .write("apps/other/claim.yaml", CLAIM)
        .commit("Moved");
    synced_to(&world, &commit).await;
    assert!(is_recorded(&world, "shop", "data"), "nobody else has it yet");
    let request = serde_json::json!({});
    let _: Accepted = world.client().post("/v1/environments/other/sync", &request).await.unwrap();
    both_at(&world, &commit).await;
    world
        .cluster
        .wait_for("the hand-over", |_| {
            (is_recorded(&world, "other", "data") && !is_recorded(&world, "shop", "data")).then_some(())
        })
        .await;
    assert_eq!(uid(&world, "persistentvolumeclaims", "shop", "data"), before);
}

#[tokio::test]
async fn a_renamed_application_takes_over_what_the_old_name_had() {
    let (keep, beside) = (config_map("keep", "one"), config_map("beside", "one"));
    let files = [
        ("apps/shop/keep.yaml", keep.as_str()),
        ("apps/shop/claim.yaml", CLAIM),
        ("apps/other/beside.yaml", beside.as_str()),
    ];
    let world = two(&files, "").await;
    let before = uid(&world, "persistentvolumeclaims", "shop", "data");
    configure(&world, &["store", "other"], "");
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    std::fs::write(world.path("config.toml"), text.replace("apps/store", "apps/shop")).unwrap();
    world.reload_agent();
    world.wait_for("the new name", "store", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert!(is_recorded(&world, "store", "data"));
    assert_eq!(uid(&world, "persistentvolumeclaims", "shop", "data"), before);
    let label =
        world.cluster.get("configmaps", "shop", "keep").unwrap()["metadata"]["labels"]["quarterdeck.dev/application"]
            .clone();
    assert_eq!(label, "store");
    assert!(world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").is_none(), "the old inventory goes");
}

#[tokio::test]
async fn an_object_that_both_want_stays_where_it_is() {
    let (keep, beside) = (config_map("keep", "one"), config_map("beside", "one"));
    let files = [("apps/shop/keep.yaml", keep.as_str()), ("apps/other/beside.yaml", beside.as_str())];
    let world = two(&files, "").await;
    deploy(&world).change("main").write("apps/other/keep.yaml", config_map("keep", "two")).commit("Twice");
    let status = world.wait_for("the refusal", "other", |app| !app.message.is_empty()).await.unwrap();
    assert!(
        status.message.contains("it belongs to environment shop/prod, and other/prod wants it too"),
        "{}",
        status.message
    );
    assert_eq!(value(&world, "keep").as_deref(), Some("one"));
}

#[tokio::test]
async fn a_namespace_that_leaves_git_stays_while_something_is_in_it() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n";
    let (one, two_, beside) = (config_map("s1", "one"), config_map("s2", "one"), config_map("beside", "one"));
    let files = [
        ("apps/shop/namespace.yaml", namespace),
        ("apps/shop/s1.yaml", one.as_str()),
        ("apps/shop/s2.yaml", two_.as_str()),
        ("apps/other/beside.yaml", beside.as_str()),
    ];
    let world = two(&files, "").await;
    let commit =
        deploy(&world).change("main").remove("apps/shop/namespace.yaml").commit("The platform team makes it now");
    let status = synced_to(&world, &commit).await;
    let words = "Namespace/shop is not deleted: 2 objects of this environment and 1 of other/prod are in it";
    assert_eq!(status.message, words);
    let live = world.cluster.get("namespaces", "", "shop").unwrap();
    assert!(live["metadata"]["deletionTimestamp"].is_null(), "{live}");
}

#[tokio::test]
async fn what_left_git_and_is_not_gone_keeps_the_application_out_of_sync() {
    let (keep, gone) = (config_map("keep", "one"), config_map("gone", "one"));
    let world = deployed(&[("keep.yaml", &keep), ("gone.yaml", &gone)], "").await;
    let hold = |finalizers: &[&str]| {
        let edit = |o: &mut serde_json::Value| o["metadata"]["finalizers"] = serde_json::json!(finalizers);
        world.cluster.edit("configmaps", "shop", "gone", "kubectl", edit).unwrap();
    };
    hold(&["example.com/hold"]);
    let commit = deploy(&world).change("main").remove("apps/shop/gone.yaml").commit("Deleted");
    let words = "ConfigMap/gone left git and is being deleted: waiting for finalizer example.com/hold";
    let waits = |app: &EnvironmentStatus| is_at(app, &commit) && app.message == words;
    let status = world.wait_for("the finalizer to be told", "shop", waits).await.unwrap();
    assert_eq!(status.sync, SyncStatus::OutOfSync);
    let record = status.last_sync.unwrap();
    assert!(record.message.ends_with(words), "{}", record.message);
    hold(&[]);
    assert_eq!(synced_to(&world, &commit).await.message, "");
    assert!(!is_recorded(&world, "shop", "gone"));
}

#[tokio::test]
async fn what_left_git_and_cannot_be_read_is_pruned_when_it_can() {
    let (keep, gone) = (config_map("keep", "one"), config_map("gone", "one"));
    let world = deployed(&[("keep.yaml", &keep), ("gone.yaml", &gone)], "").await;
    world.cluster.fault(Fault::forbidden().on("get", "configmaps").named("gone"));
    let commit = deploy(&world).change("main").remove("apps/shop/gone.yaml").commit("Deleted");
    let told = |app: &EnvironmentStatus| is_at(app, &commit) && app.message.contains("cannot be read");
    let status = world.wait_for("what is not seen", "shop", told).await.unwrap();
    assert!(status.message.starts_with("ConfigMap/gone left git and cannot be read: "), "{}", status.message);
    assert_eq!(status.sync, SyncStatus::OutOfSync);
    world.cluster.mend();
    assert_eq!(synced_to(&world, &commit).await.message, "");
    assert_eq!(value(&world, "gone"), None);
}

#[tokio::test]
async fn what_left_git_unseen_is_not_pruned_later_without_a_person_where_nothing_is_automatic() {
    let (keep, gone) = (config_map("keep", "one"), config_map("gone", "one"));
    let manual = "[application.environment.sync]\nautomatic = false\n";
    let world = deployed(&[("keep.yaml", &keep), ("gone.yaml", &gone)], manual).await;
    ask(&world, "sync", serde_json::json!({})).await;
    let first = deploy(&world).rev("main");
    synced_to(&world, &first).await;
    world.cluster.fault(Fault::forbidden().on("get", "configmaps").named("gone"));
    deploy(&world).change("main").remove("apps/shop/gone.yaml").commit("Deleted");
    let held = |app: &EnvironmentStatus| app.message.starts_with("differs from git, and automatic sync is off");
    world.wait_for("the commit to be held", "shop", held).await.unwrap();
    world.cluster.mend();
    ask(&world, "refresh", serde_json::json!({})).await;
    polled_twice(&world).await;
    assert!(is_at(&world.wait_for("the hold", "shop", held).await.unwrap(), &first));
    assert_eq!(value(&world, "gone").as_deref(), Some("one"));
}

/// An application leaves the configuration, another takes an object of it over, and it comes back.
#[tokio::test]
async fn what_went_to_another_meanwhile_is_not_missed_by_an_application_that_comes_back() {
    let (keep, rope, plank) = (config_map("keep", "one"), config_map("rope", "one"), config_map("plank", "one"));
    let files = [
        ("apps/shop/keep.yaml", keep.as_str()),
        ("apps/other/rope.yaml", rope.as_str()),
        ("apps/other/plank.yaml", plank.as_str()),
    ];
    let world = two(&files, "").await;
    configure(&world, &["shop"], "");
    world.reload_agent();
    let is_out = |state: &State| harness::agent::environment(state, "other").is_none().then_some(());
    world.wait("the application to be out", is_out).await.unwrap();
    let deploy = deploy(&world);
    let change = deploy.change("main").remove("apps/other/rope.yaml").write("apps/shop/rope.yaml", rope.as_str());
    let commit = change.commit("Moved");
    let is_at_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, &commit);
    world.wait_for("the move", "shop", is_at_it).await.unwrap();
    configure(&world, &["shop", "other"], "");
    world.reload_agent();
    let is_well = |app: &EnvironmentStatus| is_at_it(app) && app.health == Health::Healthy && app.message.is_empty();
    world.wait_for("it to be whole", "other", is_well).await.unwrap();
    assert!(is_recorded(&world, "shop", "rope") && !is_recorded(&world, "other", "rope"));
}
