//! JSON whose strings cannot drive a terminal.
//!
//! JSON escapes the control characters below U+0020 and no others. A C1 control or a bidirectional override would reach
//! the terminal raw, so these are written as `\uXXXX`, which every parser reads as the very same string.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::text::is_control;

/// Writes a value, indented or in one line.
pub(super) fn write(out: &mut dyn Write, value: &impl Serialize, indented: bool) -> io::Result<()> {
    let written = if indented {
        value.serialize(&mut Serializer::with_formatter(out, Harmless(PrettyFormatter::new())))
    } else {
        value.serialize(&mut Serializer::with_formatter(out, Harmless(CompactFormatter)))
    };
    Ok(written?)
}

/// A formatter that escapes a little more than JSON asks for.
struct Harmless<F>(F);

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_control) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            let mut after = rest[at..].chars();
            let control = after.next().map_or(0, u32::from);
            write!(writer, "\\u{control:04x}")?;
            rest = after.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_is_harmless_and_the_same_json() {
        let value = json!({"a\u{9b}b": ["\u{1b}[31m", "x\u{202e}y\u{7f}", "größer\n\"\\"], "n": [1.5, null, {}, []]});
        for indented in [true, false] {
            let mut written = Vec::new();
            write(&mut written, &value, indented).unwrap();
            let written = String::from_utf8(written).unwrap();
            assert!(!written.contains(|c| is_control(c) && c != '\n'), "{written:?}");
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
            if indented {
                assert_eq!(
                    written.replace("\\u001b", "\u{1b}").replace("\\u009b", "\u{9b}").replace("\\u202e", "\u{202e}"),
                    serde_json::to_string_pretty(&value)
                        .unwrap()
                        .replace("\\u001b", "\u{1b}")
                        .replace('\u{7f}', "\\u007f"),
                );
            }
        }
    }
}
