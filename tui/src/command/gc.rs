//! `qd gc`: deletes the images and mirrors on the agent's machine that nobody needs any more.
//!
//! JSON: [`GcAnswer`]: `items` (`kind`: `image`, `mirror`; `name`, `application`, `commit`, `at`, `bytes`, `kept`: why it
//! stays, absent where nobody needs it), `problems` (what could not be looked at, as checks of `qd doctor`). Exits 1 where there is one.

use std::collections::BTreeMap;
use std::io;

use quarterdeck_shared::protocol::{Accepted, GcAnswer, GcItem, GcKind};
use quarterdeck_shared::routes;

use crate::command::arguments::InForm;
use crate::command::{CommandError, Context};
use crate::exit::Exit;
use crate::output::table::{Cell, Column, Table};
use crate::text::{age, counted, size};

/// Delete images and mirrors on the agent's machine that no one needs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only list them.
    #[arg(long)]
    pub dry_run: bool,

    /// List what is kept as well, and why.
    #[arg(short, long)]
    pub all: bool,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let answer: GcAnswer = context.client.get(routes::UNNEEDED.path()).await?;
    context.answer(args.form.output, &answer, |context, answer| people(args.all, context, answer))?;
    if !args.dry_run && answer.unneeded().next().is_some() {
        let accepted: Accepted = context.client.post_empty(routes::GC.path()).await?;
        context.output.note(&accepted.message)?;
    }
    for problem in &answer.problems {
        context.output.complain(&format!("qd: {}: {}", problem.name, problem.message))?;
    }
    Ok(if answer.problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn people(all: bool, context: &mut Context, answer: &GcAnswer) -> io::Result<()> {
    let now = (context.clock)();
    let mut columns = vec![
        Column::text("KIND"),
        Column::prose("NAME"),
        Column::text("APPLICATION"),
        Column::text("COMMIT"),
        Column::numbers("AGE"),
        Column::numbers("SIZE"),
    ];
    if all {
        columns.push(Column::prose("KEPT"));
    }
    let mut table = Table::new(&columns);
    for item in answer.items.iter().filter(|item| all || item.kept.is_none()) {
        let mut row: Vec<Cell> = vec![
            item.kind.word().into(),
            (&item.name).into(),
            item.application.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            item.commit.as_ref().map(|commit| commit.short().to_owned()).unwrap_or_default().into(),
            Cell::quiet(age(item.at, now)),
            size(item.bytes).into(),
        ];
        if all {
            row.push(item.kept.clone().unwrap_or_default().into());
        }
        table.row(row);
    }
    if table.is_empty() {
        return context.output.note(&format!("Nothing to delete: {} kept.", kept(answer)));
    }
    context.output.table(&table)?;
    let bytes = answer.unneeded().map(|item| item.bytes).sum();
    let unneeded = totals(answer.unneeded());
    context.output.note(&format!("{unneeded} can be deleted, up to {}; {} kept.", size(bytes), kept(answer)))
}

/// `12 images and 1 mirror`, and charts and tags where there are any.
fn kept(answer: &GcAnswer) -> String {
    totals(answer.items.iter().filter(|item| item.kept.is_some()))
}

fn totals<'i>(items: impl Iterator<Item = &'i GcItem>) -> String {
    let mut counts: BTreeMap<GcKind, u64> = BTreeMap::new();
    items.for_each(|item| *counts.entry(item.kind).or_default() += 1);
    let count = |kind| counts.get(&kind).copied().unwrap_or(0);
    let mut told =
        vec![counted(count(GcKind::Image), "image", "images"), counted(count(GcKind::Mirror), "mirror", "mirrors")];
    // Not everybody has these.
    for (kind, one, many) in [(GcKind::Chart, "chart", "charts"), (GcKind::Tag, "tag", "tags")] {
        told.extend(Some(count(kind)).filter(|count| *count > 0).map(|count| counted(count, one, many)));
    }
    let last = told.pop().unwrap_or_default();
    format!("{} and {last}", told.join(", "))
}
