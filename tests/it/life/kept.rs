//! What the agent keeps, in bad hands: a history that is gone, a folder that cannot be written. A history that is damaged or
//! of a newer agent and a disk that fills up are the journal's own tests.

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
