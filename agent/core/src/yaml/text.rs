//! From bytes to the text that the parser reads: UTF-8, or UTF-16 by its mark, as Windows PowerShell writes it.

use std::borrow::Cow;

use super::YamlError;

/// The byte order mark.
const MARK: char = '\u{feff}';

/// What stands for a mark while a text is parsed: as many bytes, so that places stay true, and a line of its own, so that
/// what follows stands in its column.
const BLANK: &str = "  \n";

/// A text with the encoding that it was read in.
pub(crate) struct Text<'a> {
    /// Its characters, marks included.
    pub(crate) text: Cow<'a, str>,
    /// How its file is written.
    pub(crate) encoding: Encoding,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// The bytes of a text; its mark is a character of it.
    pub(crate) fn write(self, text: String) -> Vec<u8> {
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// Reads the bytes of a file.
///
/// # Errors
/// Where they are not text, with the line.
pub(crate) fn decode(bytes: &[u8]) -> Result<Text<'_>, YamlError> {
    let encoding = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(YamlError::Encoding { seems: "UTF-32" }),
        [0xff, 0xfe, ..] => Encoding::Utf16Le,
        [0xfe, 0xff, ..] => Encoding::Utf16Be,
        // The first character of a manifest is ASCII, so a zero beside it is half of a wider one.
        [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => return Err(YamlError::Encoding { seems: "UTF-32" }),
        [0, _, ..] | [_, 0, ..] => return Err(YamlError::Encoding { seems: "UTF-16 without a byte order mark" }),
        _ => Encoding::Utf8,
    };
    let text = match encoding {
        Encoding::Utf8 => {
            let text = std::str::from_utf8(bytes);
            text.map_err(|error| YamlError::NotUtf8 { line: super::line_of(bytes, error.valid_up_to()) })?.into()
        }
        Encoding::Utf16Le => wide(bytes, u16::from_le_bytes)?.into(),
        Encoding::Utf16Be => wide(bytes, u16::from_be_bytes)?.into(),
    };
    Ok(Text { text, encoding })
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, YamlError> {
    let (units, odd) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>();
    match text {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err(YamlError::Encoding { seems: "UTF-16 that is cut off or damaged" }),
    }
}

/// The text with a blank line for each mark that begins a document, and the lines of these; a mark elsewhere is a
/// character. YAML allows one at the beginning of each document (<https://yaml.org/spec/1.2.2/#52-character-encodings>):
/// so joined files have them.
pub(crate) fn without_marks(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    if !text.contains(MARK) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let (mut out, mut blanks, mut lines) = (String::with_capacity(text.len()), Vec::new(), 0);
    // Whether nothing of the document was seen yet but comments and directives.
    let mut begins = true;
    for line in text.split_inclusive('\n') {
        lines += 1;
        let mut rest = line;
        while let Some(unmarked) = rest.strip_prefix(MARK).filter(|rest| begins || is_marker(rest, "---")) {
            out.push_str(BLANK);
            blanks.push(lines);
            lines += 1;
            rest = unmarked;
        }
        out.push_str(rest);
        if is_marker(rest, "---") {
            // What stands behind the marker is of the document.
            begins = matches!(rest[3..].trim_start().as_bytes().first(), None | Some(b'#'));
        } else if is_marker(rest, "...") {
            begins = true;
        } else if !rest.trim().is_empty() && !rest.starts_with(['#', '%']) {
            begins = false;
        }
    }
    (Cow::Owned(out), blanks)
}

/// The line of the text as it is written, by its line in what [`without_marks`] made of it.
pub(crate) fn written_line(line: usize, blanks: &[usize]) -> usize {
    line - blanks.iter().filter(|blank| **blank < line).count()
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
