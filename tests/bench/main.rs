//! The benchmarks: each figure beside what a user would pick instead, in the same run. `tests/bench/run` builds and runs them.
//!
//! A family measures one thing and gives its figures; nothing in it fails because a goal is missed.

mod figure;
mod machine;
mod table;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use futures::future::BoxFuture;

use crate::figure::Figure;

/// What a family is told.
pub(crate) struct Options {
    /// How often each thing is measured.
    pub(crate) runs: usize,
    /// The agent's program.
    pub(crate) agent: PathBuf,
    /// The console's program.
    pub(crate) console: PathBuf,
}

/// One family of figures: its name, whether it wants the world of real parts, and how it is measured.
type Family = (&'static str, for<'a> fn(&'a Options) -> BoxFuture<'a, anyhow::Result<Vec<Figure>>>);

const FAMILIES: &[Family] = &[];

#[derive(Parser)]
#[command(name = "bench", about = "Measures Quarterdeck beside what a user would pick instead")]
struct Cli {
    /// Measure only these families
    #[arg(value_name = "FAMILY", value_parser = clap::builder::PossibleValuesParser::new(FAMILIES.iter().map(|(name, _)| *name)))]
    only: Vec<String>,
    /// How often each thing is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Write the figures here as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let here = std::env::current_exe()?;
    let here = here.parent().context("a program is in a folder")?;
    let options = Options { runs: cli.runs, agent: here.join("qd-agent"), console: here.join("qd") };
    for program in [&options.agent, &options.console] {
        anyhow::ensure!(program.exists(), "{} is not built: run tests/bench/run", program.display());
    }
    let machine = machine::describe();
    let mut out = std::io::stdout();
    writeln!(out, "{machine}\n")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for (name, family) in FAMILIES {
        if !cli.only.is_empty() && !cli.only.iter().any(|only| only == name) {
            continue;
        }
        match runtime.block_on(family(&options)) {
            Ok(measured) => {
                writeln!(out, "### {name}\n\n{}", table::table(&measured))?;
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
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
