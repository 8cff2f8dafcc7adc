//! `qd completions SHELL`: a completion script, for `source <(qd completions bash)` or the shell's own folder.

use clap_complete::Shell;

use crate::command::{CommandError, Context};
use crate::exit::Exit;

/// A completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// Writes the script for this command line.
pub fn run(args: &Args, command: &mut clap::Command, context: &mut Context) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "qd", &mut script);
    context.output.verbatim(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
