//! `qd history APP[/ENV]`: the syncs of an environment, newest first.
//!
//! JSON: an array of [`SyncRecord`]: `id`, `environment`, `revision`, `cause`, `phase`, `started`, `finished`, `message`,
//! `images`, `changes`. With `--images`, also `image_states`: an array of [`ImageAnswer`]: `image`, `state` (`present`, `missing`,
//! `unknown`), `reason`.

use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::protocol::{ImageAnswer, ImageState};
use quarterdeck_shared::queries::Limit;
use quarterdeck_shared::routes;
use serde::Serialize;

use crate::column::{Cell, Column, Kind};
use crate::command::arguments::{InListForm, Of};
use crate::command::runs::limit;
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context, ListFormat};
use crate::exit::Exit;
use crate::output::table::Table;
use crate::screen::history::{Row, columns};

/// The syncs of an environment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// How many, from the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = limit)]
    pub limit: usize,

    /// Ask registries whether they still have the images.
    #[arg(long)]
    pub images: bool,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// A sync with what registries say of its images.
#[derive(Serialize)]
struct WithImages<'a> {
    #[serde(flatten)]
    sync: &'a SyncRecord,
    image_states: Vec<&'a ImageAnswer>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let limit = Limit { limit: Some(args.limit) };
    let syncs = context.client.get(&routes::HISTORY.of_with(of, &limit)).await;
    let syncs: Vec<SyncRecord> = several::one(syncs, of, NAME_ONE, context).await?;
    let answers: Vec<ImageAnswer> = match args.images {
        true => {
            several::one(context.client.get(&routes::IMAGES.of_with(of, &limit)).await, of, NAME_ONE, context).await?
        }
        false => Vec::new(),
    };
    let images = answers.iter().map(|answer| (answer.image.clone(), answer.state)).collect();
    match args.form.output {
        Some(ListFormat::Json) if args.images => {
            let states =
                |sync: &SyncRecord| answers.iter().filter(|answer| sync.images.contains(&answer.image)).collect();
            let with = |sync| WithImages { sync, image_states: states(sync) };
            context.output.json(&syncs.iter().map(with).collect::<Vec<_>>())?;
        }
        Some(ListFormat::Json) => context.output.json(&syncs)?,
        Some(ListFormat::Name) => syncs.iter().try_for_each(|sync| context.output.line(format!("sync/{}", sync.id)))?,
        _ if syncs.is_empty() => context.output.note(&format!("{of} was never synced."))?,
        None | Some(ListFormat::Wide) => {
            let rows = syncs.iter().map(|sync| Row { sync, built: &[], images: &images });
            let mut columns = columns();
            if args.images {
                columns.push(Column::listed("REGISTRY", Kind::Names, |row: &Row| {
                    Cell::text(row.state().map_or("", ImageState::word))
                }));
            }
            let table = Table::of(&columns, args.form.table(), rows, (context.clock)());
            context.output.table(&table)?;
        }
    }
    let is_told = !matches!(args.form.output, Some(ListFormat::Json | ListFormat::Name));
    for ImageAnswer { image, reason, .. } in answers.iter().filter(|answer| is_told && !answer.reason.is_empty()) {
        context.output.note(&format!("{image} is unknown: {reason}"))?;
    }
    Ok(Exit::Done)
}
