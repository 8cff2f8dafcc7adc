//! `qd completions SHELL`: a completion script, for `source <(qd completions bash)` or the shell's own folder.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Exit};
use crate::command::{CommandError, Context};

/// A completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// Runs it.
pub fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "qd", &mut script);
    context.output.verbatim(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
