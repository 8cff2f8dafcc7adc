//! `qd history APP[/ENV]`: the syncs of an environment, newest first.
//!
//! JSON: an array of [`SyncRecord`]: `id`, `environment`, `revision`, `cause`, `phase`, `started`, `finished`, `message`,
//! `images`, `changes`.

use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::queries::Limit;
use quarterdeck_shared::routes;

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

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let of = &args.of.address;
    let limit = Limit { limit: Some(args.limit) };
    let syncs = context.client.get(&routes::HISTORY.of_with(of, &limit)).await;
    let syncs: Vec<SyncRecord> = several::one(syncs, of, NAME_ONE, context).await?;
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&syncs)?,
        Some(ListFormat::Name) => syncs.iter().try_for_each(|sync| context.output.line(format!("sync/{}", sync.id)))?,
        _ if syncs.is_empty() => context.output.note(&format!("{of} was never synced."))?,
        None | Some(ListFormat::Wide) => {
            let rows = syncs.iter().map(|sync| Row { sync, built: &[] });
            let table = Table::of(&columns(), args.form.table(), rows, (context.clock)());
            context.output.table(&table)?;
        }
    }
    Ok(Exit::Done)
}
