//! `qd logs APP[/ENV] [POD]`: what the pods of an environment write.
//!
//! JSON: one [`LogRecord`] a line, as the wire has it: `{"type":"line","at":…,"from":"pod/container","text":…}`,
//! `{"type":"gap","lines":…,"reason":…}` where lines are missing, `{"type":"notice","text":…}` where a pod joined or
//! left. For people, lines go to standard output, gaps and notices to standard error: a gap is never silent, and never
//! taken for something that a pod wrote.

use std::io;
use std::time::Duration;

use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::queries::LogQuery;
use quarterdeck_shared::routes;

use crate::client::records::Records;
use crate::command::arguments::Of;
use crate::command::several::{self, NAME_ONE};
use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;
use crate::output::Line;
use crate::status_style::Tone;

/// The logs of the pods of an environment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment.
    #[command(flatten)]
    pub of: Of,

    /// One of its pods; all, each line with its pod and container, where absent.
    #[arg(value_name = "POD")]
    pub pod: Option<String>,

    /// Only this container.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// Follow the logs, including those of pods that start later.
    #[arg(short, long)]
    pub follow: bool,

    /// The last N lines of each container; all that are kept by default.
    #[arg(long, value_name = "N")]
    pub tail: Option<u64>,

    /// Only lines newer than this: 30s, 10m, 2h.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,

    /// Logs of the containers before their last restart.
    #[arg(short, long)]
    pub previous: bool,

    /// Print pod and container before each line, even if a pod is named.
    #[arg(long)]
    pub prefix: bool,

    /// Print the time before each line.
    #[arg(long)]
    pub timestamps: bool,

    /// The output format; text by default. json: a record per line.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let log = LogQuery {
        pod: args.pod.as_ref().map(|pod| pod.trim_start_matches("pod/").to_owned()),
        container: args.container.clone(),
        follow: args.follow,
        tail: args.tail,
        // A part of a second more is better than one less: `--since 0.5s` is no request for nothing.
        since_seconds: args.since.map(|since| since.as_secs() + u64::from(since.subsec_nanos() > 0)),
        previous: args.previous,
    };
    // A quiet pod may be silent for days, so there is no deadline between lines.
    let of = &args.of.address;
    let records = context.client.stream(&routes::POD_LOG.of_with(of, &log), None).await;
    let records = several::one(records, of, NAME_ONE, context).await?;
    let prefix = if args.pod.is_none() || args.prefix { Prefix::Source } else { Prefix::None };
    write(records, prefix, args.timestamps, args.output, context).await
}

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// Where it comes from.
    Source,
}

/// Writes records until the agent ends the stream.
pub(super) async fn write(
    mut records: Records<LogRecord>,
    prefix: Prefix,
    timestamps: bool,
    format: Option<Format>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    loop {
        let record = match records.ready()? {
            Some(record) => Some(record),
            None => {
                context.output.flush()?;
                records.next().await?
            }
        };
        let Some(record) = record else { return Ok(Exit::Done) };
        match format {
            Some(Format::Json) => context.output.json_line(&record)?,
            None => people(&record, prefix, timestamps, context)?,
        }
    }
}

fn people(record: &LogRecord, prefix: Prefix, timestamps: bool, context: &mut Context) -> io::Result<()> {
    match record {
        LogRecord::Line { at, from, text } => {
            let mut line = Line::new();
            if let Some(at) = at.filter(|_| timestamps) {
                line = line.with(Tone::Quiet, format!("{at} "));
            }
            if prefix == Prefix::Source && !from.is_empty() {
                line = line.with(Tone::Quiet, format!("{from} "));
            }
            context.output.line(line.with(Tone::Plain, &**text))
        }
        LogRecord::Gap { lines: Some(1), reason } => {
            context.output.note(&format!("-- 1 line is missing here: {reason}"))
        }
        LogRecord::Gap { lines: Some(n), reason } => {
            context.output.note(&format!("-- {n} lines are missing here: {reason}"))
        }
        LogRecord::Gap { lines: None, reason } => context.output.note(&format!("-- lines are missing here: {reason}")),
        LogRecord::Notice { text } => context.output.note(&format!("-- {text}")),
    }
}
