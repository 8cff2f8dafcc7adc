//! What holds whatever the manifests say: any edit of a field that they name is undone, any other is left alone, and of
//! two commits the last wins.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
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
    world.client().get("/v1/environments/shop/history").await.unwrap()
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
        let undone = |_: &EnvironmentStatus| get(&world, edit) == before;
        world.wait_for(edit.1, "shop", undone).await.unwrap();
        let told = |app: &EnvironmentStatus| {
            app.sync == SyncStatus::Synced
                && app.last_sync.as_ref().is_some_and(|sync| sync.phase.is_final() && sync.id.number > index as u64 + 1)
        };
        let status = world.wait_for("the sync that undid it", "shop", told).await.unwrap();
        assert!(status.last_sync.unwrap().cause.describe().contains("somebody"), "{}", edit.1);
    }
    for edit in foreign() {
        assert_eq!(get(&world, &edit), Some(edit.2.clone()), "{} after all that", edit.1);
    }
}

/// The values are git's again then, and the fields are still theirs who wrote them: the message says what no diff shows.
#[tokio::test]
async fn what_is_left_to_differ_and_is_undone_by_hand_is_seen() {
    let left = "[application.environment.sync]\nself_heal = false\n";
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], left).await;
    for _ in 0..2 {
        for (new, told) in
            [("two", "the cluster was changed"), ("one", "others own fields that git names, with git's values")]
        {
            let change = |object: &mut Value| object["data"]["value"] = json!(new);
            world.cluster.edit("configmaps", "shop", "a", "somebody", change).unwrap();
            let told = format!("{told}, and self-heal is off");
            world.wait_for(&told, "shop", |app| app.message == told).await.unwrap();
        }
    }
    assert_eq!(syncs(&world).await.len(), 1, "by somebody's hand, and by no sync");
    ask(&world, "sync", json!({})).await;
    world.wait_for("that they are ours again", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
}

#[tokio::test]
async fn an_edit_of_what_git_leaves_to_others_is_no_drift() {
    let object = |greeting: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\n  annotations:\n    quarterdeck.dev/ignore: |\n      data.left\n      \
             data[\"also.left\"]\ndata: {{ greeting: {greeting}, left: git, also.left: git }}\n"
        )
    };
    let world = deployed(&[("shop.yaml", &object("hello"))], "").await;
    let left = [("configmaps", "/data/left", json!("mine")), ("configmaps", "/data/also.left", json!("mine"))];
    for edit in &left {
        assert_eq!(get(&world, edit), Some(json!("git")), "git's value counts when the object is made");
        set(&world, edit);
        // Something that is undone was looked at after it.
        polled_twice(&world).await;
        assert_eq!(get(&world, edit), Some(json!("mine")), "{}", edit.1);
    }
    let status = world.wait_for("its status", "shop", |_| true).await.unwrap();
    assert_eq!((status.sync, syncs(&world).await.len()), (SyncStatus::Synced, 1), "it is neither told nor undone");

    let commit = manifests(&world, &[("shop.yaml", &object("goodbye"))], "Another greeting");
    synced_to(&world, &commit).await;
    for edit in &left {
        assert_eq!(get(&world, edit), Some(json!("mine")), "{} after a sync of the object", edit.1);
    }
    assert_eq!(get(&world, &("configmaps", "/data/greeting", json!(null))), Some(json!("goodbye")));
}

/// What the edits are drawn from: an object of each kind, as a manifest says it.
fn drawn_from() -> Vec<(&'static str, Value)> {
    let containers = json!([{
        "name": "main", "image": "registry.example/shop:1", "imagePullPolicy": "IfNotPresent", "command": ["serve", "--all"],
        "env": [{ "name": "MODE", "value": "fast" }, { "name": "PLACE", "value": "here" }],
        "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "100m", "memory": "64Mi" } },
        "readinessProbe": { "httpGet": { "path": "/ready", "port": 8080 }, "periodSeconds": 5 },
    }]);
    let metadata =
        || json!({ "name": "", "labels": { "team": "shop" }, "annotations": { "example.com/owner": "ops" } });
    let pods = json!({
        "metadata": { "labels": { "app": "drawn" }, "annotations": { "example.com/rev": "1" } },
        "spec": { "terminationGracePeriodSeconds": 20, "containers": containers },
    });
    let mut job = pods.clone();
    job["spec"]["restartPolicy"] = json!("OnFailure");
    vec![
        (
            "deployments.apps",
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(),
                "spec": { "replicas": 1, "minReadySeconds": 4, "revisionHistoryLimit": 3,
                    "selector": { "matchLabels": { "app": "drawn" } }, "template": pods },
            }),
        ),
        (
            "services",
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata(),
                "spec": { "type": "ClusterIP", "selector": { "app": "drawn" },
                    "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }, { "name": "more", "port": 81, "targetPort": "http" }] },
            }),
        ),
        (
            "configmaps",
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": { "greeting": "hello", "name": "shop" },
            }),
        ),
        (
            "secrets",
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata(),
                "data": { "password": BASE64_STANDARD.encode("hunter22"), "user": BASE64_STANDARD.encode("shop") },
            }),
        ),
        (
            "cronjobs.batch",
            json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata(),
                "spec": { "schedule": "5 4 * * *", "suspend": false, "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 2,
                    "jobTemplate": { "spec": { "backoffLimit": 2, "template": job } } },
            }),
        ),
    ]
}

