//! Renders that are kept: nothing is rendered twice, also over a restart; a rollback needs neither repository nor program; and
//! nothing of it can be read without the agent's key.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::kustomize;
use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::protocol::{Check, DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::routes;
use quarterdeck_shared::snapshot::RenderedFrom;
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::*;

const KUSTOMIZATION: &str = "resources: [a.yaml]\n";
const NAMES: [&str; 3] = ["shop", "web", "api"];

/// A world of three kustomizations in one repository, with stand-ins for the programs; the agent does not run.
async fn three(more: &str) -> World {
    let mut world = world().await;
    let files: Vec<(String, String)> = NAMES
        .iter()
        .flat_map(|name| {
            [("kustomization.yaml", KUSTOMIZATION.to_owned()), ("a.yaml", config_map("a", name))]
                .map(|(file, text)| (format!("apps/{name}/{file}"), text))
        })
        .collect();
    deploy(&world).commit("main", &borrowed(&files), "Three applications");
    let address = world.forge.path("ops/deploy").display().to_string();
    let applications: String = NAMES.iter().map(|name| application(name, &address, "")).collect();
    world.configure(&(world.config_head("a test") + more + &applications)).unwrap();
    let path = kustomize::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world
}

/// Waits until each is synced to what the branch is at, with manifests that came from there since the agent started.
async fn all(world: &World, from: RenderedFrom) {
    for name in NAMES {
        at_head(world, name, from).await;
    }
}

async fn at_head(world: &World, name: &str, from: RenderedFrom) {
    let head = deploy(world).rev("main");
    let is_it = |app: &EnvironmentStatus| {
        app.sync == SyncStatus::Synced && is_at(app, &head) && app.rendered.is_some_and(|now| is_from(now, from))
    };
    world.wait_for(&format!("{name} to be synced, {}", from.describe()), name, is_it).await.unwrap();
}

/// What was rendered now may have been looked at once more since: how often programs were started says the rest.
fn is_from(now: RenderedFrom, from: RenderedFrom) -> bool {
    now == from || (now, from) == (RenderedFrom::Cache, RenderedFrom::Now)
}

fn starts(world: &World) -> usize {
    kustomize::starts(&world.path(""))
}

/// The files of a folder of the data directory.
fn files(world: &World, folder: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(world.path("data/renders").join(folder)).into_iter().flatten();
    found.map(|file| file.unwrap().path()).collect()
}

async fn doctor(world: &World) -> String {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name == "renders").expect("a line of what is kept").message
}

#[tokio::test]
async fn a_restart_of_an_unchanged_fleet_starts_no_program_and_a_change_starts_one() {
    let mut world = three("").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    assert_eq!(starts(&world), 3);
    assert_eq!((files(&world, "cache").len(), files(&world, "kept").len()), (3, 3));
    world.kill_agent();
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Cache).await;
    assert_eq!(starts(&world), 3, "what is unchanged is not rendered again");

    // While it does not run, one of them changes, and so does what is nobody's.
    world.kill_agent();
    let text = config_map("a", "another");
    deploy(&world).commit("main", &[("README.md", "other"), ("apps/web/a.yaml", &text)], "Web, and words");
    world.start_agent().await.unwrap();
    for (name, from) in [("web", RenderedFrom::Now), ("shop", RenderedFrom::Cache), ("api", RenderedFrom::Cache)] {
        at_head(&world, name, from).await;
    }
    assert_eq!(starts(&world), 4, "the one that changed");
    let told = doctor(&world).await;
    assert!(told.starts_with("cached: 4, 0.0 MB of 268.4 MB; of syncs: "), "{told}");

    // A person who asks for everything gets it rendered as well.
    let before = starts(&world);
    let accepted = ask(&world, "sync", json!({ "full": true })).await;
    ended_after(&world, &accepted, Phase::Succeeded).await;
    assert_eq!(starts(&world), before + 1);
}

/// Waits until the sync that was asked for ended so.
async fn ended_after(world: &World, accepted: &Accepted, phase: Phase) -> SyncRecord {
    let ended = |app: &EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > accepted.after_sync && sync.phase == phase)
    };
    world.wait_for("the sync that was asked for", "shop", ended).await.unwrap().last_sync.unwrap()
}

