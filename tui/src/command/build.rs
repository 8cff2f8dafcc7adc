//! `qd build APP [REF]` and `qd push APP [REF]`: a run, made by a person instead of a tag.
//!
//! JSON: [`Accepted`]: `message`, `run`. With `--wait`, also `outcome` (`good`, `bad`, `timeout`), `reason`, and `object`,
//! the run as it was then.

use std::time::Duration;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::{Accepted, DeliverRequest};

use crate::command::wait::{self, Goal};
use crate::command::{CommandError, Context, Format, act};
use crate::exit::Exit;
use crate::route;

/// Build the image of a commit.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// What to build.
    #[command(flatten)]
    pub deliver: DeliverArgs,
}

/// Push the image of a commit, building it where it is not there.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// What to push.
    #[command(flatten)]
    pub deliver: DeliverArgs,
}

/// What to deliver.
#[derive(Debug, clap::Args)]
pub struct DeliverArgs {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// A tag, branch or commit of the code repository; its default branch where absent.
    #[arg(value_name = "REF")]
    pub reference: Option<String>,

    /// Build again although the image of that commit is there.
    #[arg(long)]
    pub rebuild: bool,

    /// Wait until the run has ended.
    #[arg(short, long)]
    pub wait: bool,

    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration, requires = "wait")]
    pub timeout: Duration,

    /// Another form than the one for people.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// `qd build`.
pub async fn run_build(args: &BuildArgs, context: &mut Context) -> Result<Exit, CommandError> {
    deliver(&args.deliver, "build", context).await
}

/// `qd push`.
pub async fn run_push(args: &PushArgs, context: &mut Context) -> Result<Exit, CommandError> {
    deliver(&args.deliver, "push", context).await
}

async fn deliver(args: &DeliverArgs, what: &str, context: &mut Context) -> Result<Exit, CommandError> {
    let request = DeliverRequest { reference: args.reference.clone(), rebuild: args.rebuild };
    let accepted: Accepted = context.client.post(&route::application(&args.application, what), &request).await?;
    match accepted.run.filter(|_| args.wait) {
        Some(run) => wait::tell(&Goal::Run(run), &accepted, args.timeout, args.output, context).await,
        // Without a run there was nothing to do, and nothing to wait for.
        None => act::told(&accepted, args.output, context),
    }
}