/// Fields of each kind that the manifests above do not name.
fn foreign_field(resource: &str) -> (&'static str, Value) {
    match resource {
        "deployments.apps" => ("/spec/progressDeadlineSeconds", json!(321)),
        "services" => ("/spec/sessionAffinity", json!("ClientIP")),
        "cronjobs.batch" => ("/spec/failedJobsHistoryLimit", json!(7)),
        _ => ("/data/foreign", json!("bWluZQ==")),
    }
}

/// The paths of all leaves of what a manifest says of the content, but for what names the object and for the keys by which
/// Kubernetes tells the items of a list apart: an item under another key is another item.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields {
                let path = format!("{path}/{}", name.replace('/', "~1"));
                leaves(below, &path, found);
            }
        }
        // A list of plain values is one value.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(place, item)| leaves(item, &format!("{path}/{place}"), found));
        }
        _ if ["/apiVersion", "/kind", "/metadata/name"].contains(&path) => {}
        _ if path.ends_with("/name") || path.ends_with("/port") && path.contains("/ports/") => {}
        _ if path.ends_with("/containerPort") => {}
        _ => found.push(path.to_owned()),
    }
}

/// Whether a live object says all that a manifest says.
fn covers(live: &Value, manifest: &Value) -> bool {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => {
            manifest.iter().all(|(name, wanted)| live.get(name).is_some_and(|live| covers(live, wanted)))
        }
        (Value::Array(live), Value::Array(manifest)) if manifest.iter().any(Value::is_object) => {
            manifest.iter().all(|wanted| live.iter().any(|live| covers(live, wanted)))
        }
        (live, manifest) => live == manifest,
    }
}

/// Numbers without end from one number (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("it is below a usize")
    }

    /// What a leaf may become, in the order in which it is tried: the API takes not every value in every place.
    fn others(&mut self, value: &Value) -> Vec<Option<Value>> {
        let mut others: Vec<Option<Value>> = match value {
            Value::Number(number) => vec![Some(json!(number.as_u64().unwrap_or(0) + 1))],
            Value::Bool(is) => vec![Some(json!(!is))],
            Value::Array(items) if self.below(2) == 0 => vec![Some(items.iter().rev().cloned().collect())],
            Value::Array(items) => vec![Some(items.iter().skip(1).cloned().collect())],
            Value::String(text) => {
                let all = ["200m", "Never", "UDP", "b3RoZXI=", "1 1 * * *", "Replace", "NodePort"];
                let first = format!("{text}x");
                std::iter::once(first.as_str())
                    .chain(all)
                    .filter(|other| other != text)
                    .map(|other| Some(json!(other)))
                    .collect()
            }
            _ => Vec::new(),
        };
        // Or it goes.
        let at = if self.below(3) == 0 { 0 } else { others.len() };
        others.insert(at, None);
        others
    }
}

fn edited(world: &World, resource: &str, name: &str, path: &str, new: Option<&Value>) -> bool {
    let (parent, key) = path.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let before = world.cluster.get(resource, "shop", name).unwrap();
    let change = |object: &mut Value| match (object.pointer_mut(parent), new) {
        (Some(Value::Object(fields)), Some(new)) => drop(fields.insert(key, new.clone())),
        (Some(Value::Object(fields)), None) => drop(fields.remove(&key)),
        _ => panic!("{resource} {name} has no {path}"),
    };
    // A change that the API makes undone (a default comes back) is none.
    world
        .cluster
        .edit(resource, "shop", name, "somebody", change)
        .is_ok_and(|after| after.pointer(path) != before.pointer(path))
}

