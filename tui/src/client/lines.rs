//! Cuts a stream of bytes into lines of a bounded length. Pure.

use bytes::{Bytes, BytesMut};

/// Bytes that came and are not yet read as lines.
#[derive(Debug)]
pub(super) struct Lines {
    pending: BytesMut,
    /// So much of `pending` holds no line end: a long line that comes in small pieces is searched once, not once a piece.
    searched: usize,
    limit: usize,
}

impl Lines {
    /// None yet; no line may be longer than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { pending: BytesMut::new(), searched: 0, limit }
    }

    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The stream has ended: what is left is a line, too.
    pub(super) fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(b"\n");
        }
    }

    /// The next whole line without its end; the limit as an error where a line is longer.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, usize> {
        let found = self.pending[self.searched..].iter().position(|byte| *byte == b'\n');
        let length = found.map_or(self.pending.len(), |at| self.searched + at);
        if length > self.limit {
            return Err(self.limit);
        }
        if found.is_none() {
            self.searched = length;
            return Ok(None);
        }
        self.searched = 0;
        let mut line = self.pending.split_to(length + 1);
        line.truncate(length);
        Ok(Some(line.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come out when the text comes in pieces of so many bytes, then whether one was too long.
    fn lines(text: &str, piece: usize, limit: usize) -> (Vec<String>, bool) {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        let mut take = |lines: &mut Lines| loop {
            match lines.next() {
                Ok(Some(line)) => found.push(String::from_utf8(line.to_vec()).unwrap()),
                Ok(None) => return false,
                Err(_) => return true,
            }
        };
        for bytes in text.as_bytes().chunks(piece) {
            lines.push(bytes);
            if take(&mut lines) {
                return (found, true);
            }
        }
        lines.finish();
        let too_long = take(&mut lines);
        (found, too_long)
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        for piece in 1..20 {
            for (text, expected) in [
                ("", vec![]),
                ("one\n", vec!["one"]),
                ("one\ntwo", vec!["one", "two"]),
                ("\n\nthree\n", vec!["", "", "three"]),
            ] {
                assert_eq!(
                    lines(text, piece, 5),
                    (expected.iter().map(|l| l.to_string()).collect(), false),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused_before_it_is_whole() {
        for piece in 1..20 {
            assert_eq!(lines("one\nlonger", piece, 5), (vec!["one".to_owned()], true));
            assert_eq!(lines("one\nlonge\n", piece, 5), (vec!["one".to_owned(), "longe".to_owned()], false));
        }
    }
}
