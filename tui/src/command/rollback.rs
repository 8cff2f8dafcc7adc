//! `qd rollback APP[/ENV] [TO]`: hold an environment at an earlier revision. `qd unpin` lets it go.
//!
//! JSON: [`Accepted`]: `message`, `revision`, `after_sync`. With `--wait`, also `outcome` (`good`, `bad`, `timeout`),
//! `reason`, and `object`, the environment as it was then.

use quarterdeck_shared::protocol::{Accepted, RollbackRequest};
use quarterdeck_shared::routes;

use crate::command::arguments::{InForm, Of, Waiting, Why};
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context, act, sync};
use crate::exit::Exit;

/// Hold an environment at an earlier revision.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// A sync's number (qd history), or a commit; the revision before the present one where absent.
    #[arg(value_name = "TO")]
    pub to: Option<String>,

    /// Why.
    #[command(flatten)]
    pub why: Why,

    /// Whether to wait for the end, and how long.
    #[command(flatten)]
    pub waiting: Waiting,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    // A sync is shown as `#41` elsewhere, so that is understood here.
    let to = args.to.as_ref().map(|to| to.trim_start_matches('#').to_owned());
    let request = RollbackRequest { to, reason: args.why.reason.clone() };
    let of = &args.of.address;
    let accepted = context.client.post(&routes::ROLLBACK.of(of), &request).await;
    let accepted: Accepted = several::one(accepted, of, NAME_ONE, context).await?;
    if args.waiting.wait {
        sync::wait_healthy(of, &accepted, args.waiting.timeout, args.form.output, context).await
    } else {
        act::print_accepted(&accepted, args.form.output, context)
    }
}
