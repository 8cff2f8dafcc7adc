//! What the agent keeps, in bad hands: a history that is gone, a folder that cannot be written, or not any more. A history
//! that is damaged or of a newer agent and a disk that fills up are the journal's own tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::*;

/// The agent does not start, and says these words.
async fn refused(world: &mut World, words: &[&str]) {
    let error = world.start_agent().await.unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

/// A history that is gone costs the past alone: what is so is compared anew, and nothing is built or written again.
#[tokio::test]
async fn a_lost_history_costs_the_past_alone() {
    let mut world = shop().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    let promoted = deploy(&world).rev("main");
    synced_to(&world, &promoted).await;
    world.stop_agent().unwrap();
    std::fs::remove_file(world.path("data/history.db")).unwrap();
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push to be looked at", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase.word(), "Succeeded", "{}", run.message);
    synced_to(&world, &promoted).await;
    assert_eq!(world.engine.builds().len(), 1);
    assert_eq!(deploy(&world).subjects("main"), ["shop: 1.4.0", "Manifests of the shop"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    // Nobody, not even root, makes folders there.
    let data = format!("data_dir = \"{}\"", world.path("data").display());
    world.configure(&text.replace(&data, "data_dir = \"/proc/quarterdeck\"")).unwrap();
    refused(&mut world, &["cannot make the data directory /proc/quarterdeck; set agent.data_dir"]).await;
}

/// A folder that nobody may change, not even root, until this is dropped: as a file system that turns read-only.
///
/// But for the memory that SQLite's connections share, which is a file as well: the kernel ends who writes to it where that
/// is not allowed, and an agent that is killed is another story.
struct Frozen(PathBuf);

impl Frozen {
    fn new(folder: &Path) -> Self {
        let frozen = Self(folder.to_owned());
        assert!(chattr("+i", folder), "this user, or the file system of {}, knows no `chattr +i`", folder.display());
        let memory = folder.join("history.db-shm");
        assert!(!memory.exists() || chattr("-i", &memory), "{} stays frozen", memory.display());
        frozen
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let output = Command::new("chattr").arg("-R").arg(change).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

/// A disk that fails is mounted read-only under a running agent: it says so to all who look, changes nothing that it could
/// not note, and goes on when the disk is back. Only root can make it so, where the file system knows the attribute.
#[tokio::test]
#[ignore = "wants `chattr +i`: root, on ext4 or its like; told by tests/real/run"]
async fn a_data_directory_that_turns_read_only_stops_the_work_and_loses_none() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let before = deploy(&world).rev("main");
    let frozen = Frozen::new(&world.path("data"));
    let edit = |object: &mut serde_json::Value| object["data"]["value"] = json!("edited");
    world.cluster.edit("configmaps", "shop", "a", "somebody", edit).unwrap();
    let missed =
        |state: &State| agent(state).map(|agent| Some(told(agent.history_error.as_ref()?, &agent.history_hint)))?;
    let error = world.wait("the history to be missed", missed).await.unwrap();
    let path = world.path("data/history.db").display().to_string();
    let words = format!(
        "cannot write to the history database, no changes were made: the history does not answer: disk I/O error: Error code 778: disk I/O \
         error\nhint: free some disk space or fix {path}"
    );
    assert_eq!(error, words);
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    let failed = |state: &State| repositories(state).iter().find_map(|r| r.error.clone());
    let error = world.wait("the mirror to be missed", failed).await.unwrap();
    let begin = format!("the mirror {}/", world.path("data/mirrors").display());
    assert!(error.starts_with(&begin) && error.contains(" failed while storing what was fetched: "), "{error}");
    assert!(error.contains("Operation not permitted (os error 1)"), "{error}");
    let denied = world
        .client()
        .post::<Accepted>("/v1/environments/shop/suspend", &json!({ "reason": "a test" }))
        .await
        .unwrap_err();
    assert_eq!(denied.to_string(), words.split("\nhint: ").next().unwrap());
    assert_eq!(value(&world, "a").as_deref(), Some("edited"), "what could not be noted was not done");
    let status = harness::world::environment(&world.state().await.unwrap(), "shop").cloned().unwrap();
    assert!(is_at(&status, &before) && !status.suspended, "{status:?}");

    drop(frozen);
    ask(&world, "refresh", json!({})).await;
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
    world.wait("the error to be gone", |state| agent(state)?.history_error.is_none().then_some(())).await.unwrap();

    world.stop_agent().unwrap();
    let frozen = Frozen::new(&world.path("data"));
    let data = world.path("data").display().to_string();
    refused(
        &mut world,
        &[&format!(
            "cannot write in the data directory {data}; set agent.data_dir to a folder that the agent may write"
        )],
    )
    .await;
    drop(frozen);
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
}
