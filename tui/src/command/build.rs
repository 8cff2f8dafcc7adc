//! `qd build APP [REF]` and `qd push APP [REF]`: a run, made by a person instead of a tag.
//!
//! JSON: [`Accepted`]: `message`, `run`. With `--wait`, also `outcome` (`good`, `bad`, `timeout`), `reason`, and `object`,
//! the run as it was then.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::{Accepted, DeliverRequest};
use quarterdeck_shared::routes::{self, Route};

use crate::command::arguments::{InForm, OfApplication, Waiting};
use crate::command::wait::{self, Goal};
use crate::command::{CommandError, Context, act};
use crate::exit::Exit;

/// What to build or push.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("wait", |wait| wait.help("Wait until the run has ended")),
    mut_arg("timeout", |timeout| timeout.default_value("30m"))
)]
pub struct Args {
    /// Which application.
    #[command(flatten)]
    pub of: OfApplication,

    /// A tag, branch or commit of the code repository; its default branch where absent.
    #[arg(value_name = "REF")]
    pub reference: Option<String>,

    /// Build again even if the images of that commit exist.
    #[arg(long)]
    pub rebuild: bool,

    /// Whether to wait for the end, and how long.
    #[command(flatten)]
    pub waiting: Waiting,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// `qd build`.
pub async fn run_build(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    deliver(args, routes::BUILD, context).await
}

/// `qd push`.
pub async fn run_push(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    deliver(args, routes::PUSH, context).await
}

async fn deliver(args: &Args, what: Route<ApplicationName>, context: &mut Context) -> Result<Exit, CommandError> {
    let request = DeliverRequest { reference: args.reference.clone(), rebuild: args.rebuild };
    let accepted: Accepted = context.client.post(&what.of(&args.of.application), &request).await?;
    match accepted.run.filter(|_| args.waiting.wait) {
        Some(run) => {
            wait::wait_and_print(&Goal::Run(run), &accepted, args.waiting.timeout, args.form.output, context).await
        }
        // Without a run there was nothing to do, and nothing to wait for.
        None => act::print_accepted(&accepted, args.form.output, context),
    }
}
