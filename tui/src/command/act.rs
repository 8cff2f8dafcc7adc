//! `qd suspend`, `resume`, `unpin`, `refresh`: requests that the agent takes or refuses at once.
//!
//! JSON: [`Accepted`]: `message`, and where they apply `run`, `revision`, `after_sync`.

use quarterdeck_shared::application::Address;
use quarterdeck_shared::protocol::{Accepted, SuspendRequest};

use crate::command::arguments::{InForm, Of, OfAll, OfApplication, Why};
use crate::command::{CommandError, Context, Format, objects};
use crate::exit::Exit;
use crate::route;

/// Stop syncing an environment.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// Which environment, or all of an application.
    #[command(flatten)]
    pub of: OfAll,

    /// Why.
    #[command(flatten)]
    pub why: Why,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Go on syncing an environment.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Which environment, or all of an application.
    #[command(flatten)]
    pub of: OfAll,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Something that is asked for an environment as a whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Something that is asked for an application as a whole.
#[derive(Debug, clap::Args)]
pub struct RefreshArgs {
    /// Which application.
    #[command(flatten)]
    pub of: OfApplication,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// The environments that a command is given for: with `--all` every one of the application.
pub(super) async fn targets(of: &OfAll, context: &Context) -> Result<Vec<Address>, CommandError> {
    let address = of.of.environment.clone();
    if !of.all {
        return Ok(vec![address]);
    }
    let state = context.client.state().await?;
    Ok(objects::meant(&state, &address)?.into_iter().map(|one| one.environment.clone().into()).collect())
}

/// `qd suspend`.
pub async fn suspend(args: &SuspendArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let body = SuspendRequest { reason: args.why.reason.clone() };
    for of in targets(&args.of, context).await? {
        let accepted = context.client.post(&route::environment(&of, "suspend"), &body).await?;
        told(&accepted, args.form.output, context)?;
    }
    Ok(Exit::Done)
}

/// `qd resume`.
pub async fn resume(args: &ResumeArgs, context: &mut Context) -> Result<Exit, CommandError> {
    for of in targets(&args.of, context).await? {
        let accepted = context.client.poke(&route::environment(&of, "resume")).await?;
        told(&accepted, args.form.output, context)?;
    }
    Ok(Exit::Done)
}

/// `qd unpin`.
pub async fn unpin(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::environment(&args.of.environment, "unpin")).await?;
    told(&accepted, args.form.output, context)
}

/// `qd refresh`.
pub async fn refresh(args: &RefreshArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.poke(&route::application(&args.of.application, "refresh")).await?;
    told(&accepted, args.form.output, context)
}

/// Tells that a request was taken.
pub(super) fn told(accepted: &Accepted, format: Option<Format>, context: &mut Context) -> Result<Exit, CommandError> {
    context.answer(format, accepted, |context, accepted| context.output.line(&*accepted.message))?;
    Ok(Exit::Done)
}
