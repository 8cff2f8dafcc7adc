//! An application with several environments, where a command is about one: which there are, or all with `--all`.

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
    way_out: &str,
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
async fn several(of: &Address, way_out: &str, context: &Context) -> Result<Option<CommandError>, CommandError> {
    let state = context.client.state().await?;
    let application = objects::application(&state, &of.application)?;
    let all: Vec<_> = application.ids().map(|id| id.to_string()).collect();
    Ok((all.len() > 1).then(|| CommandError::Usage {
        message: format!("{} has {} environments: {}", of.application, all.len(), all.join(", ")),
        hint: way_out.to_owned(),
    }))
}

/// Does something with the environment that is named, or with each of the application's where all are asked for: one after
/// the other, in the order of the configuration. What fails is told, and the next one is done all the same; the exit is the
/// greatest. Only an agent that does not answer, and a reader that left, end it.
pub(super) async fn each(
    of: &OfEach,
    context: &mut Context,
    act: impl AsyncFn(&Address, &mut Context) -> Result<Exit, CommandError>,
) -> Result<Exit, CommandError> {
    if !of.all {
        return act(&of.address, context).await;
    }
    let mut worst = Exit::Done;
    for address in all(&of.address, context).await? {
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
