//! An application with several environments, where a command is about one: which there are, or all with `--all`. A person
//! at a terminal is asked which.

mod question;

pub use question::{ReadLine, Typed, at_terminal};

use quarterdeck_shared::application::Address;

use crate::client::error::ClientError;
use crate::command::arguments::OfEach;
use crate::command::{CommandError, Context, objects};
use crate::exit::Exit;

/// The way out of a command that has no `--all`.
pub(super) const NAME_ONE: &str = "name one of them";
/// The way out of a command that has it.
pub(super) const NAME_ONE_OR_ALL: &str = "name one of them, or all with --all";

/// The agent's answer about an environment. Where it refuses since the application has several, the error names them and
/// the way out that the command has.
pub(super) async fn one<T>(
    answer: Result<T, ClientError>,
    of: &Address,
    way_out: &'static str,
    context: &Context,
) -> Result<T, CommandError> {
    match answer {
        Err(error) if of.environment.is_none() && is_conflict(&error) => {
            Err(several(of, way_out, context).await?.unwrap_or(error.into()))
        }
        answer => Ok(answer?),
    }
}

fn is_conflict(error: &ClientError) -> bool {
    matches!(error, ClientError::Answer { answer, .. } if answer.error == "conflict")
}

/// What to say where an application has several environments. A conflict can be of another kind.
async fn several(of: &Address, way_out: &'static str, context: &Context) -> Result<Option<CommandError>, CommandError> {
    let state = context.client.state().await?;
    let all: Vec<_> = objects::application(&state, &of.application)?.ids().collect();
    Ok((all.len() > 1).then(|| CommandError::Several { application: of.application.clone(), all, way_out }))
}

/// Does something with the environment that is named, or with each of the application's where all are asked for. Where there
/// are several and none is named, a person at a terminal is asked.
pub(super) async fn each(
    of: &OfEach,
    context: &mut Context,
    act: impl AsyncFn(&Address, &mut Context) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    if of.all {
        return one_by_one(all(&of.address, context).await?, context, act).await;
    }
    match act(&of.address, context).await {
        Err(CommandError::Several { application, all, way_out }) => {
            match question::ask(&application, &all, context).await?[..] {
                [] => Err(CommandError::Several { application, all, way_out }),
                [ref one] => act(one, context).await,
                ref chosen => one_by_one(chosen.to_vec(), context, act).await,
            }
        }
        done => done,
    }
}

/// One after the other, in the order of the configuration. What fails is told, and the next one is done all the same; the
/// exit is the greatest. Only an agent that does not answer, and a reader that left, end it.
async fn one_by_one(
    addresses: Vec<Address>,
    context: &mut Context,
    act: impl AsyncFn(&Address, &mut Context) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    let mut worst = Exit::Done;
    for address in addresses {
        let exit = match act(&address, context).await {
            Ok(exit) => exit,
            Err(error) if matches!(error.exit(), Exit::NoAgent | Exit::PipeClosed) => return Err(error),
            Err(error) => {
                let error = CommandError::Of { of: address, source: Box::new(error) };
                let exit = error.exit();
                crate::fail(error, exit, &mut context.output)
            }
        };
        if exit as u8 > worst as u8 {
            worst = exit;
        }
    }
    Ok(worst)
}

/// All environments of an application.
async fn all(of: &Address, context: &Context) -> Result<Vec<Address>, CommandError> {
    let name = &of.application;
    if of.environment.is_some() {
        let message = format!("--all is for an application, and {of} is an environment");
        return Err(CommandError::Usage { message, hint: format!("name the application: {name}") });
    }
    let state = context.client.state().await?;
    let all: Vec<Address> = objects::application(&state, name)?.ids().map(Address::from).collect();
    if all.is_empty() {
        let hint = "its images are only built".to_owned();
        return Err(CommandError::NotFound { what: format!("environment of {name}"), hint });
    }
    Ok(all)
}
