//! `qd history APP`: the syncs of an application, newest first.
//!
//! JSON: an array of [`SyncRecord`]: `id`, `application`, `revision`, `cause`, `phase`, `started`, `finished`, `message`,
//! `images`, `changes`.

use quarterdeck_shared::event::SyncRecord;

use crate::command::arguments::{InListForm, Of};
use crate::command::runs::limit;
use crate::command::{CommandError, Context, ListFormat};
use crate::exit::Exit;
use crate::output::table::Table;
use crate::route;
use crate::screen::history::{Row, columns};

/// The syncs of an application.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which application.
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
    let syncs: Vec<SyncRecord> = context.client.get(&route::history(&args.of.environment, args.limit)).await?;
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&syncs)?,
        Some(ListFormat::Name) => syncs.iter().try_for_each(|sync| context.output.line(format!("sync/{}", sync.id)))?,
        _ if syncs.is_empty() => context.output.note(&format!("{} was never synced.", args.of.environment))?,
        None | Some(ListFormat::Wide) => {
            let rows = syncs.iter().map(|sync| Row { sync, built: None });
            let table = Table::of(&columns(), args.form.table(), rows, (context.clock)());
            context.output.table(&table)?;
        }
    }
    Ok(Exit::Done)
}
