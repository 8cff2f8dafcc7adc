//! The words of the command line: options, subcommands, and what the exit codes mean.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::command::{
    act, adopt, api, build, completions, delete, diff, doctor, events, gc, history, images, logs, manifests, pods,
    rollback, runs, sources, status, sync, test, version,
};
use crate::output::Colour;

/// What each exit code says. `qd --help` ends with this table, and [`Exit`](crate::exit::Exit) is held against it by a test.
const EXIT_CODES: &str = "\
Exit codes:
    0  done; diff: no differences
    1  not found, refused, failed; doctor: a check failed; diff: there are differences
    2  the command line is wrong; diff: what is 1 elsewhere
    3  no agent to talk to: none answers, it does not answer in time, or it is of another version
    4  --wait: the operation failed
    5  --wait: timed out
  130  interrupted (Ctrl-C)
  141  whoever read the output stopped reading

Environment:
  QD_SOCKET  the agent's socket, as --socket
  NO_COLOR   no colours";

/// Watch and operate what git says your clusters should run.
///
/// Without a command: the console, full screen. With one: one answer, for people or, with `-o json`, for programs.
#[derive(Debug, Parser)]
#[command(name = "qd", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// The agent's socket; else that of the user's own agent, then that of the system's.
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    pub socket: Option<PathBuf>,

    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, help_heading = "Global options")]
    pub color: Colour,

    /// Draw the console in ASCII only, in any locale.
    #[arg(long)]
    pub ascii: bool,

    /// What to do; the console where absent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands, in the order in which a person meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How applications and their environments are: one, or all.
    Status(status::Args),
    /// What a sync would change in the cluster; exits 1 where it would.
    Diff(diff::Args),
    /// Make the cluster equal to git, now.
    Sync(sync::Args),
    /// Take over the objects that Argo CD, Flux or Helm holds, without changing them.
    Adopt(adopt::Args),
    /// Build the images of a commit.
    Build(build::Args),
    /// Push the images of a commit, building those that do not exist yet.
    Push(build::Args),
    /// The runs that built and pushed, their logs, and how to stop one.
    Runs(runs::Args),
    /// The syncs of an environment.
    History(history::Args),
    /// Hold an environment at an earlier revision.
    Rollback(rollback::Args),
    /// Let an environment follow git again.
    Unpin(act::UnpinArgs),
    /// Run the tests of the chart of an environment.
    Test(test::Args),
    /// Stop syncing an environment.
    Suspend(act::SuspendArgs),
    /// Resume syncing an environment.
    Resume(act::ResumeArgs),
    /// Suspend an environment and delete all of its objects.
    Delete(delete::Args),
    /// Poll git now.
    Refresh(act::RefreshArgs),
    /// The pods of environments.
    Pods(pods::Args),
    /// The images that applications follow.
    Images(images::Args),
    /// The sources of applications in git, and what is wrong with them.
    Sources(sources::Args),
    /// The logs of the pods of an environment.
    Logs(logs::Args),
    /// What happened, and what caused it.
    Events(events::Args),
    /// The rendered manifests of an environment.
    Manifests(manifests::Args),
    /// Send a request to the agent's API.
    Api(api::Args),
    /// Check git, engine, registries, clusters and renderers, and say what to do.
    Doctor(doctor::Args),
    /// Delete images, mirrors and charts on the agent's machine that no one needs.
    Gc(gc::Args),
    /// A completion script for a shell.
    Completions(completions::Args),
    /// The versions of this program and of the agent.
    Version(version::Args),
}

/// Reads a command line, and whether its command answers in JSON (`-o json`): then its errors are JSON as well.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Cli, bool), clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let as_json = is_json(&matches);
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut Cli::command()))?;
    Ok((cli, as_json))
}

fn is_json(matches: &ArgMatches) -> bool {
    // Some commands have no form to choose, for which clap has an error.
    let form = matches.try_get_raw("output").ok().flatten().and_then(|mut given| given.next_back());
    form.is_some_and(|form| form == "json") || matches.subcommand().is_some_and(|(_, matches)| is_json(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_form_of_errors_is_that_of_the_answer() {
        for (line, as_json) in [
            ("qd", false),
            ("qd status", false),
            ("qd status -o wide", false),
            ("qd status -ojson", true),
            ("qd runs show 1 --output=json", true),
            ("qd runs show 1", false),
            ("qd completions bash", false),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(parse(words).unwrap().1, as_json, "{line}");
        }
    }

    #[test]
    fn each_exit_code_is_told() {
        use crate::exit::Exit::*;
        let told: Vec<u8> =
            EXIT_CODES.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        let all = [Done, Failed, Usage, NoAgent, WaitFailed, WaitTimeout, Interrupted, PipeClosed];
        assert_eq!(told, all.map(|exit| exit as u8));
    }
}
