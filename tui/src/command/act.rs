//! `qd suspend`, `resume`, `unpin`, `refresh`: requests that the agent takes or refuses at once.
//!
//! JSON: [`Accepted`]: `message`, and where they apply `run`, `revision`, `after_sync`; with `--all`, one after the other.

use quarterdeck_shared::protocol::{Accepted, SuspendRequest};
use quarterdeck_shared::routes;

use crate::command::arguments::{InForm, Of, OfApplication, OfEach, Why};
use crate::command::several::{self, NAME_ONE, NAME_ONE_OR_ALL};
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;

/// Stop syncing an environment.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// Which environment, or each.
    #[command(flatten)]
    pub of: OfEach,

    /// Why.
    #[command(flatten)]
    pub why: Why,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Going on with syncing.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Which environment, or each.
    #[command(flatten)]
    pub of: OfEach,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Following git again.
#[derive(Debug, clap::Args)]
pub struct UnpinArgs {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Looking for something new.
#[derive(Debug, clap::Args)]
pub struct RefreshArgs {
    /// Which application.
    #[command(flatten)]
    pub of: OfApplication,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// `qd suspend`.
pub async fn suspend(args: &SuspendArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let body = SuspendRequest { reason: args.why.reason.clone() };
    several::each(&args.of, context, async |of, context| {
        let accepted = context.client.post(&routes::SUSPEND.of(of), &body).await;
        let accepted = several::one(accepted, of, NAME_ONE_OR_ALL, context).await?;
        print_accepted(&accepted, args.form.output, context)
    })
    .await
}

/// `qd resume`.
pub async fn resume(args: &ResumeArgs, context: &mut Context) -> Result<Exit, CommandError> {
    several::each(&args.of, context, async |of, context| {
        let accepted = context.client.post_empty(&routes::RESUME.of(of)).await;
        let accepted = several::one(accepted, of, NAME_ONE_OR_ALL, context).await?;
        print_accepted(&accepted, args.form.output, context)
    })
    .await
}

/// `qd unpin`.
pub async fn unpin(args: &UnpinArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let accepted = context.client.post_empty(&routes::UNPIN.of(of)).await;
    let accepted = several::one(accepted, of, NAME_ONE, context).await?;
    print_accepted(&accepted, args.form.output, context)
}

/// `qd refresh`.
pub async fn refresh(args: &RefreshArgs, context: &mut Context) -> Result<Exit, CommandError> {
    let accepted = context.client.post_empty(&routes::REFRESH.of(&args.of.application)).await?;
    print_accepted(&accepted, args.form.output, context)
}

/// Prints that a request was taken.
pub(super) fn print_accepted(
    accepted: &Accepted,
    format: Option<Format>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    context.answer(format, accepted, |context, accepted| context.output.line(&*accepted.message))?;
    Ok(Exit::Done)
}
