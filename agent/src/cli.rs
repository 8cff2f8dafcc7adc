//! The command line of the agent.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::api::socket::SocketError;
use crate::command::backup;
use crate::command::bundle::{self, BundleCommand, CreateError, PushError};
use crate::command::config_path::ConfigPath;
use crate::command::health::{Judge, Output};
use crate::command::import::Import;
use crate::command::repo::{self, Foreign, RemoveError, RepoCommand};
use crate::config::places::NoPlace;
use crate::config::{Config, ConfigError, places};
use crate::configuration::folder as working_copy;
use crate::history::error::HistoryError;
use crate::images::LoginError;
use crate::renderers::launcher;
use crate::sources::folder;
use quarterdeck_container::registry::oci::RegistryError;
use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::own_repository::request::Refusal;
use quarterdeck_git::own::OwnError;
use quarterdeck_kubernetes::ApiProblem;
use quarterdeck_shared::application::{SourceName, SourceNameError};
use quarterdeck_shared::error::{self, Hint, chain};

/// Nothing went wrong.
pub const DONE: i32 = 0;
/// What was asked for failed.
pub const FAILED: i32 = 1;

#[derive(Parser)]
#[command(
    name = "qd-agent",
    version,
    about = "Watches git, builds and pushes images, keeps Kubernetes clusters equal to git",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent in the foreground (systemd units are in agent/systemd)
    Run {
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Validate a configuration: list every problem with its file, line and fix
    Check {
        /// Validate the files of a source of applications as well, in a folder that is a checkout of its repository
        #[arg(long, value_name = "NAME=DIR", value_parser = named_folder)]
        source: Vec<(SourceName, PathBuf)>,
        /// Validate the local file together with a working copy of the repository of [configuration], or with one file of it
        #[arg(long, value_name = "DIR|FILE")]
        as_git: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Write a commented starter configuration and print its path
    Init {
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Copy the history (requests, runs, syncs, events) of a running or stopped agent to a file
    Backup {
        /// The file to write; only its owner can read it
        file: PathBuf,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Replace the history with a backup, while no agent runs, and list what the agent will resume
    Restore {
        /// A file written by `qd-agent backup`
        file: PathBuf,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Repositories of your own on this machine: teammates push over ssh, and the agent sees it immediately
    Repo {
        #[command(subcommand)]
        command: RepoCommand,
    },
    /// Copy what an environment runs (manifests, chart, images) to one file, and from it into a registry of a place without a network
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Read what Argo CD or Flux is asked for, print it as applications of a configuration, and report what could not be imported
    Import(Import),
    /// Judge the health of Kubernetes objects in files, without a cluster
    Health {
        /// YAML or JSON files with live objects; `-` reads standard input
        #[arg(short = 'f', long = "filename", required_unless_present = "cases", num_args = 1..)]
        files: Vec<PathBuf>,
        /// A folder of cases: YAML files whose documents begin with `# expected: Degraded`. Fails if a verdict differs
        #[arg(long, value_name = "DIR", conflicts_with = "files")]
        cases: Option<PathBuf>,
        /// A configuration whose [[health]] rules apply; its other tables are not read
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Judge as of this time, e.g. 2026-01-02T03:04:05Z. Without it nothing that is normal for a moment becomes a failure
        #[arg(long, value_name = "TIME")]
        at: Option<jiff::Timestamp>,
        /// How to print the verdicts
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

/// The command line as clap knows it, for what prints or checks its help.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs what the arguments ask for; the answer is the exit code: 0 done, 1 failed, 2 not understood.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Not a command for people.
    if let Some(code) = launcher::run(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal has nobody to tell.
            let _ = error.print();
            return error.exit_code();
        }
    };
    let result = match cli.command {
        Command::Run { config } => config.path().and_then(|path| crate::agent::run(&path)),
        Command::Check { source, as_git, config } => {
            config.path().and_then(|path| check(&path, &source, as_git.as_deref()))
        }
        Command::Init { config } => config.path().and_then(|path| init(&path)),
        Command::Backup { file, force, config } => {
            data_dir(config).and_then(|data_dir| backup::backup(&data_dir, &file, force, &mut std::io::stdout().lock()))
        }
        Command::Restore { file, yes, config } => data_dir(config).and_then(|data_dir| {
            anyhow::ensure!(yes || backup::can_ask(), "no terminal to confirm on: use --yes");
            backup::restore(&data_dir, &file, yes, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())
        }),
        Command::Repo { command } => repo::run(command, &mut std::io::stdout().lock()),
        Command::Bundle { command } => {
            bundle::run(command, &mut std::io::stdout().lock(), &mut std::io::stderr().lock())
        }
        Command::Import(import) => {
            crate::command::import::run(&import, &mut std::io::stdout().lock(), &mut std::io::stderr().lock())
        }
        Command::Health { files, cases, rules, at, output } => health(&files, cases, rules, at, output),
    };
    match result {
        Ok(()) => DONE,
        Err(error) => {
            let lines = error::lines("qd-agent", &chain(error.as_ref()), &[hint(&error)]);
            let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
            FAILED
        }
    }
}

/// What to do about an error of a command, where one of its causes knows.
fn hint(error: &anyhow::Error) -> Cow<'_, str> {
    fn of<E: Hint + 'static>(error: &anyhow::Error) -> Option<Cow<'_, str>> {
        error.chain().find_map(|cause| cause.downcast_ref::<E>()).map(E::hint)
    }
    let hints = [
        of::<HistoryError>,
        of::<ConfigError>,
        of::<NoPlace>,
        of::<SocketError>,
        of::<Refusal>,
        of::<OwnError>,
        of::<RemoveError>,
        of::<Foreign>,
        of::<ApiProblem>,
        of::<CreateError>,
        of::<PushError>,
        of::<RegistryError>,
        of::<LoginError>,
    ];
    hints.into_iter().find_map(|of| of(error)).unwrap_or_default()
}

fn health(
    files: &[PathBuf],
    cases: Option<PathBuf>,
    rules: Option<PathBuf>,
    now: Option<jiff::Timestamp>,
    output: Output,
) -> anyhow::Result<()> {
    let rules = rules.map_or_else(|| Ok(Rules::default()), |path| crate::config::health::read(&path))?;
    let out = &mut std::io::stdout().lock();
    match cases {
        Some(folder) => crate::command::cases::run(&folder, &rules, now, out)?,
        None => crate::command::health::run(files, Judge { rules: &rules, now, output }, out)?,
    }
    Ok(())
}

fn data_dir(config: ConfigPath) -> anyhow::Result<PathBuf> {
    Ok(places::data_dir(&Config::load(&config.path()?)?.agent)?)
}

/// `teams=./fleet`
fn named_folder(text: &str) -> Result<(SourceName, PathBuf), String> {
    let (name, folder) = text.split_once('=').ok_or("write NAME=DIR, as teams=./fleet")?;
    Ok((name.parse().map_err(|error: SourceNameError| error.to_string())?, folder.into()))
}

fn check(
    path: &std::path::Path,
    sources: &[(SourceName, PathBuf)],
    as_git: Option<&std::path::Path>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let applications = |count: usize| format!("{count} application{}", if count == 1 { "" } else { "s" });
    let config = match as_git {
        // The files that it names are on another machine.
        Some(copy) => {
            let config = working_copy::check(path, copy)?;
            let (place, count) = (format!("{} with {}", path.display(), copy.display()), config.applications.len());
            writeln!(out, "{place}: OK ({})", applications(count))?;
            config
        }
        None => {
            let config = Config::load_with_files(path)?;
            writeln!(out, "{}: OK ({})", path.display(), applications(config.applications.len()))?;
            config
        }
    };
    for (name, folder) in sources {
        let count = folder::check(config.clone(), path.parent().unwrap_or(path), name, folder)?;
        writeln!(out, "{}: OK ({} of source {name})", folder.display(), applications(count))?;
    }
    Ok(())
}

/// What `init` writes: the example that stands in the repository, with every option commented out.
const STARTER: &str = include_str!("../../config.example.toml");

fn init(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            anyhow::bail!("{} already exists and was not changed; edit it, then try `qd-agent check`", path.display())
        }
        made => made.map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))?,
    };
    file.write_all(STARTER.as_bytes())?;
    writeln!(
        std::io::stdout(),
        "wrote {}\nnext: describe an application in it, then `qd-agent check`, then `qd-agent run`",
        path.display()
    )?;
    Ok(())
}