/// Each leaf of each manifest is changed or taken away in an object of its own, so that each has to be noticed by itself;
/// and beside it somebody adds what git does not say, in half of them and in an object that nothing else happens to.
/// `QD_TEST_SEED` draws the same edits again.
#[tokio::test]
async fn each_field_that_a_manifest_says_comes_back_and_what_is_beside_it_stays() {
    let seed = std::env::var("QD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    let mut draw = Draw(seed);
    // (the resource, the manifest, the leaf that is changed)
    let mut objects: Vec<(&str, Value, Option<String>)> = Vec::new();
    for (resource, manifest) in drawn_from() {
        let mut found = Vec::new();
        leaves(&manifest, "", &mut found);
        for leaf in found.into_iter().map(Some).chain([None]) {
            let mut manifest = manifest.clone();
            manifest["metadata"]["name"] = json!(format!("drawn-{}", objects.len()));
            objects.push((resource, manifest, leaf));
        }
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects.iter().map(|(_, one, _)| one).collect::<Vec<_>>() });
    let world = deployed(&[("all.yaml", &list.to_string())], "").await;

    // In an order of its own each time.
    for at in (1..objects.len()).rev() {
        objects.swap(at, draw.below(at + 1));
    }
    let (mut changed, mut beside, mut told) = (0, Vec::new(), Vec::new());
    let mut alone = Vec::new();
    for (resource, manifest, leaf) in &objects {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        if leaf.is_none() || draw.below(2) == 0 {
            let (field, value) = foreign_field(resource);
            for (path, value) in [
                ("/metadata/labels/mine", json!("yes")),
                ("/metadata/annotations/example.com~1mine", json!("yes")),
                (field, value),
            ] {
                assert!(edited(&world, resource, name, path, Some(&value)), "seed {seed}: {resource} {path}");
                beside.push((*resource, name, path.to_owned(), value));
            }
        }
        let Some(leaf) = leaf else {
            alone.push((*resource, name, world.cluster.get(resource, "shop", name).unwrap()));
            continue;
        };
        let others = draw.others(manifest.pointer(leaf).unwrap());
        if let Some(new) = others.iter().find(|new| edited(&world, resource, name, leaf, new.as_ref())) {
            changed += 1;
            told.push(format!("{resource} {name} {leaf}: {new:?}"));
        }
    }
    // What cannot be changed at all is a selector, what it selects, and the type of a Secret.
    assert!(
        changed * 10 >= (objects.len() - alone.len()) * 8,
        "seed {seed}: {changed} of {}: {told:#?}",
        objects.len()
    );

    let missing = || {
        let is_so = |(resource, manifest, _): &&(&str, Value, Option<String>)| {
            let live = world.cluster.get(resource, "shop", manifest["metadata"]["name"].as_str().unwrap());
            // The stand-in keeps version and kind beside the object.
            let mut said = manifest.clone();
            ["apiVersion", "kind"].iter().for_each(|name| drop(said.as_object_mut().unwrap().remove(*name)));
            live.is_some_and(|live| covers(&live, &said))
        };
        let names = |(resource, manifest, leaf): &(&str, Value, Option<String>)| {
            format!("{resource} {} {}", manifest["metadata"]["name"], leaf.as_deref().unwrap_or_default())
        };
        objects.iter().filter(|object| !is_so(object)).map(names).collect::<Vec<_>>()
    };
    let back =
        |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.progress.is_none() && missing().is_empty();
    if let Err(error) = world.wait_for("every edit to be undone", "shop", back).await {
        panic!("seed {seed}: {error:#}\nnot undone: {:#?}\nof {told:#?}", missing());
    }
    for (resource, name, path, value) in &beside {
        let live = world.cluster.get(resource, "shop", name).unwrap();
        assert_eq!(live.pointer(path), Some(value), "seed {seed}: {resource} {name} {path} is nobody's but theirs");
    }
    for (resource, name, before) in &alone {
        let live = world.cluster.get(resource, "shop", name).unwrap();
        let ours = |object: &Value| {
            let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            entries.into_iter().filter(|entry| entry["manager"] == "quarterdeck").collect::<Vec<_>>()
        };
        assert_eq!(
            ours(&live),
            ours(before),
            "seed {seed}: {resource} {name} is written though nothing of ours changed"
        );
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

#[tokio::test]
async fn what_left_git_and_is_deleted_by_hand_is_waited_for_no_more() {
    let manual = "[application.environment.sync]\nautomatic = false\n";
    let files = [("a.yaml", config_map("a", "one")), ("b.yaml", config_map("b", "two"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let world = deployed(&files, manual).await;
    ask(&world, "sync", json!({})).await;
    world.wait_for("the first sync", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    deploy(&world).change("main").remove("apps/shop/b.yaml").commit("Without b");
    let waits = |app: &EnvironmentStatus| app.message.starts_with("differs from git, and automatic sync is off");
    world.wait_for("what left git to wait for a person", "shop", waits).await.unwrap();
    world.cluster.delete("configmaps", "shop", "b").unwrap();
    world.wait_for("that git says so now", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert_eq!(syncs(&world).await.len(), 1, "by somebody's hand, and by no sync");
}
