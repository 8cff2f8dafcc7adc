//! `qd events [APP[/ENV]]`: what happened, and who or what caused it.
//!
//! JSON: an array of [`EventRecord`], oldest first: `id`, `at`, `application`, `environment` (where it is about one),
//! `cause`, `event` (`type` and what belongs to it). With `--follow`, one of them a line.
//!
//! Following needs no route of its own. The watch of the state wakes us, and we ask for the events after the last one we
//! wrote; an event that changes nothing in the state (a refused request) shows with the next bookmark.

use std::collections::VecDeque;
use std::time::Duration;

use quarterdeck_shared::application::Address;
use quarterdeck_shared::event::EventRecord;
use quarterdeck_shared::protocol::ROWS_MAX;
use quarterdeck_shared::queries::EventsQuery;
use quarterdeck_shared::routes;

use crate::client::Client;
use crate::client::error::ClientError;
use crate::column::Form;
use crate::command::runs::limit;
use crate::command::{CommandError, Context, Format};
use crate::event_text;
use crate::exit::Exit;
use crate::output::Line;
use crate::output::table::Table;
use crate::screen::events::{Row, columns};
use crate::status_style::Tone;

/// What happened to one application or environment, or to everything.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The environment, or the application with all of its environments; everything where absent.
    #[arg(value_name = "APP[/ENV]")]
    pub address: Option<Address>,

    /// Follow the events.
    #[arg(short, long)]
    pub follow: bool,

    /// How many, up to the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = limit)]
    pub limit: usize,

    /// The output format; text by default. json with --follow: a record per line.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Between two looks while much happens: four a second are as many as a person reads.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    if args.follow { follow(args, context).await } else { list(args, context).await }
}

async fn list(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let query = EventsQuery { limit: Some(args.limit), ..EventsQuery::about(args.address.clone()) };
    let mut events: Vec<EventRecord> = context.client.get(&routes::EVENTS.with(&query)).await?;
    events.reverse();
    match args.output {
        Some(Format::Json) => context.output.json(&events)?,
        None if events.is_empty() => context.output.note("No events yet.")?,
        None => {
            let rows = events.iter().map(|record| Row { record, of: about(record), time: context.local(record.at) });
            let table = Table::of(&columns(), Form::Table, rows, (context.clock)());
            context.output.table(&table)?;
        }
    }
    Ok(Exit::Done)
}

async fn follow(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let mut last = None;
    loop {
        // The watch begins before the first look, so that nothing falls between them.
        let state = context.client.state().await?;
        let mut records = match context.client.watch(&state.epoch, state.revision).await {
            Err(error) if error.is_gone() => continue,
            records => records?,
        };
        loop {
            let news = after(&context.client, args, last.as_ref()).await?;
            if news.missed {
                context.output.note(&format!("-- more than {ROWS_MAX} new events: the oldest are not shown"))?;
            }
            for record in &news.events {
                match args.output {
                    Some(Format::Json) => context.output.json_line(record)?,
                    None => context.output.line(line(record, context))?,
                }
            }
            context.output.flush()?;
            last = news.events.into_iter().next_back().or(last);
            tokio::time::sleep(PAUSE).await;
            match records.next().await {
                Err(error) if error.is_gone() => break,
                woken => {
                    if woken?.is_none() {
                        break;
                    }
                }
            }
            while records.ready()?.is_some() {}
        }
    }
}

/// `shop/prod`, or `shop` where it is about its delivery; nothing where it is about the agent.
fn about(record: &EventRecord) -> String {
    let application = record.application.clone();
    let address = application.map(|application| Address { application, environment: record.environment.clone() });
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// A line of a stream: columns of a fixed width, since nobody knows what comes.
fn line(record: &EventRecord, context: &Context) -> Line {
    let told = event_text::describe(&record.event);
    let about = Some(about(record)).filter(|about| !about.is_empty()).unwrap_or_else(|| "-".to_owned());
    Line::new()
        .with(Tone::Quiet, format!("{}  ", context.local(record.at)))
        .with(Tone::Plain, format!("{about:<16}  {:<20}  ", record.cause.describe()))
        .with(told.tone, told.line())
}

/// Events that were not yet written.
struct News {
    /// Oldest first.
    events: VecDeque<EventRecord>,
    /// Whether there were more than we ask for.
    missed: bool,
}

/// The events after the last one, in answers of at most [`ROWS_MAX`] rows together; at first, the last few.
async fn after(client: &Client, args: &Args, last: Option<&EventRecord>) -> Result<News, ClientError> {
    let mut news = News { events: VecDeque::new(), missed: false };
    let mut before = None;
    loop {
        let page = if last.is_none() { args.limit } else { 100 };
        let query = EventsQuery { limit: Some(page), before, ..EventsQuery::about(args.address.clone()) };
        let events: Vec<EventRecord> = client.get(&routes::EVENTS.with(&query)).await?;
        let full = events.len() == page;
        for record in events {
            if last.is_some_and(|last| !record.is_after(last)) {
                return Ok(news);
            }
            before = Some(record.id.into());
            news.events.push_front(record);
        }
        if last.is_none() || !full {
            return Ok(news);
        }
        if news.events.len() >= ROWS_MAX {
            news.missed = true;
            return Ok(news);
        }
    }
}
