//! `qd suspend`, `resume`, `unpin`, `refresh`: requests that the agent takes or refuses at once.
//!
//! JSON: [`Accepted`]: `message`, and where they apply `run`, `revision`, `after_sync`.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::{Accepted, SuspendRequest};

use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;
use crate::route;

/// Stop syncing an application.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// Why, for those who wonder later.
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Go on syncing an application.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Let an application follow git again.
#[derive(Debug, clap::Args)]
pub struct UnpinArgs {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Look now whether git has something new.
#[derive(Debug, clap::Args)]
pub struct RefreshArgs {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// `qd suspend`.
pub async fn suspend(args: &SuspendArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let body = SuspendRequest { reason: args.reason.clone() };
    let accepted = context.client.post(&route::application(&args.application, "suspend"), &body).await?;
    told(&accepted, args.output, context)
}

/// `qd resume`.
pub async fn resume(args: &ResumeArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.application, "resume")).await?;
    told(&accepted, args.output, context)
}

/// `qd unpin`.
pub async fn unpin(args: &UnpinArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.application, "unpin")).await?;
    told(&accepted, args.output, context)
}

/// `qd refresh`.
pub async fn refresh(args: &RefreshArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.application, "refresh")).await?;
    told(&accepted, args.output, context)
}

/// Tells that a request was taken.
pub(super) fn told(accepted: &Accepted, format: Option<Format>, context: &mut Context) -> Result<Exit, CommandError> {
    context.answer(format, accepted, |context, accepted| context.output.line(&*accepted.message))?;
    Ok(Exit::Done)
}
