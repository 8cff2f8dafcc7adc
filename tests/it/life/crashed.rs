//! kill -9 at each step of both stories, one after another: before and after each thing that the agent does to the world
//! outside, and each write to history. Whichever it is, the end is the same; nothing is doubled and nothing is lost.
//!
//! The steps are not listed here: a round more is done until the agent comes to the end before it comes to its step, twice
//! running, since steps of several threads come in another order each time.
//!
//! Once from a world in which the agent was never before (its first namespace, inventory, clone, history), a world a step;
//! and once in worlds that go on from round to round, so that there is something to change and to delete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::engine::Outcome;
use harness::world::{environment as status, runs};
use quarterdeck_shared::event::{Event, EventRecord, SyncRecord};
use quarterdeck_shared::id::SyncId;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;
use tokio::task::JoinSet;

use super::*;

/// Worlds side by side, so that every core has something to do; each does the rounds of every so-manieth step.
const WORLDS: u32 = 3;

/// The same where each step has a world of its own.
const FRESH_WORLDS: u32 = 3;

/// Rounds in which nobody died, after which there is no step more.
const QUIET: u32 = 2;

/// A shop whose image is tested, so that every step is on its way.
async fn tested_shop() -> World {
    let world = shop().await;
    let test = "[[application.test]]\nname = \"unit\"\ncommand = [\"true\"]\n";
    world.configure(&(world.config_head("a test") + &world.application("shop", test))).unwrap();
    world
}

