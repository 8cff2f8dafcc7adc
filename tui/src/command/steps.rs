//! `qd runs log ID --steps`: the steps of the builds of a run, each with how long it took.
//!
//! JSON: an array of steps in the order in which they began: `name`, `image` (where a run builds several at once), `state`
//! (`running`, `done`, `cached`, `failed`, `stopped`), `seconds` (where it is known), `lines` of its output.

use quarterdeck_shared::protocol::LogRecord;
use serde::Serialize;

use crate::client::records::Records;
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;
use crate::model::log::steps::{Step, StepState, Steps};
use crate::output::table::{Cell, Column, Table};
use crate::status_style::Tone;
use crate::text;

/// A step, for programs.
#[derive(Serialize)]
struct Told<'s> {
    name: &'s str,
    #[serde(skip_serializing_if = "str::is_empty")]
    image: &'s str,
    state: StepState,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    lines: u64,
}

/// Reads the log to its end, and writes its steps.
pub(super) async fn write(
    mut records: Records<LogRecord>,
    format: Option<Format>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    let (mut steps, mut number) = (Steps::default(), 0);
    while let Some(record) = records.next().await? {
        if let LogRecord::Line { at, from, text } = record {
            steps.take(number, &from, &text, at, false);
            number += 1;
        }
    }
    match format {
        Some(Format::Json) => context.output.json(&steps.iter().map(told).collect::<Vec<_>>())?,
        None if steps.is_empty() => context.output.note("No steps: nothing was built, or the builder names none.")?,
        None => context.output.table(&table(&steps))?,
    }
    Ok(Exit::Done)
}

fn told(step: &Step) -> Told<'_> {
    let Step { name, image, state, lines, took, .. } = step;
    Told { name, image, state: *state, seconds: took.map(|took| took.as_secs_f64()), lines: *lines }
}

fn table(steps: &Steps) -> Table {
    let several = steps.iter().any(|step| !step.image.is_empty());
    let mut columns =
        vec![Column::text("TOOK"), Column::text("RESULT"), Column::numbers("LINES"), Column::prose("STEP")];
    if several {
        columns.insert(0, Column::text("IMAGE"));
    }
    let mut table = Table::new(&columns);
    for step in steps.iter() {
        let (tone, word) = match step.state {
            StepState::Running => (Tone::Plain, "running"),
            StepState::Done => (Tone::Quiet, "done"),
            StepState::Cached => (Tone::Quiet, "cached"),
            StepState::Failed => (Tone::Bad, "failed"),
            StepState::Stopped => (Tone::Warning, "stopped"),
        };
        let mut row: Vec<Cell> = vec![
            step.took.map(text::took).unwrap_or_default().into(),
            Cell::toned(tone, word),
            step.lines.to_string().into(),
            (&*step.name).into(),
        ];
        if several {
            row.insert(0, (&*step.image).into());
        }
        table.row(row);
    }
    table
}
