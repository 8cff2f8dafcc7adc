//! What the agent stands on while it runs, in others' hands: its history, socket, mirrors, logs, and the limit of its files.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult, LogRecord};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use tokio::net::UnixStream;

use super::*;
use crate::git::healed::cut_packs;

async fn is_suspended(world: &World) -> bool {
    harness::world::environment(&world.state().await.unwrap(), "shop").unwrap().suspended
}

async fn events(world: &World) -> Vec<EventRecord> {
    world.client().get("/v1/events").await.unwrap()
}

fn history_error(state: &State) -> Option<String> {
    agent(state)?.history_error.clone()
}

/// `sqlite3`, a backup of files, an editor: whoever opens the history and closes it again.
#[tokio::test]
async fn another_program_that_looks_at_the_history_takes_nothing_from_it() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let history = world.path("data/history.db");
    let look = || {
        let other = rusqlite::Connection::open(&history).unwrap();
        let count = other.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0)).unwrap();
        assert!(count > 0);
    };
    look();
    assert!(world.path("data/history.db-wal").exists(), "it is the agent's as long as it runs");
    ask(&world, "suspend", json!({ "reason": "a test" })).await;
    look();
    assert!(events(&world).await.iter().any(|event| matches!(event.event, Event::Suspended { .. })));
    world.kill_agent();
    world.start_agent().await.unwrap();
    assert!(is_suspended(&world).await, "what was said is known after a kill");
}

/// Nobody is told yes where it would be forgotten at the next start.
#[tokio::test]
async fn a_history_that_is_removed_takes_no_command_until_it_is_back() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let (history, aside) = (world.path("data/history.db"), world.path("aside"));
    std::fs::rename(&history, &aside).unwrap();
    let suspend = json!({ "reason": "a test" });
    let refused = world.client().post::<Accepted>("/v1/environments/shop/suspend", &suspend).await.unwrap_err();
    let words =
        "cannot write to the history database, no changes were made: history.db was removed while the agent runs";
    assert_eq!(refused.to_string(), words);
    let error = world.wait("the history to be missed", history_error).await.unwrap();
    assert_eq!(error, refused.to_string());
    assert!(!is_suspended(&world).await);
    std::fs::rename(&aside, &history).unwrap();
    world.reload_agent();
    let back = |state: &State| history_error(state).is_none().then_some(());
    world.wait("the history to be found again", back).await.unwrap();
    ask(&world, "suspend", suspend).await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    assert!(is_suspended(&world).await);
}

/// As cleaners of temporary folders do. Who comes meanwhile with another data directory is no second agent there.
#[tokio::test]
async fn a_socket_that_is_removed_with_its_folder_is_made_again_and_is_no_other_agents() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let before = std::fs::metadata(world.socket()).unwrap().ino();
    std::fs::remove_dir_all(world.path("run")).unwrap();
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let (data, other) = (world.path("data").display().to_string(), world.path("other").display().to_string());
    std::fs::write(
        world.path("other.toml"),
        text.replace(&format!("data_dir = \"{data}\""), &format!("data_dir = \"{other}\"")),
    )
    .unwrap();
    let mut second = world.agent_command();
    second.env("QD_CONFIG", world.path("other.toml")).arg("run").stdin(Stdio::null());
    let second = tokio::task::spawn_blocking(move || second.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another agent already listens at "), "{said}");
    world.reload_agent();
    world.wait("an answer", |_| Some(())).await.unwrap();
    assert_ne!(std::fs::metadata(world.socket()).unwrap().ino(), before);
    let told = |event: &EventRecord| matches!(&event.event, Event::SocketRemade { why, .. } if why.contains("removed"));
    assert!(events(&world).await.iter().any(told));
    ask(&world, "suspend", json!({ "reason": "a test" })).await;
    assert!(is_suspended(&world).await);
}

/// The only mirror of a world.
fn mirror(world: &World) -> PathBuf {
    std::fs::read_dir(world.path("data/mirrors")).unwrap().flatten().next().unwrap().path()
}

