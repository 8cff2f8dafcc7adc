//! `qd suspend`, `resume`, `unpin`, `refresh`: requests that the agent takes or refuses at once.
//!
//! JSON: [`Accepted`]: `message`, and where they apply `run`, `revision`, `after_sync`.

use quarterdeck_shared::protocol::{Accepted, SuspendRequest};

use crate::command::arguments::{InForm, Of, Why};
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;
use crate::route;

/// Stop syncing an application.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// Which application.
    #[command(flatten)]
    pub of: Of,

    /// Why.
    #[command(flatten)]
    pub why: Why,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Something that is asked for an application as a whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which application.
    #[command(flatten)]
    pub of: Of,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// `qd suspend`.
pub async fn suspend(args: &SuspendArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let body = SuspendRequest { reason: args.why.reason.clone() };
    let accepted = context.client.post(&route::application(&args.of.application, "suspend"), &body).await?;
    told(&accepted, args.form.output, context)
}

/// `qd resume`.
pub async fn resume(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.of.application, "resume")).await?;
    told(&accepted, args.form.output, context)
}

/// `qd unpin`.
pub async fn unpin(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.of.application, "unpin")).await?;
    told(&accepted, args.form.output, context)
}

/// `qd refresh`.
pub async fn refresh(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.of.application, "refresh")).await?;
    told(&accepted, args.form.output, context)
}

/// Tells that a request was taken.
pub(super) fn told(accepted: &Accepted, format: Option<Format>, context: &mut Context) -> Result<Exit, CommandError> {
    context.answer(format, accepted, |context, accepted| context.output.line(&*accepted.message))?;
    Ok(Exit::Done)
}
