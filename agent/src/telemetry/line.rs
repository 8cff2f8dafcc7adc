//! What a line of the log says, and how it is written: for people, for journald, as JSON, for a console. Pure.

use std::error::Error;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use quarterdeck_shared::protocol::LogRecord;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use quarterdeck_core::secrets::SecretScrubber;

/// A text of the log is cut here: an error that quotes an answer of a megabyte is told well enough by its beginning.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Fields of one line; a span that records in a loop does not make it endless.
const FIELDS_MAX: usize = 32;

/// How a line is written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With its time and level.
    Text,
    /// With its priority, as `sd-daemon(3)` has it; journald knows the time.
    Journal,
    /// A JSON object.
    Json,
}

/// What was recorded of a span or an event, in order; a name that comes again replaces what it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Adds those of an inner span.
    pub(super) fn extend(&mut self, inner: &Self) {
        inner.0.iter().for_each(|(name, value)| self.set(name, value.clone()));
    }

    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter().position(|(known, _)| *known == name) {
            Some(at) => self.0[at].1 = value,
            None if self.0.len() < FIELDS_MAX => self.0.push((name, value)),
            None => {}
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(at).1 {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    /// The whole chain: the first of an error's texts alone says what we tried, not why it failed.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field.name(), quarterdeck_shared::error::chain(value).into());
    }
}

/// One line of the log, without secrets.
#[derive(Debug)]
pub(super) struct Entry {
    at: Timestamp,
    level: Level,
    target: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Entry {
    /// An entry of what was recorded. Secrets are masked in each value before anything escapes or quotes it, since a
    /// quoted secret looks like another text.
    pub(super) fn new(at: Timestamp, metadata: &Metadata<'_>, mut fields: Fields, secrets: &SecretScrubber) -> Self {
        let masked = |text: &str| cut(&secrets.scrub(text));
        let message = masked(&fields.take("message").unwrap_or_default());
        // What a library says through the `log` crate comes with its own place as fields.
        let logged = fields.take("log.target");
        for name in ["log.module_path", "log.file", "log.line"] {
            fields.take(name);
        }
        let target = logged.unwrap_or_else(|| metadata.target().to_owned());
        let ours = target.strip_prefix("quarterdeck_agent::").or(target.strip_prefix("quarterdeck_"));
        let mask = |(name, value)| match value {
            Value::String(text) => (name, Value::String(masked(&text))),
            other => (name, other),
        };
        Self {
            at,
            level: *metadata.level(),
            target: ours.unwrap_or(&target).to_owned(),
            message,
            fields: fields.0.into_iter().map(mask).collect(),
        }
    }

    /// As it is written to standard error, with its line end.
    pub(super) fn line(&self, form: Form) -> String {
        match form {
            Form::Text => format!("{:.3} {:>5} {}: {}\n", self.at, self.level, self.target, self.text()),
            Form::Journal => format!("<{}>{}: {}\n", priority(self.level), self.target, self.text()),
            Form::Json => {
                let fields: Map<String, Value> =
                    self.fields.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
                let level = self.level.as_str().to_ascii_lowercase();
                let object = json!({
                    "at": format!("{:.3}", self.at), "level": level, "target": self.target, "message": self.message,
                    "fields": fields,
                });
                format!("{object}\n")
            }
        }
    }

    /// As consoles get it.
    pub(super) fn record(&self) -> LogRecord {
        let text = format!("{:<5} {}", self.level, self.text());
        LogRecord::Line { at: Some(self.at), from: self.target.as_str().into(), text: text.into() }
    }

    /// The message and the fields in one line without control characters.
    fn text(&self) -> String {
        let mut text = visible(&self.message);
        for (name, value) in &self.fields {
            // Writing to a string does not fail.
            let _ = match value {
                Value::String(value) if plain(value) => write!(text, " {name}={value}"),
                Value::String(value) => write!(text, " {name}=\"{}\"", visible(value).replace('"', "\\\"")),
                value => write!(text, " {name}={value}"),
            };
        }
        text
    }
}

/// The syslog priority that journald shows a level as.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=')
}

/// With each control character, line ends too, as Rust would write it: a line stays one line, and a quoted server's
/// message cannot drive the terminal of whoever reads the log.
fn visible(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hostile) {
        return text.to_owned();
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) { visible.extend(c.escape_default()) } else { visible.push(c) }
    }
    visible
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}
