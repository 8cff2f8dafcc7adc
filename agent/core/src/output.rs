//! What engines and builds print, made fit to be kept and shown (pure).
//!
//! Pieces of any size go in, whole lines come out: without control sequences (a build must not repaint the reader's terminal), at
//! most [`LINE_BYTES_MAX`] long, and with secrets masked. A carriage return begins the line anew, as a terminal shows it, so
//! that a progress bar is kept by its last state.

use std::borrow::Cow;

use secrecy::{ExposeSecret as _, SecretString};

use crate::secrets::SecretScrubber;

/// The longest line that is kept: a compiler's longest message fits, a minified file does not.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// The longest message: a screen of it.
const MESSAGE_CHARS_MAX: usize = 1200;

/// What stands where a secret was.
const MASK: &str = "***";

/// Shorter texts cannot be kept secret: masking them would tell them by where the mask stands.
const SECRET_BYTES_MIN: usize = 4;

/// Takes secrets out of text.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first, so that a secret that holds another goes as a whole.
    secrets: Vec<SecretString>,
}

impl Mask {
    /// A mask for these secrets, and for each line of those that have several.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let whole_and_lines = |secret: &'a SecretString| {
            let text = secret.expose_secret();
            std::iter::once(text).chain(text.lines()).map(str::trim).filter(|text| text.len() >= SECRET_BYTES_MIN)
        };
        let mut texts: Vec<&str> = secrets.into_iter().flat_map(whole_and_lines).collect();
        texts.sort_by_key(|text| (std::cmp::Reverse(text.len()), *text));
        texts.dedup();
        Self { secrets: texts.into_iter().map(SecretString::from).collect() }
    }

    /// The text with every secret replaced: these, and whatever else the agent holds, for a registry behind the engine may
    /// say what nobody expects of it.
    pub fn apply(&self, text: String) -> String {
        let hides = |text: &str, secret: &SecretString| text.contains(secret.expose_secret());
        let text = self.secrets.iter().fold(text, |text, secret| match hides(&text, secret) {
            true => text.replace(secret.expose_secret(), MASK),
            false => text,
        });
        match SecretScrubber::global().scrub(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => masked,
        }
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} secrets)", self.secrets.len())
    }
}

/// Makes lines of pieces. One for each stream of output; state is kept from piece to piece.
#[derive(Debug, Default)]
pub struct Lines {
    mask: Mask,
    line: String,
    /// Bytes of this line that were over the limit.
    cut: usize,
    /// A carriage return came: the next text replaces the line.
    rewind: bool,
    inside: Inside,
}

/// Where in a control sequence the stream is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Inside {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC [: ends at a letter or one of `@[\]^_{|}~` and backtick.
    Control,
    /// After ESC ], P, X, ^ or _: a string up to BEL or ESC \.
    String,
    /// ESC inside a string: the next character ends it.
    StringEscape,
    /// After ESC and one of ` !"#$%&'()*+,-./`: one more character.
    Charset,
}

impl Lines {
    /// Lines with secrets masked.
    pub fn new(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Takes a piece, and gives the lines that it completes.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for character in piece.chars() {
            self.inside = match (self.inside, character) {
                // A string that never ends must not swallow the rest of the output.
                (Inside::Text | Inside::String | Inside::StringEscape | Inside::Control | Inside::Escape, '\n') => {
                    lines.push(self.take());
                    Inside::Text
                }
                (Inside::Text, '\u{1b}') => Inside::Escape,
                (Inside::Text, '\u{9b}') => Inside::Control,
                (Inside::Text, character) => {
                    self.text(character);
                    Inside::Text
                }
                (Inside::Escape, '[') => Inside::Control,
                (Inside::Escape, ']' | 'P' | 'X' | '^' | '_') => Inside::String,
                (Inside::Escape, ' '..='/') => Inside::Charset,
                (Inside::Escape | Inside::Charset, _) => Inside::Text,
                (Inside::Control, '@'..='~') => Inside::Text,
                (Inside::Control, _) => Inside::Control,
                (Inside::String, '\u{7}') => Inside::Text,
                (Inside::String, '\u{1b}') => Inside::StringEscape,
                (Inside::String, _) => Inside::String,
                (Inside::StringEscape, _) => Inside::Text,
            };
        }
        lines
    }

