//! The benchmarks: each figure beside what a user would pick instead, in the same run. `tests/bench/run` builds and runs them.
//!
//! A family measures one thing and gives its figures; nothing in it fails because a goal is missed.

mod figure;
mod machine;
mod measure;
mod table;

mod cluster;
mod docker;
mod follow;
mod gate;
mod subject;

mod git;

mod apply;
mod bundles;
mod charts;
mod fleet;
mod growth;
mod restart;
mod sources;
mod start;

mod build;
mod delivery;
mod hooks;
mod many;
mod review;

mod console;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::real::Parts;

use crate::figure::Figure;

/// What a family is told.
pub(crate) struct Options {
    /// How often each thing is measured.
    pub(crate) runs: usize,
    /// The agent's program.
    pub(crate) agent: PathBuf,
    /// The console's program.
    pub(crate) console: PathBuf,
    /// How long an idle fleet is watched.
    pub(crate) quiet: Duration,
    /// How many applications the console's fleet has, and that of a restart.
    pub(crate) applications: usize,
    /// How many charts are released.
    pub(crate) charts: usize,
    /// How long a log is followed.
    pub(crate) log: Duration,
    /// Where the bundles of public projects are.
    pub(crate) bundles: Option<PathBuf>,
    world: OnceLock<Parts>,
}

impl Options {
    /// The world of real parts: the one that runs, or one that is started now and ends with the benchmarks.
    pub(crate) fn parts(&self) -> anyhow::Result<&Parts> {
        if let Some(parts) = self.world.get() {
            return Ok(parts);
        }
        let parts = Parts::up().context("no world of real parts for this")?;
        Ok(self.world.get_or_init(|| parts))
    }
}

/// A family that takes longer than this, and the time for which it watches, hangs: the others are to be measured.
const FAMILY_MAX: Duration = Duration::from_secs(900);

/// One family of figures: its name, and how it is measured.
type Family = (&'static str, for<'a> fn(&'a Options) -> BoxFuture<'a, anyhow::Result<Vec<Figure>>>);

/// Measured where it is asked for: it wants files that are not here.
const BUNDLES: &str = "bundles";

const FAMILIES: &[Family] = &[
    ("git", git::local),
    ("forge", git::forge),
    ("apply", apply::family),
    (BUNDLES, bundles::family),
    ("charts", charts::family),
    ("fleet", fleet::family),
    ("growth", growth::family),
    ("restart", restart::family),
    ("sources", sources::family),
    ("start", start::family),
    ("build", build::family),
    ("many", many::family),
    ("review", review::family),
    ("delivery", delivery::family),
    ("hooks", hooks::family),
    ("console", console::family),
    ("log", console::log::family),
];

#[derive(Parser)]
#[command(name = "bench", about = "Measures Quarterdeck beside what a user would pick instead")]
struct Cli {
    /// Measure only these families
    #[arg(value_name = "FAMILY", value_parser = clap::builder::PossibleValuesParser::new(FAMILIES.iter().map(|(name, _)| *name)))]
    only: Vec<String>,
    /// How often each thing is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How many minutes an idle fleet is watched
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// How many applications the console is shown, with ten pods each, and how many start again
    #[arg(long, default_value_t = 1_000)]
    applications: usize,
    /// How many charts are released
    #[arg(long, default_value_t = 100)]
    charts: usize,
    /// How many seconds a log is followed, each time
    #[arg(long, default_value_t = 60)]
    log_seconds: u64,
    /// Measure the bundles in this folder too, a folder each
    #[arg(long, value_name = "DIR")]
    bundles: Option<PathBuf>,
    /// Write the figures here as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let here = std::env::current_exe()?;
    let here = here.parent().context("a program is in a folder")?;
    let options = Options {
        runs: cli.runs,
        agent: here.join("qd-agent"),
        console: here.join("qd"),
        quiet: Duration::try_from_secs_f64(cli.minutes * 60.0)?,
        applications: cli.applications,
        charts: cli.charts,
        log: Duration::from_secs(cli.log_seconds),
        bundles: cli.bundles,
        world: OnceLock::new(),
    };
    for program in [&options.agent, &options.console] {
        anyhow::ensure!(program.exists(), "{} is not built: run tests/bench/run", program.display());
    }
    let machine = machine::describe();
    let mut out = std::io::stdout();
    writeln!(out, "{machine}\n")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for (name, family) in FAMILIES {
        let is_asked = cli.only.iter().any(|only| only == name);
        let is_default = cli.only.is_empty() && (*name != BUNDLES || options.bundles.is_some());
        if !is_asked && !is_default {
            continue;
        }
        let began = std::time::Instant::now();
        // A family that panics is one that failed: the others are measured all the same.
        let family = std::panic::AssertUnwindSafe(family(&options)).catch_unwind();
        let limit = FAMILY_MAX + options.quiet + options.log * options.runs as u32;
        let measured = match runtime.block_on(async { tokio::time::timeout(limit, family).await }) {
            Ok(measured) => measured.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))),
            Err(_) => Err(anyhow::anyhow!("it did not end within {} s", limit.as_secs())),
        };
        match measured {
            Ok(measured) => {
                let table = if *name == "growth" { table::grid(&measured) } else { table::table(&measured) };
                writeln!(out, "### {name} ({} s)\n\n{table}", began.elapsed().as_secs())?;
                figures.extend(measured);
            }
            Err(error) => {
                writeln!(out, "### {name}\n\nnot measured: {error:#}\n")?;
                failed.push(*name);
            }
        }
    }
    if let Some(path) = cli.json {
        let all = serde_json::json!({ "machine": machine, "figures": figures });
        std::fs::write(&path, serde_json::to_vec_pretty(&all)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    // What a family that hangs left running ends with us.
    runtime.shutdown_background();
    if let Some(parts) = options.world.get() {
        parts.end()?;
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
