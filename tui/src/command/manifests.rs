//! `qd manifests APP`: the manifests of an application as they are rendered, with the values of Secrets masked.
//!
//! JSON: [`ManifestsAnswer`]: `revision`, `yaml`.

use quarterdeck_shared::protocol::ManifestsAnswer;

use crate::command::arguments::{At, Of};
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;
use crate::route;

/// The manifests of an application as they are rendered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which application.
    #[command(flatten)]
    pub of: Of,

    /// At which revision.
    #[command(flatten)]
    pub at: At,

    /// Another form than YAML.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let path = route::manifests(&args.of.environment, args.at.revision.as_deref());
    let answer: ManifestsAnswer = context.client.get(&path).await?;
    context.answer(args.output, &answer, |context, answer| {
        answer.yaml.lines().try_for_each(|line| context.output.line(line))
    })?;
    Ok(Exit::Done)
}