#[tokio::test]
async fn another_version_of_the_program_renders_anew() {
    let mut world = three("").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    world.kill_agent();
    kustomize::upgrade(&world.path("")).unwrap();
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    assert_eq!(starts(&world), 6);
}

#[tokio::test]
async fn a_failure_is_kept_over_a_restart_and_a_change_clears_it() {
    let mut world = three("").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    deploy(&world).commit("main", &[("apps/shop/broken.yaml", "a: b\n")], "Broken");
    let broken = |app: &EnvironmentStatus| app.message.contains("broken.yaml is broken");
    let told = world.wait_for("the failure", "shop", broken).await.unwrap().message;
    assert_eq!(starts(&world), 4);
    world.kill_agent();
    world.start_agent().await.unwrap();
    let accepted = ask(&world, "sync", json!({})).await;
    let sync = ended_after(&world, &accepted, Phase::Failed).await;
    assert_eq!((sync.message, starts(&world)), (told, 4), "it is told again, and not tried");

    let mended = deploy(&world).change("main").remove("apps/shop/broken.yaml").commit("Mended");
    let status = synced_to(&world, &mended).await;
    assert_eq!((status.message.as_str(), starts(&world)), ("", 4), "these are the files of before");
}

#[tokio::test]
async fn what_is_damaged_is_rendered_again_and_told_once() {
    let mut world = three("").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    world.kill_agent();
    for (nth, path) in files(&world, "cache").iter().enumerate() {
        let mut bytes = std::fs::read(path).unwrap();
        match nth {
            0 => bytes[30] ^= 1,
            1 => bytes.truncate(7),
            _ => bytes.clear(),
        }
        std::fs::write(path, bytes).unwrap();
    }
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    assert_eq!(log.matches("a render that is kept is damaged").count(), 3, "{log}");
    world.kill_agent();
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Cache).await;
    assert_eq!(starts(&world), 6);
}

#[tokio::test]
async fn nothing_is_kept_where_that_is_turned_off_or_the_key_is_gone() {
    let mut world = three("[render]\ncache_bytes = 0\nkept_bytes = 0\n\n").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    assert_eq!((files(&world, "cache").len(), files(&world, "kept").len()), (0, 0));
    assert_eq!(doctor(&world).await, "cached: off; of syncs: off");
    world.kill_agent();
    // Each pass renders, and the doctor asked the program for its version.
    let without = starts(&world);
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&text.replace("cache_bytes = 0\nkept_bytes = 0\n", "")).unwrap();
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    assert_eq!((starts(&world), files(&world, "cache").len()), (without + 3, 3));

    world.kill_agent();
    std::fs::remove_file(world.path("data/renders/key")).unwrap();
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    assert_eq!((starts(&world), files(&world, "cache").len()), (without + 6, 3), "what no key opens is cleared");
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    assert_eq!(log.matches("the key of the renders that are kept is gone").count(), 1, "{log}");
}

