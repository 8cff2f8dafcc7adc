//! The one place where the command line writes. Everything that came from outside is made harmless here.
//!
//! A terminal gets colours and signs by meaning, and tables cut to its width; a pipe gets the same words, columns and
//! headers, whole and without decoration, so that what a person saw is what a script parses. What is not the answer
//! (a notice, progress, an error) goes to standard error.

pub mod json;
pub mod table;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use serde::Serialize;

use crate::output::table::Table;
use crate::status_style::{StatusStyle, Tone};
use crate::text::clean;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also in a pipe.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// What a person decided, whatever the terminal and the environment say; nothing for [`Colour::Auto`].
    pub fn decided(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Always => Some(true),
            Self::Never => Some(false),
        }
    }
}

/// How text is dressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dress {
    /// With colours.
    pub colours: bool,
    /// With a sign before words that have one.
    pub signs: bool,
}

/// Text in several tones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// With more text at its end.
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new().with(Tone::Plain, text)
    }
}

/// Standard error: also of those who have something to say while a command is at work.
#[derive(Clone)]
pub struct Aside(Arc<Mutex<Box<dyn Write + Send>>>);

impl Aside {
    /// Says something beside the answer.
    pub fn say(&self, text: &str) {
        self.line(&clean(text));
    }

    /// Writes a harmless line.
    fn line(&self, text: &str) {
        let mut err = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece: what others write into the same pipe or file stands before or after it, and never in its middle.
        let line = format!("{text}\n");
        // Whether standard error can be written to changes nothing about the answer.
        let _ = err.write_all(line.as_bytes());
    }
}

/// Standard output and standard error, and what is known of the terminal.
pub struct Output {
    /// Whether errors are JSON, as the answer is.
    pub errors_as_json: bool,
    out: Box<dyn Write + Send>,
    err: Aside,
    dress: Dress,
    width: Option<usize>,
}

impl Output {
    /// The process's own.
    pub fn process(colour: Colour) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        // https://no-color.org: present and not empty.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = match colour {
            Colour::Auto => terminal && !dumb && !no_color,
            Colour::Always => true,
            Colour::Never => false,
        };
        let size = rustix::termios::tcgetwinsize(&stdout).ok().filter(|size| terminal && size.ws_col > 0);
        Self::new(
            Box::new(BufWriter::new(stdout)),
            Box::new(io::stderr()),
            Dress { colours, signs: terminal && !dumb },
            size.map(|size| usize::from(size.ws_col)),
        )
    }

    /// Any writers, dressed as told, in tables of at most `width` columns.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, dress: Dress, width: Option<usize>) -> Self {
        Self { errors_as_json: false, out, err: Aside(Arc::new(Mutex::new(err))), dress, width }
    }

    /// The way to standard error for those who speak while a command is at work.
    pub fn aside(&self) -> Aside {
        self.err.clone()
    }

    /// Whether a person reads.
    pub fn is_terminal(&self) -> bool {
        self.dress.signs
    }

    /// Writes a line of the answer.
    pub fn line(&mut self, line: impl Into<Line>) -> io::Result<()> {
        let mut text = dressed(&line.into(), self.dress);
        text.push('\n');
        self.out.write_all(text.as_bytes())
    }

    /// Writes a word with its sign, where signs are drawn: for lines that are made by hand.
    pub fn word(&self, meaning: StatusStyle, word: &str) -> String {
        if self.dress.signs { format!("{} {word}", meaning.sign) } else { word.to_owned() }
    }

    /// Writes a table, headers first.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines(self.dress.signs, self.width) {
            self.line(line)?;
        }
        Ok(())
    }

    /// Writes the answer as JSON, for people and `jq` alike.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        json::write(&mut self.out, value, true)?;
        self.out.write_all(b"\n")
    }

    /// Writes one record of a stream as a line of JSON.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        json::write(&mut self.out, value, false)?;
        self.out.write_all(b"\n")
    }

    /// Writes what is ours and whole: help, a completion script.
    pub fn verbatim(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Says something beside the answer, on standard error, after what was written before it.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        self.err.say(text);
        Ok(())
    }

    /// Says what went wrong, though what was written before may be why: on a full disk nothing else tells of it. Not where
    /// whoever read the answer has left.
    pub fn complain(&mut self, text: &str) -> io::Result<()> {
        self.complain_in(&clean(text))
    }

    /// The same as a line of JSON.
    pub fn complain_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = Vec::new();
        json::write(&mut line, value, false)?;
        self.complain_in(&String::from_utf8_lossy(&line))
    }

    fn complain_in(&mut self, line: &str) -> io::Result<()> {
        match self.out.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error),
            _ => {
                self.err.line(line);
                Ok(())
            }
        }
    }

    /// Sends off what was written. A stream does so whenever it has nothing more to write for the moment.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A line with its colours, and harmless.
fn dressed(line: &Line, dress: Dress) -> String {
    let mut dressed = String::new();
    for (tone, text) in &line.0 {
        match sgr(*tone).filter(|_| dress.colours && !text.trim().is_empty()) {
            Some(sgr) => {
                dressed.push_str(sgr);
                dressed.push_str(&clean(text));
                dressed.push_str("\u{1b}[0m");
            }
            None => dressed.push_str(&clean(text)),
        }
    }
    dressed
}

/// The sixteen colours of every terminal: they follow the person's own theme.
fn sgr(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Quiet => Some("\u{1b}[2m"),
        Tone::Strong => Some("\u{1b}[1m"),
        Tone::Good => Some("\u{1b}[32m"),
        Tone::Busy => Some("\u{1b}[36m"),
        Tone::Warning => Some("\u{1b}[33m"),
        Tone::Bad => Some("\u{1b}[31m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what was written at a time.
    #[derive(Clone, Default)]
    struct Pieces(Arc<Mutex<Vec<String>>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_others_write_beside_it_never_stands_in_a_line() {
        let pipe = Pieces::default();
        let out = BufWriter::new(pipe.clone());
        let mut output = Output::new(Box::new(out), Box::new(pipe.clone()), Dress::default(), None);
        output.line("shop/prod will be synced").unwrap();
        output.note("the sync has not begun").unwrap();
        assert_eq!(*pipe.0.lock().unwrap(), ["shop/prod will be synced\n", "the sync has not begun\n"]);
    }

    #[test]
    fn colours_go_around_text_that_cannot_break_out_of_them() {
        let line = Line::new().with(Tone::Bad, "✖ \u{1b}[0m").with(Tone::Plain, " quiet").with(Tone::Good, "  ");
        let plain = Dress::default();
        assert_eq!(dressed(&line, plain), "✖ ^[[0m quiet  ");
        assert_eq!(dressed(&line, Dress { colours: true, ..plain }), "\u{1b}[31m✖ ^[[0m\u{1b}[0m quiet  ");
    }
}
