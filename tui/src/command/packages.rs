//! `qd runs packages RUN`: what is in the images that a run pushed.
//!
//! JSON: an array of [`PackagesAnswer`], one for each image: `image`, `format` (`spdx`, `cyclonedx`), `signer`, `total`, `packages`
//! (`name`, `version`, `kind`, `license`), `reason` where there is no list. Exits 1 where an image has none.

use quarterdeck_shared::protocol::PackagesAnswer;
use quarterdeck_shared::routes;

use crate::command::arguments::{InListForm, OneRun};
use crate::command::{CommandError, Context, ListFormat};
use crate::exit::Exit;
use crate::model::packages::{document, note};
use crate::output::table::Table;
use crate::screen::packages::columns;

/// The packages of one run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which.
    #[command(flatten)]
    pub run: OneRun,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let answers: Vec<PackagesAnswer> = context.client.get(&routes::PACKAGES.of(&args.run.id)).await?;
    let has_all = !answers.is_empty() && answers.iter().all(|answer| answer.format.is_some());
    let notes: Vec<String> = answers.iter().map(note).collect();
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&answers)?,
        Some(ListFormat::Name) => {
            let packages = answers.iter().flat_map(|answer| &answer.packages);
            packages.into_iter().try_for_each(|package| context.output.line(package.name.clone()))?;
        }
        None | Some(ListFormat::Wide) => {
            let rows = document(answers).rows;
            if !rows.is_empty() {
                context.output.table(&Table::of(&columns(), args.form.table(), &rows, (context.clock)()))?;
            }
            if notes.is_empty() {
                context.output.note("The run built no image.")?;
            }
            notes.iter().try_for_each(|note| context.output.note(note))?;
        }
    }
    Ok(if has_all { Exit::Done } else { Exit::Failed })
}