/// Goes back to these files from those without the repository, the mirror and the programs, and finds the plan that a render of
/// its own made before.
async fn goes_back(first: &[(&str, &str)], second: &[(&str, &str)]) {
    let mut world = world().await;
    let path = kustomize::install(&world.path("")).unwrap();
    world.set("PATH", path);
    let before = manifests(&world, first, "First");
    let address = world.forge.path("ops/deploy").display().to_string();
    let more = "[application.environment.sync]\nprune = true\n";
    // Without a cache each plan is of a render of its own.
    let head = world.config_head("a test") + "[render]\ncache_bytes = 0\n\n";
    world.configure(&(head + &application("shop", &address, more))).unwrap();
    world.start_agent().await.unwrap();
    let release = synced_to(&world, &before).await.last_sync.unwrap();
    let after = manifests(&world, second, "Second");
    synced_to(&world, &after).await;
    let at = |revision: &str| AtRevision { revision: Some(revision.to_owned()) };
    let shop = "shop".parse().unwrap();
    let plan: DiffAnswer = world.client().get(&routes::DIFF.of_with(&shop, &at(&before))).await.unwrap();
    let rendered: ManifestsAnswer = world.client().get(&routes::MANIFESTS.of_with(&shop, &at(&before))).await.unwrap();
    assert_eq!(rendered.rendered, Some(RenderedFrom::Now));

    world.kill_agent();
    std::fs::rename(world.forge.path("ops/deploy"), world.path("away")).unwrap();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    kustomize::take_away(&world.path("")).unwrap();
    world.start_agent().await.unwrap();
    let accepted = ask(&world, "rollback", json!({ "reason": "a test" })).await;
    assert_eq!(accepted.revision.as_ref().map(|revision| revision.commit.to_string()), Some(before.clone()));
    let sync = ended_after(&world, &accepted, Phase::Succeeded).await;
    assert!(sync.message.ends_with("; from the manifests kept of an earlier render"), "{}", sync.message);
    let status = synced_to(&world, &before).await;
    assert_eq!(status.rendered, Some(RenderedFrom::Kept));
    let history: Vec<SyncRecord> = world.client().get("/v1/environments/shop/history").await.unwrap();
    let done = history.into_iter().find(|record| record.id == sync.id).unwrap().changes;
    let differing = |changes: Vec<Change>| {
        let mut changes: Vec<_> = changes.into_iter().filter(|change| change.action != Action::Unchanged).collect();
        changes.sort_by(|a, b| a.resource.cmp(&b.resource));
        changes
    };
    assert_eq!(differing(done), differing(plan.plan.changes));
    let left: DiffAnswer = world.client().get(&routes::DIFF.of_with(&shop, &AtRevision::default())).await.unwrap();
    assert_eq!(left.objects, [], "the cluster is as these manifests say");

    // What a past sync applied is read by its number, and says the same as the render.
    let number = release.id.number.to_string();
    let kept: ManifestsAnswer = world.client().get(&routes::MANIFESTS.of_with(&shop, &at(&number))).await.unwrap();
    assert_eq!((kept.rendered, masked(&kept.yaml)), (Some(RenderedFrom::Kept), masked(&rendered.yaml)));
}

/// What is hidden is told apart by other digits in each run of the agent.
fn masked(yaml: &str) -> String {
    let mut parts = yaml.split("(hidden ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "(hidden)" + part.split_once(')').expect("it ends").1)
}

#[tokio::test]
async fn plain_manifests_are_gone_back_to_without_git() {
    let (one, two) = (config_map("a", "one"), config_map("a", "two"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: db }\nstringData: { password: one-of-a-test }\n";
    goes_back(&[("a.yaml", &one), ("b.yaml", secret)], &[("a.yaml", &two), ("c.yaml", &config_map("c", "two"))]).await;
}

#[tokio::test]
async fn a_kustomization_is_gone_back_to_without_git_and_its_program() {
    let (one, two) = (config_map("a", "one"), config_map("a", "two"));
    let kustomization = ("kustomization.yaml", KUSTOMIZATION);
    goes_back(&[kustomization, ("a.yaml", &one)], &[kustomization, ("a.yaml", &two)]).await;
}

#[tokio::test]
async fn a_chart_is_gone_back_to_without_git_and_its_program() {
    let chart = ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
    let (one, two) = (config_map("a", "one"), config_map("a", "two"));
    goes_back(&[chart, ("templates/a.yaml", &one)], &[chart, ("templates/a.yaml", &two)]).await;
}

#[tokio::test]
async fn other_options_are_another_render_and_nothing_kept_is_applied_for_them() {
    let mut world = three("").await;
    world.start_agent().await.unwrap();
    all(&world, RenderedFrom::Now).await;
    let first = deploy(&world).rev("main");
    let second = deploy(&world).commit("main", &[("apps/shop/a.yaml", &config_map("a", "two"))], "Second");
    synced_to(&world, &second).await;
    world.kill_agent();
    kustomize::take_away(&world.path("")).unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let changed =
        "namespace = \"shop\"\ncreate_namespace = true\n[application.environment.variables]\nvalues = { A = \"b\" }\n";
    world.configure(&text.replace("namespace = \"shop\"\ncreate_namespace = true\n", changed)).unwrap();
    world.start_agent().await.unwrap();
    let accepted = ask(&world, "rollback", json!({ "to": first, "reason": "a test" })).await;
    let sync = ended_after(&world, &accepted, Phase::Failed).await;
    assert!(sync.message.contains("kustomize build failed: cannot start it"), "{}", sync.message);
    assert_eq!(value(&world, "a").as_deref(), Some("two"), "what runs stays");
    // The others have what was kept of theirs: nothing but the program is missing.
    let web = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.rendered == Some(RenderedFrom::Kept);
    world.wait_for("web to go on", "web", web).await.unwrap();
}

/// What is decrypted, of a Secret of the cluster, in a Secret, and in a value of a render that fails.
const MARKS: [&str; 3] = ["first+password/4730=", "variable+marked/4760=", "manifest+marked/4761="];

/// Each file below a folder, and what is in it where it is packed.
fn texts(folder: &Path, seen: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, seen);
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for at in bytes.windows(2).enumerate().filter(|(_, two)| *two == [0x1f, 0x8b]).map(|(at, _)| at) {
            let mut unpacked = Vec::new();
            let _ = flate2::read::GzDecoder::new(&bytes[at..]).take(16 << 20).read_to_end(&mut unpacked);
            seen.push((format!("{} unpacked at {at}", path.display()), unpacked));
        }
        seen.push((path.display().to_string(), bytes));
    }
}