    /// What is left when the stream ends without a line feed.
    pub fn finish(&mut self) -> Option<String> {
        self.inside = Inside::Text;
        (!self.line.is_empty()).then(|| self.take())
    }

    fn text(&mut self, character: char) {
        if character == '\r' {
            self.rewind = true;
            return;
        }
        if is_unfit(character) {
            return;
        }
        if std::mem::take(&mut self.rewind) {
            self.line.clear();
            self.cut = 0;
        }
        if self.line.len() + character.len_utf8() > LINE_BYTES_MAX {
            self.cut += character.len_utf8();
        } else {
            self.line.push(character);
        }
    }

    fn take(&mut self) -> String {
        self.rewind = false;
        let line = self.mask.apply(std::mem::take(&mut self.line));
        match std::mem::take(&mut self.cut) {
            0 => line,
            cut => format!("{line} … ({cut} bytes more)"),
        }
    }
}

/// A text of any origin as one clean, masked, bounded line, for messages. What is too long loses its middle: an engine quotes
/// the whole command that failed, and says at the end how.
pub fn one_line(mask: &Mask, text: &str) -> String {
    let mut lines = Lines::new(mask.clone());
    let mut all = lines.push(text);
    all.extend(lines.finish());
    let line = all.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let count = line.chars().count();
    if count <= MESSAGE_CHARS_MAX {
        return line;
    }
    let at = |index: usize| line.char_indices().nth(index).map_or(line.len(), |(at, _)| at);
    let half = MESSAGE_CHARS_MAX / 2;
    format!("{} … {}", &line[..at(half)], &line[at(count - half)..])
}

/// Control characters, and those that turn the direction of writing and so make a line look like another.
pub(crate) fn is_unfit(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<String> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn control_sequences_go_and_text_stays() {
        for (pieces, want) in [
            (&["plain\ntwo"][..], &["plain", "two"][..]),
            (&["\u{1b}[31mred\u{1b}[0m\n"], &["red"]),
            (&["\u{1b}", "[3", "1mred\n"], &["red"]),
            (&["\u{1b}]0;title\u{7}text\u{1b}]8;;http://x\u{1b}\\link\n"], &["textlink"]),
            (&["\u{1b}(Bascii\u{1b}7\u{1b}8\n"], &["ascii"]),
            (&["\u{1b}Pq#0;2;0\u{1b}\\after\n"], &["after"]),
            (&["\u{9b}2Jclear\u{7}\u{8}\0\n"], &["clear"]),
            (&["\u{1b}]0;never ends\nnext\n"], &["", "next"]),
            (&["10%\r20%\r", "100%\r\nnext\r\n"], &["100%", "next"]),
            (&["a\tb\u{202e}cod\u{2069}\n"], &["a\tbcod"]),
            (&["\n\n"], &["", ""]),
            (&[""], &[]),
        ] {
            assert_eq!(lines(pieces), want, "{pieces:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_bounded_and_says_so() {
        let piece = "x".repeat(1000);
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert!(lines.push(&piece).is_empty());
        }
        let line = lines.push("\n").remove(0);
        assert!(line.len() < LINE_BYTES_MAX + 64 && line.ends_with("… (983616 bytes more)"), "{}", line.len());
    }

    #[test]
    fn secrets_are_masked_even_in_parts_of_several_lines() {
        let secrets = [
            SecretString::from("hunter2"),
            SecretString::from("-----BEGIN\nabcdefgh\n--"),
            SecretString::from("hunter2-long"),
        ];
        let mut lines = Lines::new(Mask::new(&secrets));
        let shown = lines.push("pw=hun\u{1b}[0mter2; hunter2-long\nabcdefgh -- -----BEGIN\n");
        assert_eq!(shown, ["pw=***; ***", "*** -- ***"]);
        assert_eq!(one_line(&Mask::new(&secrets), "a\n\nhunter2\u{7}\n"), "a; ***");
        let long = format!("{}END", "ü".repeat(5000));
        let cut = one_line(&Mask::default(), &long);
        assert!(cut.chars().count() == MESSAGE_CHARS_MAX + 3 && cut.ends_with("END"), "{}", cut.len());
        assert_eq!(format!("{:?}", Mask::new(&secrets)), "Mask(5 secrets)");
    }
}
