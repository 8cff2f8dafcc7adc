//! The lines of a log that are kept: a ring of so many bytes. Each line has a number for its life.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text;

/// Bytes of lines that are kept: some 60,000 lines, an hour of a talkative pod, and a fifth of what a console may take.
pub const RING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of one line that are kept; of more only the number is told. A line of 16 KiB fills a screen.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// What a line costs beside its text: itself, and what the allocator keeps with the text.
const LINE_BYTES_BESIDE: usize = size_of::<Line>() + 16;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineKind {
    /// What somebody wrote.
    Text,
    /// What somebody wrote and looks like an error.
    Error,
    /// Lines are missing here.
    Gap,
    /// Something about the log.
    Notice,
}

/// A line, made harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Who wrote it.
    pub lane: u16,
    /// The step of a build that it is of; zero for none.
    pub step: u16,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The text, without control characters.
    pub text: Box<str>,
}

impl Line {
    /// A line of any text: control characters become visible, and what is longer than anybody reads is cut.
    pub fn new(kind: LineKind, at: Option<Timestamp>, lane: u16, raw: &str) -> Self {
        let mut end = raw.len().min(LINE_BYTES_MAX);
        while !raw.is_char_boundary(end) {
            end -= 1;
        }
        let clean = text::clean(&raw[..end]);
        let mut line = if clean.contains('\t') { clean.replace('\t', "    ") } else { clean.into_owned() };
        if end < raw.len() {
            line.push_str(&format!(" … and {} bytes more", raw.len() - end));
        }
        let kind = if kind == LineKind::Text && is_error(&line) { LineKind::Error } else { kind };
        Self { kind, lane, step: 0, at, text: line.into_boxed_str() }
    }

    /// Lines of the screen that it takes where it is broken at so many columns.
    pub fn height(&self, columns: u16) -> u16 {
        let columns = usize::from(columns.max(1));
        // Where all characters are one byte wide and one column wide, its length says it.
        let width = if self.text.is_ascii() { self.text.len() } else { text::columns(&self.text) };
        u16::try_from(width.div_ceil(columns).max(1)).unwrap_or(u16::MAX)
    }

    fn bytes(&self) -> usize {
        self.text.len() + LINE_BYTES_BESIDE
    }
}

/// Whether a line looks as if something went wrong: one of the words that programs use for it, at the front of the line
/// or as a level. It marks lines for a jump key; nothing is hidden by it.
fn is_error(line: &str) -> bool {
    const HEAD: usize = 160;
    const WORDS: [&str; 7] = ["error", "fatal", "panic", "exception", "critical", "traceback", "emerg"];
    let head = &line.as_bytes()[..line.len().min(HEAD)];
    let is_word = |start: usize, len: usize| {
        let letter = |at: Option<usize>| at.and_then(|at| head.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        !letter(start.checked_sub(1)) && !letter(Some(start + len))
    };
    WORDS.iter().any(|word| {
        let hit = |(at, part): (usize, &[u8])| part.eq_ignore_ascii_case(word.as_bytes()) && is_word(at, word.len());
        head.windows(word.len()).enumerate().any(hit)
    })
}

/// The lines that are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ring {
    lines: VecDeque<Line>,
    first: u64,
    bytes: usize,
}

impl Ring {
    /// Puts a line at the end; the oldest go where there is no room.
    pub fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.bytes > RING_BYTES_MAX
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.first += 1;
            self.trim();
        }
    }

    /// Gives back places that are too many: a buffer grows by doubling, and its lines wander through all of it, so that
    /// a full ring would take more and more memory for as long as the last doubling was too much.
    fn trim(&mut self) {
        /// Fewer are not worth a copy.
        const SPARE: usize = 1_024;
        let lines = self.lines.len();
        if self.lines.capacity() > lines + lines / 4 + SPARE {
            self.lines.shrink_to(lines + lines / 8);
        }
    }

    /// The number of the oldest line; as many were let go.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next line will have.
    pub fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A line by its number.
    pub fn get(&self, number: u64) -> Option<&Line> {
        self.lines.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The first line from `from` on, with wrap-around, for which something holds.
    pub fn find(&self, from: u64, forward: bool, holds: impl Fn(&Line) -> bool) -> Option<u64> {
        let (first, end) = (self.first, self.end());
        let from = from.clamp(first, end.max(first));
        let hit = |number: &u64| self.get(*number).is_some_and(&holds);
        if forward {
            (from..end).chain(first..from).find(hit)
        } else {
            (first..from).rev().chain((from..end).rev()).find(hit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_holds_so_many_bytes_and_no_more() {
        let mut ring = Ring::default();
        let text = "x".repeat(10_000);
        for _ in 0..2_000 {
            ring.push(Line::new(LineKind::Text, None, 0, &text));
        }
        assert!(ring.bytes <= RING_BYTES_MAX);
        assert_eq!(ring.end(), 2_000);
        assert_eq!(ring.first(), 2_000 - ring.lines.len() as u64);
        assert!(ring.get(ring.first() - 1).is_none());
        assert!(ring.get(1_999).is_some());
    }

    #[test]
    fn a_full_ring_has_few_places_to_spare() {
        let mut ring = Ring::default();
        // Just more lines than a power of two.
        let text = "x".repeat(RING_BYTES_MAX / 66_000 - LINE_BYTES_BESIDE);
        for _ in 0..70_000 {
            ring.push(Line::new(LineKind::Text, None, 0, &text));
        }
        let (lines, places) = (ring.lines.len(), ring.lines.capacity());
        assert!(ring.first() > 0 && lines > 65_536, "{lines}");
        assert!(places < lines * 3 / 2, "{places} places for {lines} lines");
    }

    #[test]
    fn a_line_is_cut_and_made_harmless() {
        let long = Line::new(LineKind::Text, None, 0, &"ö".repeat(LINE_BYTES_MAX));
        assert!(long.text.ends_with("… and 16384 bytes more"), "{}", &long.text[long.text.len() - 40..]);
        let bad = Line::new(LineKind::Text, None, 0, "\x1b[2Jgone\tx");
        assert_eq!(&*bad.text, "^[[2Jgone    x");
    }

    #[test]
    fn lines_that_look_like_errors() {
        for (text, kind) in [
            ("ERROR cannot connect", LineKind::Error),
            (r#"{"level":"error","msg":"x"}"#, LineKind::Error),
            ("thread 'main' panicked at", LineKind::Text),
            ("panic: nil map", LineKind::Error),
            ("0 errors found", LineKind::Text),
            ("terror", LineKind::Text),
            ("GET /search 200", LineKind::Text),
        ] {
            assert_eq!(Line::new(LineKind::Text, None, 0, text).kind, kind, "{text}");
        }
    }

    #[test]
    fn finding_goes_around() {
        let mut ring = Ring::default();
        for text in ["a", "b", "a", "c"] {
            ring.push(Line::new(LineKind::Text, None, 0, text));
        }
        let is_a = |line: &Line| &*line.text == "a";
        assert_eq!(ring.find(0, true, is_a), Some(0));
        assert_eq!(ring.find(1, true, is_a), Some(2));
        assert_eq!(ring.find(3, true, is_a), Some(0));
        assert_eq!(ring.find(2, false, is_a), Some(0));
        assert_eq!(ring.find(0, false, is_a), Some(2));
        assert_eq!(ring.find(99, true, |line| &*line.text == "z"), None);
    }
}
