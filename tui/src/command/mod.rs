//! The command line's commands, one a file: its arguments, what it prints, and the shape of its JSON.
//!
//! The shapes are the words of the wire ([`quarterdeck_shared`]), so what `jq` learns here it knows at the socket, too.
//! A command reads straight down: ask, then write. It decides nothing that the agent could decide.

pub mod diff;
pub mod status;
pub mod sync;

pub mod build;
pub mod packages;
pub mod runs;

pub mod act;
pub mod adopt;
pub mod delete;
pub mod history;
pub mod rollback;
pub mod test;

pub mod events;
pub mod images;
pub mod logs;
pub mod manifests;
pub mod pods;
pub mod sources;

pub mod api;
pub mod completions;
pub mod doctor;
pub mod gc;
pub mod version;

pub mod arguments;

pub mod several;

mod objects;
mod steps;
mod wait;

#[cfg(test)]
mod tests;

use std::io;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use quarterdeck_shared::error::{Failure, Hint as _};
use serde::Serialize;

use crate::client::Client;
use crate::client::error::ClientError;
use crate::command::several::ReadLine;
use crate::exit::Exit;
use crate::output::Output;
use crate::runtime::ConsoleError;

/// What every command is given.
pub struct Context {
    /// The way to the agent.
    pub client: Client,
    /// Where it writes.
    pub output: Output,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// In which zone times are shown; asked for where one is: looking for it reads through the system's time zones.
    pub zone: fn() -> TimeZone,
    /// How a person at the terminal answers a question; none where nobody sits there.
    pub read_line: Option<ReadLine>,
}

impl Context {
    /// The time of a moment, for people: `2026-11-23 12:04:31`.
    fn local(&self, at: Timestamp) -> String {
        at.to_zoned((self.zone)()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Asks the person at the terminal whether to go on, for a command that has `--yes` and `--dry-run`.
    async fn confirm(&mut self, question: &str) -> Result<bool, CommandError> {
        let Some(read_line) = self.read_line.filter(|_| !self.output.errors_as_json) else {
            return Err(CommandError::Usage {
                message: "no terminal to confirm on".to_owned(),
                hint: "use --yes, or --dry-run to only look".to_owned(),
            });
        };
        self.output.note(&format!("{question} [y/N]"))?;
        let answer = read_line().await.unwrap_or_default();
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Writes the answer: as JSON where asked for, else as the function writes it for people.
    fn answer<T: Serialize>(
        &mut self,
        format: Option<Format>,
        value: &T,
        people: impl FnOnce(&mut Self, &T) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        match format {
            Some(Format::Json) => self.output.json(value)?,
            None => people(self, value)?,
        }
        Ok(())
    }
}

/// Another form than the one for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
}

/// Another form of a list than the one for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// JSON.
    Json,
    /// A table with more columns.
    Wide,
    /// `kind/name`, a line each.
    Name,
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The agent could not be asked, or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The console could not be shown.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// What a command needs beside itself could not be started.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The answer could not be written.
    #[error("cannot write: {}", reason(.0))]
    Output(io::Error),
    /// There is no such thing among what the agent knows.
    #[error("there is no {what}")]
    NotFound {
        /// `application "shpo"`.
        what: String,
        /// What there is instead.
        hint: String,
    },
    /// Something on the command line is wrong that only shows now.
    #[error("{message}")]
    Usage {
        /// What.
        message: String,
        /// What would be right.
        hint: String,
    },
    /// An application has several environments, and none was named.
    #[error("{application} has {} environments: {}", .all.len(), names(.all))]
    Several {
        /// The application.
        application: ApplicationName,
        /// They, in the order of the configuration.
        all: Vec<EnvironmentId>,
        /// What the command can be told instead.
        way_out: &'static str,
    },
    /// What was done for one of several environments failed.
    #[error("{of}")]
    Of {
        /// Which.
        of: Address,
        /// Why.
        source: Box<CommandError>,
    },
    /// The tests of a chart did not all pass, or not all objects were deleted.
    #[error("{}", .0.message)]
    NotPassed(Failure),
    /// What was waited for ended, and not well.
    #[error("{}", .0.message)]
    WaitFailed(Failure),
    /// What was waited for did not end well in time.
    #[error("timed out after {waited}: {state}")]
    WaitTimeout {
        /// How long.
        waited: String,
        /// How it stood.
        state: String,
    },
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// `shop/qa, shop/prod`.
fn names(all: &[EnvironmentId]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `no space left on device`: the system's words without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(&*text, |(words, _)| words);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

impl CommandError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) if error.is_no_agent() => Exit::NoAgent,
            Self::Client(_) | Self::NotFound { .. } | Self::NotPassed(_) | Self::Console(_) | Self::Start(_) => {
                Exit::Failed
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::PipeClosed,
            Self::Output(_) => Exit::Failed,
            Self::Usage { .. } | Self::Several { .. } => Exit::Usage,
            Self::Of { source, .. } => source.exit(),
            Self::WaitFailed(_) => Exit::WaitFailed,
            Self::WaitTimeout { .. } => Exit::WaitTimeout,
        }
    }

    /// The kind of it for programs, as in [`ErrorAnswer`](quarterdeck_shared::protocol::ErrorAnswer): the agent's own where
    /// the agent answered, and `failed` or `timeout` where `--wait` ended so.
    pub fn code(&self) -> &str {
        match self {
            Self::Client(ClientError::Answer { answer, .. }) => &answer.error,
            Self::Client(error) if error.is_no_agent() => "unavailable",
            Self::NotFound { .. } => "not_found",
            Self::Usage { .. } | Self::Several { .. } => "bad_request",
            Self::Of { source, .. } => source.code(),
            Self::WaitFailed(_) | Self::NotPassed(_) => "failed",
            Self::WaitTimeout { .. } => "timeout",
            Self::Client(_) | Self::Console(_) | Self::Start(_) | Self::Output(_) => "internal",
        }
    }

    /// What to do next, a line each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Client(error) => error.hints(),
            Self::Of { source, .. } => source.hints(),
            Self::Several { way_out, .. } => vec![(*way_out).to_owned()],
            Self::NotFound { hint, .. } | Self::Usage { hint, .. } if !hint.is_empty() => vec![hint.clone()],
            Self::Console(ConsoleError::Terminal(error)) if !error.hint().is_empty() => vec![error.hint().into_owned()],
            Self::WaitFailed(failure) | Self::NotPassed(failure) if !failure.hint.is_empty() => {
                vec![failure.hint.clone()]
            }
            _ => Vec::new(),
        }
    }
}