/// The forms of a secret: as it is, and in base64 wherever it begins.
fn forms(secret: &str) -> Vec<String> {
    let shifted = (0..3).map(|shift| {
        let encoded = BASE64_STANDARD.encode(format!("{}{secret}", "x".repeat(shift)));
        // The first and the last letters depend on what is around.
        encoded[4..encoded.len() - 4].to_owned()
    });
    shifted.chain([secret.to_owned()]).collect()
}

#[tokio::test]
async fn nothing_that_is_secret_can_be_read_from_what_is_kept() {
    let mut world = world().await;
    let secret =
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: own }}\nstringData: {{ a: \"{}\" }}\n", MARKS[2]);
    // The repository itself is read by whoever has it; what is looked for in it is not.
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
        ("templates/db.yaml", include_str!("encrypted/first.yaml")),
        ("templates/vars.yaml", &config_map("vars", "${MARKED}")),
    ];
    let first = manifests(&world, &files, "A chart with secrets");
    std::fs::write(world.path("age.txt"), include_str!("encrypted/age.txt")).unwrap();
    let object = |kind: &str, name: &str, more: serde_json::Value| {
        let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    world.cluster.put(object("Namespace", "shop", json!({}))).unwrap();
    let variables = json!({ "metadata": { "name": "vars", "namespace": "shop" }, "stringData": { "MARKED": MARKS[1], "OWN": MARKS[2] } });
    world.cluster.put(object("Secret", "vars", variables)).unwrap();
    let address = world.forge.path("ops/deploy").display().to_string();
    let more = "[application.environment.variables]\nfrom = [{ kind = \"Secret\", name = \"vars\" }]\n";
    let sops = "[sops]\nage_keys = [\"age.txt\"]\n";
    world.configure(&(world.config_head("a test") + sops + &application("shop", &address, more))).unwrap();
    let path = kustomize::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    synced_to(&world, &first).await;
    let second = manifests(&world, &[("templates/own.yaml", &secret.replace(MARKS[2], "${OWN}"))], "A Secret");
    synced_to(&world, &second).await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.rendered == Some(RenderedFrom::Cache);
    world.wait_for("the shop from the cache", "shop", is_it).await.unwrap();
    assert_eq!(harness::helm::renders(&world.path("")), 2);
    assert_eq!(value(&world, "vars").as_deref(), Some(MARKS[1]), "what is applied is in clear");
    let own = world.cluster.get("secrets", "shop", "own").unwrap();
    assert_eq!(own["data"]["a"], BASE64_STANDARD.encode(MARKS[2]));

    assert_eq!((files_of(&world, "cache"), files_of(&world, "kept")), (2, 2), "there is something to look into");
    let mut seen = Vec::new();
    texts(&world.path("data"), &mut seen);
    seen.push(("the log".to_owned(), std::fs::read(world.path("agent.log")).unwrap()));
    for path in ["manifests", "diff", "history"] {
        let path = format!("/v1/environments/shop/{path}");
        let answer = super::secrets::raw(&world, &path).await;
        seen.push((path, answer.into_bytes()));
    }
    for (at, text) in &seen {
        for form in MARKS.iter().flat_map(|mark| forms(mark)) {
            let is_there = text.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!is_there, "{at} holds {form}");
        }
    }
}

fn files_of(world: &World, folder: &str) -> usize {
    files(world, folder).len()
}
