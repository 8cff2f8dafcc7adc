//! `qd manifests APP[/ENV]`: the manifests of an environment as they are rendered, with the values of Secrets masked.
//!
//! JSON: [`ManifestsAnswer`]: `revision`, `rendered`, `yaml`, `notes`.

use quarterdeck_shared::protocol::ManifestsAnswer;
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::routes;

use crate::command::arguments::{At, Of};
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;

/// The rendered manifests of an environment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// At which revision.
    #[command(flatten)]
    pub at: At,

    /// The output format; YAML by default.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let at = AtRevision { revision: args.at.revision.clone() };
    let answer = context.client.get(&routes::MANIFESTS.of_with(of, &at)).await;
    let answer: ManifestsAnswer = several::one(answer, of, NAME_ONE, context).await?;
    context.answer(args.output, &answer, |context, answer| {
        answer.yaml.lines().try_for_each(|line| context.output.line(line))?;
        // Beside the YAML, which others read.
        answer.notes.iter().try_for_each(|note| context.output.note(&format!("-- {note}")))
    })?;
    Ok(Exit::Done)
}