/// Steps that are not on the way of every story: git packs a mirror up now and then.
const SELDOM: [&str; 2] = ["git: before a mirror is packed up", "git: after a mirror is packed up"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_any_step_the_end_is_the_same() {
    let mut worlds = JoinSet::new();
    (0..WORLDS).for_each(|first| drop(worlds.spawn(rounds(first))));
    worlds.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_any_step_of_the_first_life_the_end_is_the_same() {
    let mut worlds = JoinSet::new();
    let (steps, quiet) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    (0..FRESH_WORLDS).for_each(|_| drop(worlds.spawn(fresh_rounds(steps.clone(), quiet.clone()))));
    let mut died_at: BTreeSet<String> = worlds.join_all().await.into_iter().flatten().collect();
    let named = named_steps(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent"));
    assert!(named.len() >= 10, "the agent's sources name their steps: {named:?}");
    died_at.extend(SELDOM.map(str::to_owned));
    // In the first life there is nothing to delete; and of a name that comes in another order each time, none may have had
    // its number's turn.
    for name in named.difference(&died_at) {
        let mut world = tested_shop().await;
        let deaths = if name.contains("deleted") {
            round(&mut world, 0, "none").await;
            round(&mut world, 1, name).await
        } else {
            round(&mut world, 0, name).await
        };
        assert_eq!(deaths.first(), Some(name), "the agent comes to its end without this step");
    }
}

/// A mirror of more packs than git takes for few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_mirror_is_packed_up_the_end_is_the_same() {
    let mut world = tested_shop().await;
    round(&mut world, 0, "none").await;
    for (number, name) in (1..).zip(SELDOM) {
        let mirrors: Vec<_> = std::fs::read_dir(world.path("data/mirrors")).unwrap().flatten().collect();
        for mirror in mirrors.iter().map(|entry| entry.path()).filter(|path| path.join("HEAD").exists()) {
            many_packs(&mirror);
        }
        let deaths = round(&mut world, number, name).await;
        assert_eq!(deaths.first().map(String::as_str), Some(name), "the agent comes to its end without this step");
    }
}

fn many_packs(mirror: &Path) {
    let repository = Repo::open_or_init(mirror);
    for number in 0..60 {
        let text = format!("{number} {}", std::process::id());
        let id = repository.git_raw(&["hash-object", "-w", "--stdin"], text.as_bytes());
        repository.git_raw(&["pack-objects", "-q", "objects/pack/pack"], id.as_bytes());
    }
}

/// A round a step, for each so-manieth of them, until the agent comes to the end before its step, twice running.
async fn rounds(first: u32) {
    let mut world = tested_shop().await;
    let mut quiet = 0;
    for number in 0.. {
        let deaths = round(&mut world, number, &(first + 1 + number * WORLDS).to_string()).await;
        quiet = if deaths.is_empty() { quiet + 1 } else { 0 };
        if quiet == QUIET {
            break;
        }
    }
}

/// A world a step, for steps that nobody else took, until the agent comes to the end before its step often enough.
async fn fresh_rounds(steps: Arc<AtomicU32>, quiet: Arc<AtomicU32>) -> BTreeSet<String> {
    let mut died_at = BTreeSet::new();
    while quiet.load(Ordering::SeqCst) < QUIET {
        let step = steps.fetch_add(1, Ordering::SeqCst) + 1;
        let mut world = tested_shop().await;
        let deaths = round(&mut world, 0, &step.to_string()).await;
        if deaths.is_empty() {
            quiet.fetch_add(1, Ordering::SeqCst);
        }
        died_at.extend(deaths);
    }
    died_at
}

/// A new version and a new manifest, and an agent that dies at this step, twice; the next finishes. The answer is where it
/// died.
async fn round(world: &mut World, number: u32, step: &str) -> Vec<String> {
    let version = format!("1.{number}.0");
    let commit = code(world).commit("main", &borrowed(&world::code("shop", &version)), &version);
    let new = format!("stamp-{number}");
    let repository = deploy(world);
    let mut change = repository.change("main").write(format!("apps/shop/{new}.yaml"), config_map(&new, "here"));
    if let Some(before) = number.checked_sub(1) {
        change = change.remove(format!("apps/shop/stamp-{before}.yaml"));
    }
    change.commit(&new);
    let tag = format!("push-{version}");
    code(world).tag(&tag, &commit);
    world.cluster.reset_counts();

    let wanted = |state: &State| is_done(state, &tag);
    let mut deaths = Vec::new();
    while deaths.len() < 2
        && let Some(died_at) = world.die_at(step, wanted).await.unwrap()
    {
        deaths.push(died_at);
    }
    // One that came to the end may still be on its way to its step.
    world.kill_agent();
    world.start_agent().await.unwrap();
    let what = format!("{version} after dying at step {step}: {deaths:?}");
    world.wait(&what, |state| wanted(state).then_some(())).await.unwrap();
    as_wanted(world, number, &version, &commit, &what).await;
    written_once(world, number, deaths.len() as u64, &what);
    world.kill_agent();
    deaths
}

/// The run of the tag is done, and the cluster runs what it promoted.
fn is_done(state: &State, tag: &str) -> bool {
    let Some(shop) = status(state, "shop") else { return false };
    let Some(run) = runs(state).find(|run| run.reference == tag && run.phase == Phase::Succeeded) else { return false };
    let Some(image) = run.artifact.as_ref().map(|artifact| artifact.pinned()) else { return false };
    shop.sync == SyncStatus::Synced && shop.progress.is_none() && shop.images == image
}

async fn as_wanted(world: &World, number: u32, version: &str, commit: &str, what: &str) {
    let builds = world.engine.builds_labelled("org.opencontainers.image.revision", commit);
    let done = builds.iter().filter(|build| matches!(build.outcome, Outcome::Done(_) | Outcome::Cached(_))).count();
    assert_eq!(done, 1, "{what}: one image of a commit: {builds:#?}");
    let subjects = deploy(world).subjects("main");
    assert_eq!(subjects[..2], [format!("shop: {version}"), format!("stamp-{number}")], "{what}");
    assert_eq!(subjects.len() as u32, 1 + 2 * (number + 1), "{what}: a commit of each: {subjects:#?}");

    let digest = world.registry.digest("ops/shop", version).unwrap();
    let deployment = world.cluster.get("deployments.apps", "shop", "shop").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(&format!(":{version}@{digest}")), "{what}: {image}");
    let maps = world.cluster.list("configmaps", "shop");
    let names: BTreeSet<&str> = maps.iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
    let stamp = format!("stamp-{number}");
    let stamps: Vec<_> = names.iter().filter(|name| name.starts_with("stamp-")).collect();
    assert_eq!(stamps, [&stamp.as_str()], "{what}: what left git is pruned");
    let inventory = world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").unwrap();
    let inventory = inventory["data"]["inventory.json"].as_str().unwrap();
    assert_eq!(inventory.matches("stamp-").count(), 1, "{what}: {inventory}");

    let client = world.client();
    let all: Vec<RunStatus> = client.get("/v1/runs?limit=500").await.unwrap();
    let of_tag: Vec<_> = all.iter().filter(|run| run.commit.as_str() == commit).collect();
    let phases: BTreeSet<_> = of_tag.iter().map(|run| run.phase.word()).collect();
    let succeeded = of_tag.iter().filter(|run| run.phase == Phase::Succeeded).count();
    assert!(
        succeeded == 1 && phases.iter().all(|phase| ["Succeeded", "Interrupted"].contains(phase)) && of_tag.len() <= 3,
        "{what}: {of_tag:#?}"
    );
    let syncs: Vec<SyncRecord> = client.get("/v1/environments/shop/history?limit=500").await.unwrap();
    let open: Vec<_> = syncs.iter().filter(|sync| !sync.phase.is_final()).collect();
    assert!(open.is_empty(), "{what}: {open:#?}");
    let events: Vec<EventRecord> = client.get("/v1/events?limit=1000").await.unwrap();
    let mut told: BTreeMap<SyncId, usize> = BTreeMap::new();
    for record in &events {
        if let Event::SyncFinished { sync, .. } = &record.event {
            *told.entry(*sync).or_default() += 1;
        }
    }
    let revisions = [deploy(world).rev("main"), deploy(world).rev("main~1")];
    for sync in syncs.iter().filter(|sync| revisions.iter().any(|commit| sync.revision.commit.as_str() == commit)) {
        // What was cut off has no end of its own: the agent's next start says that it was.
        let once = usize::from(sync.phase != Phase::Interrupted);
        assert_eq!(told.get(&sync.id).copied().unwrap_or(0), once, "{what}: the end of a sync is told once: {sync:#?}");
    }
    let mine = |run: &quarterdeck_shared::snapshot::RunId| of_tag.iter().any(|one| one.id == *run);
    let count = |wanted: &dyn Fn(&Event) -> bool| events.iter().filter(|record| wanted(&record.event)).count();
    let queued = count(&|event| matches!(event, Event::RunQueued { run } if mine(run)));
    let ended = count(&|event| matches!(event, Event::RunFinished { run, .. } if mine(run)));
    let pushed = count(&|event| matches!(event, Event::ImagePushed { artifact } if artifact.commit.as_str() == commit));
    assert_eq!((queued, ended, pushed), (1, 1, 1), "{what}: told once");
}

/// An object is written as often as the world asks for it, and after a crash once more at most: who died may have been
/// about to write it, or not have come to noting that it did.
fn written_once(world: &World, number: u32, deaths: u64, what: &str) {
    let is_first = u64::from(number == 0);
    let old = number.checked_sub(1).map(|before| format!("configmaps shop/stamp-{before}"));
    for (object, count) in world.cluster.counts().written {
        let needed = match object.as_str() {
            // Asked for before its namespace is there; then with old and new in it, and after the prune without the old.
            "configmaps shop/quarterdeck-shop.prod" => 2 + is_first,
            // As it was committed, and with the image that was promoted.
            "deployments.apps shop/shop" => 1 + is_first,
            "namespaces /shop" | "services shop/shop" | "configmaps shop/shop" => is_first,
            stamp if *stamp == format!("configmaps shop/stamp-{number}") || Some(stamp) == old.as_deref() => 1,
            other => panic!("{what}: nobody asked for {other} to be written"),
        };
        assert!(count <= needed + deaths, "{what}: {object} is written {count} times, and {needed} are needed");
    }
}

/// The names of all steps, as the sources of the agent say them.
fn named_steps(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(named_steps(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("failpoint::reached(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
    names
}
