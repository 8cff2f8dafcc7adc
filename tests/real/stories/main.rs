//! The real tier: stories on the world of `tests/real/world`, each in a town of its own. `tests/real/run` runs them.
//!
//! A story that only uses the world shares it; one that stops a part of it has the world to itself meanwhile.

mod engines;
mod job;
mod ways;

use harness::real::{Parts, Town, in_town};
use tokio::sync::RwLock;

static WORLD: RwLock<()> = RwLock::const_new(());

/// How the agent is run.
fn program() -> (std::path::PathBuf, Vec<String>) {
    (env!("CARGO_BIN_EXE_playground").into(), vec!["agent".into()])
}

/// Tells a story beside others.
async fn story(story: impl AsyncFnOnce(&mut Town) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _shared = WORLD.read().await;
    in_town(&Parts::running()?, program(), story).await
}
