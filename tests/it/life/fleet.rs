//! Twenty applications of one repository: what happens to one costs one, on the cluster's side and on a console's.

use std::path::Path;

use harness::git::Counted;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const FLEET: usize = 20;

fn name(number: usize) -> String {
    format!("app-{number:02}")
}

/// The applications, synced, by an agent that says what it renders and polls this often.
async fn fleet(world: &mut World, interval: &str) {
    let address = world.forge.path("ops/deploy").display().to_string();
    let file = |number| (format!("apps/{}/a.yaml", name(number)), config_map("a", "one"));
    let files: Vec<_> = (0..FLEET).map(file).collect();
    let commit = deploy(world).commit("main", &borrowed(&files), "A fleet");
    let applications: String = (0..FLEET).map(|number| application(&name(number), &address, "")).collect();
    let head = world
        .config_head("a test")
        .replace("[agent]\n", "[agent]\nlog_level = \"info,quarterdeck_agent=debug\"\n")
        .replace("\"500ms\"", &format!("\"{interval}\""));
    world.configure(&(head + &applications)).unwrap();
    world.start_agent().await.unwrap();
    all_at(world, &commit).await;
}

async fn all_at(world: &World, commit: &str) {
    for number in 0..FLEET {
        let at = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, commit);
        world.wait_for("an application of the fleet to be at the commit", &name(number), at).await.unwrap();
    }
}

/// The applications that were rendered, as the log says it from a line on.
fn rendered(world: &World, from: usize) -> Vec<String> {
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    let lines = log.lines().skip(from).filter(|line| line.contains("reconcile: rendering"));
    lines.filter_map(|line| Some(line.split_once("application=")?.1.split(' ').next()?.to_owned())).collect()
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_commit_to_one_of_twenty_renders_and_asks_for_that_one() {
    let mut world = world().await;
    fleet(&mut world, "500ms").await;
    polled_twice(&world).await;
    let mut before = rendered(&world, 0);
    before.sort();
    before.dedup();
    assert_eq!(before.len(), FLEET, "the log says what is rendered: {before:?}");
    let from = lines(&world.path("agent.log"));
    world.cluster.reset_counts();
    let commit = deploy(&world).commit("main", &[("apps/app-07/a.yaml", &config_map("a", "two"))], "One of them");
    all_at(&world, &commit).await;
    assert_eq!(world.cluster.get("configmaps", "app-07", "a").unwrap()["data"]["value"], "two");
    assert_eq!(rendered(&world, from), ["app-07"]);
    let counts = world.cluster.counts();
    let asked: Vec<&String> = counts.namespaces.keys().collect();
    assert_eq!(asked, ["app-07"], "{counts:#?}");
}

/// Not twenty objects: the one that changed, each time that it changed.
const WATCH_BYTES_MAX: usize = 8 << 10;

#[tokio::test]
async fn a_watch_tells_the_one_of_twenty_that_changed() {
    let mut world = world().await;
    // A repository tells when it was polled: nobody polls meanwhile.
    fleet(&mut world, "1h").await;
    let reason = json!({ "reason": "a test" });
    let mut told = Vec::new();
    // More than once: something else may be told beside one of them.
    for number in 0..3 {
        let state = world.state().await.unwrap();
        let mut stream = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
        let request = format!("GET /v1/watch?since={} HTTP/1.1\r\nhost: agent\r\n\r\n", state.revision);
        stream.write_all(request.as_bytes()).await.unwrap();
        let path = format!("/v1/environments/{}/suspend", name(number));
        let _: Accepted = world.client().post(&path, &reason).await.unwrap();
        let (mut seen, mut buffer) = (String::new(), vec![0; 64 << 10]);
        let suspended = format!("\"environment/{}/prod\"", name(number));
        while !(seen.contains(&suspended) && seen.contains("\"suspended\":true") && seen.contains("bookmark")) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert_ne!(length, 0, "the watch ended: {seen}");
            seen += &String::from_utf8_lossy(&buffer[..length]);
        }
        told.push(seen);
    }
    let least = told.iter().min_by_key(|seen| seen.len()).unwrap();
    assert!(least.len() <= WATCH_BYTES_MAX, "{} bytes for one application: {least}", least.len());
    assert_eq!(least.matches("\"environment/").count(), 1, "{least}");
}

/// What an http poll of a repository that did not change may send and get: the request names what it wants to see, and the
/// answer is its refs, here one branch.
const POLL_BYTES_MAX: u64 = 1 << 10;

/// An hour of polls of a hundred repositories is thousands of them: each is one request on a warm connection, and none
/// starts a program.
#[tokio::test]
async fn a_poll_that_finds_nothing_new_is_one_small_request_and_no_program() {
    let mut world = world().await;
    let commit = deploy(&world).commit("main", &[("apps/app-00/a.yaml", &config_map("a", "one"))], "A fleet of one");
    let http = world.forge.http("ops/shop");
    code(&world).commit("main", &[("apps/shop/a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    let programs = world.path("programs");
    std::fs::create_dir(world.path("bin")).unwrap();
    let search = std::env::var_os("PATH").unwrap_or_default();
    for program in ["git", "ssh", "git-upload-pack"] {
        let real = std::env::split_paths(&search).map(|folder| folder.join(program)).find(|path| path.exists());
        // One that this machine has not cannot be run, and that somebody tries is noted all the same.
        let goes_on = real.map_or("exit 127".to_owned(), |real| format!("exec '{}' \"$@\"", real.display()));
        let path = world.path("bin").join(program);
        let script = format!("#!/bin/sh\necho \"{program} $*\" >> '{}'\n{goes_on}\n", programs.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let search = std::env::join_paths([world.path("bin")].into_iter().chain(std::env::split_paths(&search))).unwrap();
    // An application of each kind of address.
    let text = application("app-00", &world.forge.path("ops/deploy").display().to_string(), "")
        + &application("shop", &http, "");
    world.configure(&(world.config_head("a test") + &text)).unwrap();
    world.start_agent_with(&[("PATH", search)]).await.unwrap();
    let at = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, &commit);
    world.wait_for("the file's", "app-00", at).await.unwrap();
    world.wait_for("the forge's", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    polled_twice(&world).await;
    assert!(lines(&programs) > 0, "the fetch of a repository of this machine is git's");

    let polled = || async {
        let state = world.state().await.unwrap();
        let of_http = |one: &&RepositoryStatus| one.address.starts_with("http");
        repositories(&state).into_iter().find(of_http).unwrap().polled.unwrap()
    };
    let (started, asked, bytes) = (lines(&programs), world.forge.http_count(Counted::All), world.forge.http_bytes());
    let mut times = vec![polled().await];
    while times.len() < 5 {
        let now = polled().await;
        if now != times[times.len() - 1] {
            times.push(now);
        }
        tokio::task::yield_now().await;
    }
    let (asked, bytes) = (world.forge.http_count(Counted::All) - asked, world.forge.http_bytes() - bytes);
    assert_eq!(lines(&programs), started, "a poll starts no program: {}", std::fs::read_to_string(&programs).unwrap());
    // One may be under way at either end.
    assert!(asked <= times.len() + 1, "{asked} requests for {} polls", times.len());
    assert!(bytes / asked as u64 <= POLL_BYTES_MAX, "{bytes} bytes in {asked} polls");
}
