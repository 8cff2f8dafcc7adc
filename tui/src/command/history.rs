//! `qd history APP`: the syncs of an application, newest first.
//!
//! JSON: an array of [`SyncRecord`]: `id`, `application`, `revision`, `cause`, `phase`, `started`, `finished`, `message`,
//! `images`, `changes`.

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::SyncRecord;

use crate::command::runs::limit;
use crate::command::{CommandError, Context, ListFormat};
use crate::exit::Exit;
use crate::meaning::of_phase;
use crate::output::table::{Cell, Column, Table};
use crate::route;
use crate::text::{ago, span};

/// The syncs of an application.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,

    /// How many, from the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = limit)]
    pub limit: usize,

    /// Another form than a table.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<ListFormat>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let syncs: Vec<SyncRecord> = context.client.get(&route::history(&args.application, args.limit)).await?;
    let now = (context.clock)();
    match args.output {
        Some(ListFormat::Json) => context.output.json(&syncs)?,
        Some(ListFormat::Name) => syncs.iter().try_for_each(|sync| context.output.line(format!("sync/{}", sync.id)))?,
        _ if syncs.is_empty() => context.output.note(&format!("{} was never synced.", args.application))?,
        format => context.output.table(&table(&syncs, now, format == Some(ListFormat::Wide)))?,
    }
    Ok(Exit::Done)
}

fn table(syncs: &[SyncRecord], now: Timestamp, wide: bool) -> Table {
    let columns = [
        Column::numbers("SYNC"),
        Column::names("REVISION"),
        Column::words("PHASE"),
        Column::names("CAUSE"),
        Column::words("STARTED"),
        Column::words("TOOK"),
    ];
    let images: &[Column] = if wide { &[Column::names("IMAGES")] } else { &[] };
    let mut table = Table::new(&[&columns, images, &[Column::prose("MESSAGE")]].concat());
    for sync in syncs {
        let mut row = vec![
            Cell::strong(sync.id),
            sync.revision.short().into(),
            Cell::of(of_phase(sync.phase), sync.phase.word()),
            sync.cause.words().into(),
            Cell::quiet(ago(sync.started, now)),
            Cell::quiet(span(Some(sync.started), sync.finished, now)),
        ];
        if wide {
            row.push(sync.images.join(",").into());
        }
        row.push((&sync.message).into());
        table.row(row);
    }
    table
}
