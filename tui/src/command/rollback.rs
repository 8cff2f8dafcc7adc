//! `qd rollback APP [TO]`: hold an application at an earlier revision. `qd unpin` lets it go.
//!
//! JSON: [`Accepted`]: `message`, `revision`, `after_sync`. With `--wait`, also `outcome` (`good`, `bad`, `timeout`),
//! `reason`, and `object`, the application as it was then.

use std::time::Duration;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::{Accepted, RollbackRequest};

use crate::command::{CommandError, Context, Format, act, sync};
use crate::exit::Exit;
use crate::route;

/// Hold an application at an earlier revision.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// A sync's number (qd history), or a commit; the revision before the present one where absent.
    #[arg(value_name = "TO")]
    pub to: Option<String>,

    /// Why, for those who wonder later.
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,

    /// Wait until the application is healthy at that revision.
    #[arg(short, long)]
    pub wait: bool,

    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration, requires = "wait")]
    pub timeout: Duration,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    // A sync is shown as `#41` elsewhere, so that is understood here.
    let to = args.to.as_ref().map(|to| to.trim_start_matches('#').to_owned());
    let request = RollbackRequest { to, reason: args.reason.clone() };
    let accepted: Accepted = context.client.post(&route::application(&args.application, "rollback"), &request).await?;
    if args.wait {
        sync::wait_healthy(&args.application, &accepted, args.timeout, args.output, context).await
    } else {
        act::told(&accepted, args.output, context)
    }
}
