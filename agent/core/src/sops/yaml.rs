//! A file of YAML, decrypted in place: comments, quotes and the lines of what is not encrypted stay as they are.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;

use super::seal::{Opened, Opener, Written};
use super::{Format, SopsError};
use crate::yaml::tree::{Node, parse};

/// The text in clear, without the metadata.
pub(super) fn decrypt(text: &str, opener: &mut Opener<'_>) -> Result<String, SopsError> {
    let wrong = |problem: String| SopsError::Text { format: Format::Yaml, problem };
    let documents = parse(text).map_err(|broken| wrong(format!("line {}: {}", broken.line, broken.what)))?;
    let mut edits = Edits { text, made: Vec::new() };
    for document in documents.iter().filter(|document| !document.is_nothing()) {
        let Node::Mapping { entries, flow: false, .. } = document else {
            return Err(wrong("a document of it is not a block mapping".to_owned()));
        };
        opener.is_secret = document.get("kind").and_then(Node::text) == Some("Secret");
        for (at, (key, value)) in entries.iter().enumerate() {
            let name = key.text().ok_or_else(|| wrong("a key of it is not text".to_owned()))?;
            if name == "sops" {
                let next = entries.get(at + 1).map(|(next, _)| next.at().start);
                edits.remove(key.at().start..next.unwrap_or_else(|| value.at().end));
            } else {
                walk(value, &mut vec![name.to_owned()], opener, &mut edits)?;
            }
        }
    }
    Ok(edits.done())
}

/// The changes of a text, in the order of their places.
struct Edits<'t> {
    text: &'t str,
    made: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    /// Removes whole lines.
    fn remove(&mut self, at: Range<usize>) {
        let start = self.text[..at.start].rfind('\n').map_or(0, |end| end + 1);
        let end = match self.text[..at.end].ends_with('\n') {
            true => at.end,
            false => self.text[at.end..].find('\n').map_or(self.text.len(), |end| at.end + end + 1),
        };
        self.made.push((start..end, String::new()));
    }

    fn done(self) -> String {
        let Self { text, made } = self;
        let (mut clear, mut copied) = (String::with_capacity(text.len()), 0);
        for (at, instead) in made {
            clear.push_str(&text[copied..at.start]);
            clear.push_str(&instead);
            copied = at.end;
        }
        clear + &text[copied..]
    }
}

fn walk(node: &Node, path: &mut Vec<String>, opener: &mut Opener<'_>, edits: &mut Edits<'_>) -> Result<(), SopsError> {
    let wrong = |problem: &str| SopsError::Text { format: Format::Yaml, problem: problem.to_owned() };
    match node {
        Node::Alias { .. } => Err(wrong("it has an alias, which SOPS writes none of")),
        Node::Sequence { items, .. } => items.iter().try_for_each(|item| walk(item, path, opener, edits)),
        Node::Mapping { entries, .. } => entries.iter().try_for_each(|(key, value)| {
            path.push(key.text().ok_or_else(|| wrong("a key of it is not text"))?.to_owned());
            let walked = walk(value, path, opener, edits);
            path.pop();
            walked
        }),
        Node::Scalar { value, plain, tagged, at, .. } => {
            let written = if *plain && !*tagged { plain_word(value) } else { Written::Text(value) };
            match opener.open(path, &written)? {
                Opened::Kept => {}
                Opened::Text(text) => {
                    let text = String::from_utf8(text).map_err(|_| wrong("a value of it is not UTF-8"))?;
                    // JSON's way of quoting is one of YAML's.
                    edits.made.push((at.clone(), serde_json::Value::from(text).to_string()));
                }
                Opened::Word(word) => edits.made.push((at.clone(), word)),
                Opened::Comment => edits.remove(at.clone()),
            }
            Ok(())
        }
    }
}

/// An unquoted word as the reader of SOPS (yaml.v3 of Go) takes it, as the MAC counts it.
fn plain_word(word: &str) -> Written<'_> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Written::Nothing,
        "true" | "True" | "TRUE" => return Written::Other("True".to_owned()),
        "false" | "False" | "FALSE" => return Written::Other("False".to_owned()),
        _ => {}
    }
    let number = integer(word).or_else(|| float(word)).or_else(|| time(word));
    number.map_or(Written::Text(word), Written::Other)
}

/// Go's `ParseInt` with base 0; larger ones are its floats.
fn integer(word: &str) -> Option<String> {
    let digits = word.replace('_', "");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(|number| number.to_string())
}

fn float(word: &str) -> Option<String> {
    let is_float = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && word.contains(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    // Written out, as Go's `FormatFloat(_, 'f', -1, 64)` does.
    word.parse::<f64>().ok().filter(|number| is_float && number.is_finite()).map(|number| number.to_string())
}

/// A time as SOPS writes it, or a date.
fn time(word: &str) -> Option<String> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if word.len() == 10 && word.parse::<Date>().is_ok() {
        return Some(format!("{word}T00:00:00Z"));
    }
    (word.contains('T') && word.parse::<Timestamp>().is_ok()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_words_count_as_the_reader_of_sops_takes_them() {
        for (word, counted) in [
            ("", None),
            ("~", None),
            ("null", None),
            ("True", Some("True")),
            ("false", Some("False")),
            ("yes", Some("yes")),
            ("on", Some("on")),
            ("3", Some("3")),
            ("-3", Some("-3")),
            ("+3", Some("3")),
            ("0", Some("0")),
            ("0644", Some("420")),
            ("0o644", Some("420")),
            ("0x1F", Some("31")),
            ("0b11", Some("3")),
            ("1_000", Some("1000")),
            ("08", Some("8")),
            ("1.50", Some("1.5")),
            ("1e3", Some("1000")),
            ("1e+21", Some("1000000000000000000000")),
            (".5", Some("0.5")),
            ("12345678901234567890", Some("12345678901234567000")),
            ("1.2.3", Some("1.2.3")),
            ("-", Some("-")),
            ("v1", Some("v1")),
            ("2024-05-06", Some("2024-05-06T00:00:00Z")),
            ("2024-05-06T07:08:09.5+02:00", Some("2024-05-06T07:08:09.5+02:00")),
            ("2024-13-06", Some("2024-13-06")),
        ] {
            let read = match plain_word(word) {
                Written::Nothing => None,
                Written::Text(text) => Some(text.to_owned()),
                Written::Other(text) => Some(text),
            };
            assert_eq!(read.as_deref(), counted, "{word}");
        }
    }
}
