//! The real tier: stories on the world of `tests/real/world`, each in a town of its own. `tests/real/run` runs them.
//!
//! A story that only uses the world shares it; one that stops a part of it has the world to itself meanwhile.

mod clients;
mod conformance;
mod engines;
mod forge;
mod git;
mod job;
mod life;
mod page;
mod planned;
mod protected;
mod released;
mod screens;
mod sync;
mod ways;

use std::any::type_name;
use std::io::Write as _;
use std::time::Instant;

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
async fn story_alone<S: AsyncFnOnce(&mut Town) -> anyhow::Result<()>>(story: S) -> anyhow::Result<()> {
    let _alone = WORLD.write().await;
    let telling = Telling::of::<S>();
    let parts = Parts::running()?;
    let story = async |town: &mut Town| {
        let told = story(town).await;
        let started = said(&mut world("up")).map(drop);
        told.and(started)
    };
    telling.ends(in_town(&parts, program(), story).await)
}

/// Tells a story beside others.
async fn story<S: AsyncFnOnce(&mut Town) -> anyhow::Result<()>>(story: S) -> anyhow::Result<()> {
    story_of(program(), story).await
}

/// The same, of an agent that is run in another way.
async fn story_of<S: AsyncFnOnce(&mut Town) -> anyhow::Result<()>>(
    program: (std::path::PathBuf, Vec<String>),
    story: S,
) -> anyhow::Result<()> {
    let _shared = WORLD.read().await;
    let telling = Telling::of::<S>();
    telling.ends(in_town(&Parts::running()?, program, story).await)
}

/// Tells a story that has no town: it makes its own in the cluster, and clears it away.
async fn story_of_parts<S: AsyncFnOnce(&Parts) -> anyhow::Result<()>>(story: S) -> anyhow::Result<()> {
    let _shared = WORLD.read().await;
    let telling = Telling::of::<S>();
    telling.ends(story(&Parts::running()?).await)
}

/// Tells a story that needs nothing of the world.
async fn story_beside<S: AsyncFnOnce() -> anyhow::Result<()>>(story: S) -> anyhow::Result<()> {
    let telling = Telling::of::<S>();
    telling.ends(story().await)
}

/// How long a story takes, from when the world is free for it: a line of the file that `QD_STORIES` names.
struct Telling {
    name: &'static str,
    begun: Instant,
    outcome: &'static str,
}

impl Telling {
    /// A closure is named after the test that it stands in, also where all tests have one thread.
    fn of<Story>() -> Self {
        let name = type_name::<Story>();
        let name = name.split("::{{").next().unwrap_or(name);
        let name = name.split_once("::").map_or(name, |(_, name)| name);
        Self { name, begun: Instant::now(), outcome: "failed" }
    }

    fn ends<T>(mut self, told: anyhow::Result<T>) -> anyhow::Result<T> {
        if told.is_ok() {
            self.outcome = "passed";
        }
        told
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let Some(file) = std::env::var_os("QD_STORIES") else { return };
        let line = format!("{:6.1}  {}  {}\n", self.begun.elapsed().as_secs_f64(), self.outcome, self.name);
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        // Who reads the table misses the line; the story is what it is.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// The console on a town's agent, in a terminal of so many columns and rows.
fn console(town: &Town, size: (u16, u16)) -> anyhow::Result<Terminal> {
    let socket = town.agent.socket().display().to_string();
    Terminal::start(&program().0, &["console", "--socket", &socket], &[], size)
}
