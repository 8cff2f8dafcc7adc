//! The real tier: stories on the world of `tests/real/world`, each in a town of its own. `tests/real/run` runs them.
//!
//! A story that only uses the world shares it; one that stops a part of it has the world to itself meanwhile.

mod engines;
mod git;
mod job;
mod life;
mod screens;
mod sync;
mod ways;

use anyhow::{Context as _, ensure};
use harness::real::{Parts, Town, in_town, said, world};
use harness::terminal::Terminal;
use tokio::sync::RwLock;

static WORLD: RwLock<()> = RwLock::const_new(());

/// How the agent is run.
fn program() -> (std::path::PathBuf, Vec<String>) {
    (env!("CARGO_BIN_EXE_playground").into(), vec!["agent".into()])
}

/// Tells a story that stops parts of the world, with nobody else in it. The parts run again afterwards, whatever became of it.
async fn story_alone(story: impl AsyncFnOnce(&mut Town) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _alone = WORLD.write().await;
    let parts = Parts::running()?;
    let story = async |town: &mut Town| {
        let told = story(town).await;
        let started = said(&mut world("up")).map(drop);
        told.and(started)
    };
    in_town(&parts, program(), story).await
}

/// Tells a story beside others.
async fn story(story: impl AsyncFnOnce(&mut Town) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _shared = WORLD.read().await;
    in_town(&Parts::running()?, program(), story).await
}

/// The console on a town's agent, in a terminal of so many columns and rows.
fn console(town: &Town, size: (u16, u16)) -> anyhow::Result<Terminal> {
    let socket = town.agent.socket().display().to_string();
    Terminal::start(&program().0, &["console", "--socket", &socket], &[], size)
}
