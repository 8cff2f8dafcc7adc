//! From the command line to the command that it names.

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::command::{
    CommandError, Context, act, adopt, api, build, completions, delete, diff, doctor, events, gc, history, images,
    logs, manifests, pods, rollback, runs, sources, status, sync, test, version,
};
use crate::exit::Exit;
use crate::runtime::{ConsoleOptions, console};
use crate::terminal;

/// Runs the command that the command line names.
pub async fn run(cli: &Cli, context: &mut Context) -> Result<Exit, CommandError> {
    match &cli.command {
        // In a pipe, and on a terminal that cannot show it, the console is what it would show first.
        None if !terminal::is_able() => status::run(&status::Args::default(), context).await,
        None => {
            let options = ConsoleOptions { ascii: cli.ascii, colour: cli.color.decided() };
            console(context.client.clone(), options).await?;
            Ok(Exit::Done)
        }
        Some(Command::Status(args)) => status::run(args, context).await,
        Some(Command::Diff(args)) => diff::run(args, context).await,
        Some(Command::Sync(args)) => sync::run(args, context).await,
        Some(Command::Adopt(args)) => adopt::run(args, context).await,
        Some(Command::Build(args)) => build::run_build(args, context).await,
        Some(Command::Push(args)) => build::run_push(args, context).await,
        Some(Command::Runs(args)) => runs::run(args, context).await,
        Some(Command::History(args)) => history::run(args, context).await,
        Some(Command::Rollback(args)) => rollback::run(args, context).await,
        Some(Command::Unpin(args)) => act::unpin(args, context).await,
        Some(Command::Test(args)) => test::run(args, context).await,
        Some(Command::Suspend(args)) => act::suspend(args, context).await,
        Some(Command::Resume(args)) => act::resume(args, context).await,
        Some(Command::Delete(args)) => delete::run(args, context).await,
        Some(Command::Refresh(args)) => act::refresh(args, context).await,
        Some(Command::Pods(args)) => pods::run(args, context).await,
        Some(Command::Images(args)) => images::run(args, context).await,
        Some(Command::Sources(args)) => sources::run(args, context).await,
        Some(Command::Logs(args)) => logs::run(args, context).await,
        Some(Command::Events(args)) => events::run(args, context).await,
        Some(Command::Manifests(args)) => manifests::run(args, context).await,
        Some(Command::Api(args)) => api::run(args, context).await,
        Some(Command::Doctor(args)) => doctor::run(args, context).await,
        Some(Command::Gc(args)) => gc::run(args, context).await,
        Some(Command::Completions(args)) => completions::run(args, &mut Cli::command(), context),
        Some(Command::Version(args)) => version::run(args, context).await,
    }
}
