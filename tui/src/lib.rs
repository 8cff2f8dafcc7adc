//! The console and the command line of Quarterdeck: `qd`.
//!
//! It knows the words and the wire ([`quarterdeck_shared`]), and nothing of git, engines, registries or clusters: all
//! that it shows it was told by the agent, and all that it does is to ask the agent.
//!
//! ```text
//! arguments --cli--> command --client--> agent's socket --> answer --output--> standard output
//!
//! keys, changes, answers --Message--> update(&mut Model) --Effect--> runtime --client--> agent's socket
//!                                          |
//!                                          |--Turn--> the screen that is seen
//!                                          |                  |
//!                                          +--> view(&Model) -+--Painter--> terminal
//! ```
//!
//! Places to begin:
//! - [`screen`] has a file for each screen: its keys, what it does with them and with an answer, its rows and columns, its
//!   drawing. A screen is that file and a line in the list there.
//! - [`update::update`] is what keys and all else do to the [`console::Model`], without I/O and without a clock;
//!   [`view::view`] draws it; [`runtime::console`] is the loop around.
//! - A key becomes a sync: `keys` of [`update`] knows what it means on this screen, `act` asks what is to be synced, `confirm`
//!   sends it on a yes, `tasks` of [`runtime`] posts it to the agent.
//! - A dead pod becomes a red row: `link` of [`update`] takes what the agent tells of it, [`screen::pods`] gives its cells,
//!   [`status_style`] its tone and sign, and `theme` of [`paint`] the colour of a tone.
//! - [`keymap::EVERYWHERE`] lists the keys that mean the same on every screen, [`screen::bindings`] all of them.
//! - [`cli::Command`] lists the subcommands, [`exit::Exit`] what their exit codes mean; [`command`] holds one a file.
//! - [`client::Client`] is the only way to the agent: one connection a request, each with a deadline and a size.
//! - [`output::Output`] is the only place that writes: colours by meaning on a terminal, the same words in a pipe, and
//!   nothing from outside that could drive a terminal.
//!
//! [`mod@column`], [`status_style`], [`text`], [`unseen`] and [`event_text`] are pure, and say for tables and screens alike what a
//! column is called and shows, what tone and sign a word has, how long ago a moment was, what cannot be seen, and what an
//! event is in a sentence.
//!
//! Invariants: only [`output`] and [`terminal`] write; only [`client`] opens a socket; no command decides what the agent
//! could decide; the parts of the model know neither a screen nor what draws it; only [`screen::Place`] tells one screen
//! from another.

pub mod effect;
pub mod keymap;
pub mod message;
pub mod model;

pub mod console;
pub mod screen;
pub mod update;
pub mod view;

pub mod paint;

pub mod log_collector;
pub mod runtime;
pub mod terminal;

pub mod cli;
pub mod command;
pub mod dispatch;
pub mod exit;

pub mod client;

pub mod output;

pub mod column;
pub mod event_text;
pub mod status_style;
pub mod text;
pub mod unseen;

#[cfg(test)]
mod standin;

use std::ffi::OsString;
use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quarterdeck_shared::error::{chain, lines};
use quarterdeck_shared::protocol::ErrorAnswer;

use crate::cli::{Cli, Command};
use crate::client::{Client, socket_candidates};
use crate::command::{CommandError, Context, several};
use crate::exit::Exit;
use crate::output::{Colour, Output};

/// Runs the program with the arguments of its command line, the program's name first; its exit code, see [`Exit`].
pub fn run(args: impl IntoIterator<Item = OsString>) -> i32 {
    let (cli, as_json) = match cli::parse(args) {
        Ok(parsed) => parsed,
        Err(answer) => return i32::from(say(&answer, &mut Output::process(Colour::Auto)) as u8),
    };
    let mut output = Output::process(cli.color);
    output.errors_as_json = as_json;
    let aside = output.aside();
    let mut context = Context {
        client: Client::new(socket_candidates(cli.socket.as_deref()))
            .saying(move |waiting| aside.say(&waiting.with_way_out())),
        output,
        clock: Timestamp::now,
        zone: TimeZone::system,
        read_line: several::at_terminal(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return i32::from(report(CommandError::Start(error), &cli, &mut context.output) as u8),
    };
    let exit = runtime.block_on(async {
        tokio::select! {
            exit = run_in(&cli, &mut context) => exit,
            _ = tokio::signal::ctrl_c() => Exit::Interrupted,
        }
    });
    i32::from(exit as u8)
}

/// Runs a command to its end, and tells what went wrong.
async fn run_in(cli: &Cli, context: &mut Context) -> Exit {
    let outcome = dispatch::run(cli, context).await;
    let outcome = outcome.and_then(|exit| context.output.flush().map(|()| exit).map_err(CommandError::from));
    outcome.unwrap_or_else(|error| report(error, cli, &mut context.output))
}

/// The one place where an error is told: what, why with all its sources, and what to do next.
fn report(error: CommandError, cli: &Cli, output: &mut Output) -> Exit {
    let exit = match (error.exit(), &cli.command) {
        (Exit::Failed, Some(Command::Diff(_))) => Exit::Usage,
        (exit, _) => exit,
    };
    fail(error, exit, output)
}

/// Tells an error with all its causes and what to do: as text, or as a line of JSON where the answer was to be JSON.
pub(crate) fn fail(error: CommandError, exit: Exit, output: &mut Output) -> Exit {
    if error.exit() == Exit::PipeClosed {
        return Exit::PipeClosed;
    }
    let (message, hints) = (chain(&error), error.hints());
    let told = if output.errors_as_json {
        let answer = ErrorAnswer { error: error.code().to_owned(), message, hint: hints.join("; ") };
        output.complain_json(&answer)
    } else {
        lines("qd", &message, &hints).iter().try_for_each(|line| output.complain(line))
    };
    told.map_or(Exit::PipeClosed, |()| exit)
}

/// Help and versions, which were asked for; and what is wrong with the command line, which was not.
fn say(answer: &clap::Error, output: &mut Output) -> Exit {
    let text = answer.render().to_string();
    if answer.use_stderr() {
        let told: io::Result<()> = text.lines().try_for_each(|line| output.note(line));
        return told.map_or(Exit::PipeClosed, |()| Exit::Usage);
    }
    let written = output.verbatim(&text).and_then(|()| output.flush());
    written.map_or_else(|error| fail(CommandError::from(error), Exit::Failed, output), |()| Exit::Done)
}