/// A cache is fetched anew. Nobody is sent to look at a forge that is well.
#[tokio::test]
async fn a_broken_mirror_is_fetched_anew_and_the_forge_is_not_blamed() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "0"))], "").await;
    std::fs::remove_dir_all(mirror(&world)).unwrap();
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "1"))], "After it was removed");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("1"));
    world.stop_agent().unwrap();
    cut_packs(&mirror(&world));
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "2"))], "After its pack was cut");
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("2"));

    // Again so soon it is the disk. The doctor says what the polls met, although refs can be listed.
    std::fs::write(mirror(&world).join("packed-refs"), "nothing of a ref\n").unwrap();
    manifests(&world, &[("a.yaml", &config_map("a", "3"))], "After its refs were garbage");
    let failed = |state: &State| repositories(state).iter().find_map(|repository| repository.error.clone());
    let error = world
        .wait("the disk to be named", |state| failed(state).filter(|error| error.contains("check the disk")))
        .await;
    let error = error.unwrap();
    assert!(error.starts_with("the mirror ") && error.contains(", soon after it was fetched again; "), "{error}");
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.name.starts_with("git ")).unwrap();
    assert!(check.result == CheckResult::Bad && check.message.contains(&error), "{check:?}");
}

#[tokio::test]
async fn a_log_that_could_not_be_kept_says_why() {
    let mut world = shop().await;
    world.start_agent().await.unwrap();
    let runs = world.path("data/runs");
    std::fs::remove_dir_all(&runs).unwrap();
    code(&world).tag("build-1.4.0", "main");
    let first = world.wait_run("the first run", |run| run.phase.is_final()).await.unwrap();
    let log = |id| format!("/v1/runs/{id}/log");
    let mut kept = world.client().stream::<LogRecord>(&log(first.id), None).await.unwrap();
    assert!(kept.next().await.unwrap().is_some(), "its folder was made again");
    std::fs::remove_dir_all(&runs).unwrap();
    std::fs::write(&runs, "a file in its way").unwrap();
    code(&world).tag("build-1.4.1", "main");
    let second = world.wait_run("the second run", |run| run.phase.is_final() && run.id > first.id).await.unwrap();
    assert_eq!(second.phase.word(), "Succeeded", "{}", second.message);
    let error = world.client().stream::<LogRecord>(&log(second.id), None).await.err().unwrap().to_string();
    assert!(error.contains("no log was kept: ") && error.contains("(os error"), "{error}");
    std::fs::remove_file(&runs).unwrap();
    let error = world.client().stream::<LogRecord>(&log(first.id), None).await.err().unwrap().to_string();
    assert!(
        error.contains(&format!("no log was kept: {}/run-{}.ndjson was removed", runs.display(), first.id)),
        "{error}"
    );
}

/// One line a minute, which says what is reached; the work goes on where files are to be had again.
#[tokio::test]
async fn the_limit_of_open_files_is_named_and_floods_no_log() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let pid = world.pid().unwrap();
    let process = Pid::from_raw(pid.cast_signed());
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    let few = Rlimit { current: Some(open + 1), maximum: Some(1_024) };
    prlimit(process, Resource::Nofile, few).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(UnixStream::connect(world.socket()).await.unwrap());
    }
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    let log = || std::fs::read_to_string(world.path("agent.log")).unwrap();
    let words = format!("the limit of open files ({}) is reached: raise it with `ulimit -n`", open + 1);
    let (accept, poll) = (format!("cannot accept connections: {words}"), "poll failed");
    while !(log().contains(&accept) && log().contains(poll)) {
        tokio::task::yield_now().await;
    }
    let failed = log().lines().find(|line| line.contains(poll)).unwrap().to_owned();
    assert!(failed.contains("nothing was asked of ") && failed.contains(&words), "{failed}");
    assert_eq!(log().matches("cannot accept connections").count(), 1);
    prlimit(process, Resource::Nofile, Rlimit { current: Some(1_024), maximum: Some(1_024) }).unwrap();
    drop(waiting);
    synced_to(&world, &commit).await;
}
