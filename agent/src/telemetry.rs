//! The agent's own log: to standard error, and the newest lines in memory for `GET /v1/log`.
//!
//! ```text
//! tracing --filter--> Recorder: fields of the spans and of the event --> secrets masked --> one line --> standard error
//!                                                                                                   `--> LogRing
//! ```
//!
//! Text is for people: with its time on a terminal or in a file; with its priority, and no time, where journald reads
//! (it adds the time itself). JSON is for collectors, an object a line.
//!
//! What is not here: events. What happened to an application is told by the journal; the log is for whoever looks after
//! the agent. Standard error is written where the line is made, since a log that is lost in a crash is of no use; a
//! reader of standard error that does not read holds up the agent, as it does every program of systemd's.

mod line;
mod ring;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::telemetry::line::{Entry, Fields, Form};
use quarterdeck_core::secrets::SecretScrubber;

pub use crate::telemetry::ring::LogRing;

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people and journald.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Why the log cannot be begun or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither a level nor a filter.
    #[error("{text:?} is not a log level: write error, warn, info, debug, trace, or a filter such as info,kube=debug")]
    Level {
        /// As it was written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else logs for this process already.
    #[error("the log of this process was begun before")]
    Begun(#[source] tracing_subscriber::util::TryInitError),
    /// The level can no longer be changed.
    #[error("the log's level cannot be changed any more")]
    Ended(#[source] reload::Error),
}

/// The log of this process. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    /// The newest lines, and those to come.
    pub log: LogRing,
    filter: reload::Handle<EnvFilter, Registry>,
    /// What `QD_LOG` said when the log began; it outranks every configuration.
    outranks: Option<Arc<str>>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Brings another configured level into force; `QD_LOG` still outranks it.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = filter(self.outranks.as_deref().unwrap_or(level))?;
        self.filter.reload(filter).map_err(TelemetryError::Ended)
    }
}

/// Begins to log, once in the life of a process. `QD_LOG` outranks the level.
pub fn init(format: LogFormat, level: &str) -> Result<Telemetry, TelemetryError> {
    begin(format, level, std::env::var("QD_LOG").ok().filter(|level| !level.is_empty()))
}

fn begin(format: LogFormat, level: &str, outranks: Option<String>) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(outranks.as_deref().unwrap_or(level))?);
    let log = LogRing::default();
    let form = match format {
        LogFormat::Json => Form::Json,
        LogFormat::Text if read_by_journald() => Form::Journal,
        LogFormat::Text => Form::Text,
    };
    // Where standard error is closed or full, the log is kept in memory all the same.
    let write = |line: &str| drop(std::io::stderr().lock().write_all(line.as_bytes()));
    let recorder = Recorder { form, log: log.clone(), secrets: SecretScrubber::global(), now: Timestamp::now, write };
    tracing_subscriber::registry().with(filter).with(recorder).try_init().map_err(TelemetryError::Begun)?;
    Ok(Telemetry { log, filter: handle, outranks: outranks.map(Arc::from) })
}

/// A bare level is about this program; the libraries below it are heard from `warn` on, since at `debug` one of them
/// alone writes thousands of lines a minute. Only `trace` means everything. kube's client logs as an error what it then
/// returns as one, at each try: our own words tell it once.
fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let text = text.trim();
    let directives = match text.to_ascii_lowercase().as_str() {
        "off" => "off".to_owned(),
        "error" => "error,kube_client=off".to_owned(),
        level @ ("warn" | "info" | "debug") => {
            format!("warn,kube_client=off,quarterdeck={level}") // what begins with it: every crate of ours
        }
        _ => text.to_owned(),
    };
    let error = |source| TelemetryError::Level { text: text.to_owned(), source };
    if directives.is_empty() {
        return Err(error("=".parse::<tracing_subscriber::filter::Directive>().expect_err("`=` is not a directive")));
    }
    EnvFilter::builder().parse(&directives).map_err(error)
}

/// Whether standard error goes to journald: systemd names the device and inode of that stream (systemd.exec(5)), so
/// that a program whose output was redirected since is not taken in.
fn read_by_journald() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::io::stderr();
    !stderr.is_terminal()
        && rustix::fs::fstat(stderr.as_fd()).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Makes a line of each event, and gives it to standard error and to the ring.
struct Recorder<W> {
    form: Form,
    log: LogRing,
    secrets: &'static SecretScrubber,
    now: fn() -> Timestamp,
    write: W,
}

impl<W, S> Layer<S> for Recorder<W>
where
    W: Fn(&str) + 'static,
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        let entry = Entry::new((self.now)(), event.metadata(), fields, self.secrets);
        (self.write)(&entry.line(self.form));
        self.log.push(entry.record());
    }
}
