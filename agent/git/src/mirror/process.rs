//! How the programs that git needs (git itself, ssh) are run within a conversation, and how it is told that they could not.

use std::io;
use std::process::Command;
use std::sync::Arc;

use quarterdeck_system::open_files;
use quarterdeck_system::program::{self, Finished, ProgramError, Running};

use super::operation::Operation;
use crate::GitError;
use crate::error::clean;

/// Starts a program to talk with.
pub(super) fn start(command: Command, talk: &Arc<Operation>) -> Result<Running, GitError> {
    let name = name(&command);
    Running::start(command, talk.clone()).map_err(|error| not_started(name, talk, &error))
}

/// Runs a program to its end with `input`, within the time and the bytes of `talk`.
pub(super) fn run(command: Command, input: &[u8], talk: &Arc<Operation>) -> Result<Finished, GitError> {
    let name = name(&command);
    match program::run_within(command, input, talk.clone()) {
        Ok(finished) => Ok(Finished { stderr: clean(&finished.stderr), ..finished }),
        Err(ProgramError::Start(error)) => Err(not_started(name, talk, &error)),
        Err(ProgramError::Wait(error)) => {
            Err(talk.noted().unwrap_or(GitError::Program { program: name, detail: format!("failed: {error}") }))
        }
        Err(other) => Err(GitError::Program { program: name, detail: other.to_string() }),
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn not_started(program: String, talk: &Operation, error: &io::Error) -> GitError {
    let detail = match error.kind() {
        _ if open_files::is_reached(error) => {
            return GitError::OpenFiles { url: talk.url().to_owned(), limit: open_files::limit_reached() };
        }
        io::ErrorKind::NotFound => format!("could not be started: {error}; is it installed?"),
        _ => format!("could not be started: {error}"),
    };
    GitError::Program { program, detail }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::operation;
    use super::*;

    fn talk(time: Duration, bytes: u64) -> Arc<Operation> {
        let bounds = operation::Bounds { doing: "talking", time, stall: time, bytes, bytes_option: Some("pack_bytes") };
        Operation::new("ssh://forge/shop".into(), bounds, Arc::default())
    }

    fn failure(program: &str, arguments: &[&str], talk: &Arc<Operation>) -> GitError {
        let mut command = Command::new(program);
        command.args(arguments);
        run(command, b"", talk).err().unwrap()
    }

    #[test]
    fn what_ends_a_program_is_told_of_the_conversation() {
        let minute = Duration::from_secs(60);
        let error = failure("sleep", &["600"], &talk(Duration::from_millis(50), 1));
        assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
        let error = failure("yes", &[], &talk(minute, 1 << 20));
        assert!(matches!(error, GitError::TooMuch { limit: 1_048_576, .. }), "{error}");
        let error = failure("/no/such/program", &[], &talk(minute, 1));
        assert!(error.to_string().starts_with("`/no/such/program` could not be started"), "{error}");
        let stopping = talk(minute, 1);
        stopping.interrupt_for_test();
        let error = failure("sleep", &["600"], &stopping);
        assert!(matches!(error, GitError::Interrupted { .. }), "{error}");
    }
}
