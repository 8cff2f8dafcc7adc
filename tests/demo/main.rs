//! The playground behind `cargo demo`: a throwaway world with agent and console on it, and its tour without a terminal.
//!
//! One program plays three parts, so that `cargo demo` builds one thing: `playground agent …` is the agent's own command
//! line, `playground console …` the console's (`cosign` and `syft` stand in for those programs), `playground demo` makes the world and runs the other two as processes.

mod asking;
mod dying;
mod play;
mod real;
mod step;
mod tour;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "playground", about = "A throwaway world for Quarterdeck")]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// The agent's command line
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Agent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// The console's command line
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Console {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Ask an agent what stands on the input: for tests that are several users
    #[command(hide = true)]
    Ask { socket: std::path::PathBuf },
    /// The stand-in for the program cosign
    #[command(hide = true, disable_help_flag = true, disable_version_flag = true)]
    Cosign {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The stand-in for the program syft
    #[command(hide = true, disable_help_flag = true, disable_version_flag = true)]
    Syft {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The stand-in for the program buildctl
    #[command(hide = true, disable_help_flag = true, disable_version_flag = true)]
    Buildctl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// A world with real git and stand-ins for engine, registry and cluster; agent and console on it
    Demo(DemoOptions),
}

/// What `cargo demo -- --help` tells.
#[derive(clap::Args)]
struct DemoOptions {
    /// Run the story without a terminal: one line a step with its time; exit 1 if a step fails
    #[arg(long)]
    tour: bool,
    /// Use a real forge, engine, registry and Kubernetes: the world of tests/real/world, which is started if none runs;
    /// exit 3 if this machine cannot
    #[arg(long, conflicts_with_all = ["context", "engine"])]
    real: bool,
    /// Half an hour of versions, drift, bad manifests and rollbacks on real parts that fail at random: what must hold is
    /// checked after each; exit 1 if something did not
    #[arg(long, requires = "real", conflicts_with = "tour")]
    day: bool,
    /// What the day throws its dice by; one of its own otherwise, which it prints
    #[arg(long, value_name = "N", requires = "day")]
    seed: Option<u64>,
    /// How long the day is
    #[arg(long, value_name = "M", requires = "day", default_value_t = 30)]
    minutes: u64,
    /// Use this context of your kubeconfig instead of the stand-in cluster (it must be able to pull from the stand-in
    /// registry on 127.0.0.1, as a one-node cluster on this machine can; namespaces shop and cart are made in it)
    #[arg(long, value_name = "NAME", conflicts_with = "tour")]
    context: Option<String>,
    /// Use this container engine instead of the stand-in: unix:///var/run/docker.sock
    #[arg(long, value_name = "ADDRESS", conflicts_with = "tour")]
    engine: Option<String>,
    /// Make the world and start the agent, say where it is, and wait for Ctrl-C instead of opening the console
    #[arg(long, conflicts_with = "tour")]
    no_console: bool,
    /// Write a picture of the console (SVG) when the fleet has come to rest, and leave: how the one in the README is made
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tour", "no_console"], hide = true)]
    picture: Option<std::path::PathBuf>,
}

fn main() {
    // An agent starts itself to become a renderer; before anything else, since a second thread would be in the way.
    if std::env::args_os().nth(1).is_some_and(|word| word == quarterdeck_agent::renderers::confinement::WORD) {
        std::process::exit(quarterdeck_agent::run(std::env::args_os()));
    }
    let with_name = |name: &str, arguments: Vec<std::ffi::OsString>| std::iter::once(name.into()).chain(arguments);
    let code = match Cli::parse_from(arguments()).part {
        Part::Agent { arguments } => {
            dying::watch();
            quarterdeck_agent::run(with_name("qd-agent", arguments))
        }
        Part::Console { arguments } => quarterdeck_tui::run(with_name("qd", arguments)),
        Part::Ask { socket } => asking::ask(&socket),
        Part::Cosign { arguments } => harness::signing::run("cosign", arguments),
        Part::Syft { arguments } => harness::signing::run("syft", arguments),
        Part::Buildctl { arguments } => harness::engine::play_buildctl(arguments),
        Part::Demo(options) => demo(&options),
    };
    std::process::exit(code);
}

/// What its first argument may be.
const PARTS: [&str; 7] = ["agent", "ask", "buildctl", "console", "cosign", "demo", "syft"];

/// The arguments; without a part's name they are the playground's own, so that `cargo demo -- --tour` needs no more words. A hook of
/// a repository runs what made it, this program, as it would `qd-agent`: with `repo received`.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "repo") {
        arguments.insert(1, "agent".into());
    }
    let names_a_part = arguments.get(1).is_some_and(|first| PARTS.iter().any(|part| first == part));
    if !names_a_part {
        arguments.insert(1.min(arguments.len()), "demo".into());
    }
    arguments
}

fn demo(options: &DemoOptions) -> i32 {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return say_failure(&error.into()),
    };
    let result = runtime.block_on(async {
        match options {
            DemoOptions { real: true, .. } => real::real(options).await,
            DemoOptions { tour: true, .. } => tour::tour().await,
            _ => play::play(options).await,
        }
    });
    result.map_or_else(|error| say_failure(&error), |()| 0)
}

fn say_failure(error: &anyhow::Error) -> i32 {
    use std::io::Write as _;
    // A closed terminal has nobody to tell.
    let _ = writeln!(std::io::stderr(), "playground: {error:#}");
    if error.is::<real::NoWorld>() { real::CANNOT } else { 1 }
}
