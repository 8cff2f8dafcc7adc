//! `qd sources`: the sources of applications in git, which commit of each is in force, and what is wrong with a newer one.
//!
//! JSON: an array of [`ApplicationSourceStatus`]: `name`, `repository`, `branch`, `commit`, `applications`, `since`, `error`,
//! `pruning`. Exits
//! 1 where one of them has an error.

use quarterdeck_shared::snapshot::{ApplicationSourceStatus, Object};

use crate::command::arguments::InListForm;
use crate::command::{CommandError, Context, ListFormat};
use crate::exit::Exit;
use crate::output::table::{Cell, Column, Table};
use crate::text::age;

/// The sources of applications.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let state = context.client.state().await?;
    let all = state.objects.values().filter_map(|object| match object {
        Object::ApplicationSource(source) => Some(source),
        _ => None,
    });
    let sources: Vec<&ApplicationSourceStatus> = all.collect();
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&sources)?,
        Some(ListFormat::Name) => sources.iter().try_for_each(|source| context.output.line(source.name.as_str()))?,
        _ if sources.is_empty() => context.output.note("All applications are defined in the configuration.")?,
        form => {
            let table = table(&sources, form == Some(ListFormat::Wide), (context.clock)());
            context.output.table(&table)?;
        }
    }
    let has_error = sources.iter().any(|source| source.error.is_some());
    Ok(if has_error { Exit::Failed } else { Exit::Done })
}

fn table(sources: &[&ApplicationSourceStatus], is_wide: bool, now: jiff::Timestamp) -> Table {
    let mut columns = vec![Column::text("SOURCE"), Column::text("COMMIT"), Column::numbers("APPLICATIONS")];
    columns.push(Column::numbers("SINCE"));
    if is_wide {
        columns.extend([Column::text("REPOSITORY"), Column::text("BRANCH")]);
    }
    columns.push(Column::prose("MESSAGE"));
    let mut table = Table::new(&columns);
    for source in sources {
        let mut row: Vec<Cell> = vec![
            source.name.to_string().into(),
            source.commit.as_ref().map_or("-", |commit| commit.short()).to_owned().into(),
            source.applications.to_string().into(),
            Cell::quiet(source.since.map_or_else(|| "-".to_owned(), |since| age(since, now))),
        ];
        if is_wide {
            row.extend([(&source.repository).into(), (&source.branch).into()]);
        }
        row.push(source.line().into());
        table.row(row);
    }
    table
}
