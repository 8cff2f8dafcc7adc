//! Which files of a repository jsonnet reads: those that imports reach.
//!
//! What is imported is written as a literal text, by the language; so the texts behind each `import` are all that can be read.
//! They are found without parsing: what stands in a comment counts as well, and is not missed where it does not exist.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::JsonnetError;
use crate::tree::links::{Followed, resolve_noting};
use crate::tree::paths::{join, parent};
use crate::tree::{Tree, TreeEntry};

/// Files that are evaluated, a program each: a folder of one environment has a few.
pub(super) const BEGINS_MAX: usize = 100;

/// Files that are imported: all of a generated library of Kubernetes has some hundred.
pub(super) const FILES_MAX: usize = 10_000;

/// The longest path that systems open.
const PATH_MAX: usize = 4_096;

/// What jsonnet needs of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// The files that are evaluated, sorted.
    pub begins: Vec<String>,
    /// All that are read, these among them, by the path to write each at.
    pub files: BTreeMap<String, TreeEntry>,
    /// Folders of libraries, the first one first.
    pub libs: Vec<String>,
    /// What the outcome depends on; files that would be found before others are there though they do not exist.
    pub(super) inputs: BTreeSet<String>,
}

/// Finds out what the files of a folder import.
pub(super) fn imports(tree: &dyn Tree, folder: &str, libs: &[String]) -> Result<Imports, JsonnetError> {
    let reading = |source| JsonnetError::Read { path: folder.to_owned(), source };
    let below = if folder.is_empty() { 0 } else { folder.len() + 1 };
    let is_begin = |path: &str| {
        let name = &path[below..];
        name.ends_with(".jsonnet") && !name.contains('/') && !name.starts_with('.')
    };
    let entries = tree.entries(folder).map_err(reading)?.entries;
    let begins: Vec<String> = entries.into_iter().map(|entry| entry.path).filter(|path| is_begin(path)).collect();
    match begins.len() {
        0 => return Err(JsonnetError::None),
        1..=BEGINS_MAX => {}
        more => return Err(JsonnetError::TooManyBegins(more)),
    }
    let libs = libs.iter().filter_map(|lib| join("", lib.trim_start_matches('/'))).collect();
    let needs = Imports { begins: begins.clone(), libs, ..Imports::default() };
    let mut search = Search { tree, needs, waiting: VecDeque::new(), seen: BTreeSet::new() };
    // A file that is added to the folder is evaluated as well.
    search.needs.inputs.insert(folder.to_owned());
    for path in begins {
        search.take(&path, true)?;
    }
    while let Some(path) = search.waiting.pop_front() {
        search.follow(&path)?;
    }
    Ok(search.needs)
}

struct Search<'a> {
    tree: &'a dyn Tree,
    needs: Imports,
    /// Files whose imports are to be followed, each once.
    waiting: VecDeque<String>,
    seen: BTreeSet<String>,
}

impl Search<'_> {
    /// Takes a file, where it is one; tells whether it is.
    fn take(&mut self, path: &str, is_code: bool) -> Result<bool, JsonnetError> {
        let mut way = vec![path.to_owned()];
        let found = resolve_noting(self.tree, path, &mut way);
        let found = found.map_err(|source| JsonnetError::Read { path: path.to_owned(), source })?;
        self.needs.inputs.extend(way);
        let Followed::File(entry) = found else { return Ok(false) };
        self.needs.inputs.insert(entry.path.clone());
        self.needs.files.insert(path.to_owned(), entry);
        if self.needs.files.len() > FILES_MAX {
            return Err(JsonnetError::TooManyFiles);
        }
        if is_code && self.seen.insert(path.to_owned()) {
            self.waiting.push_back(path.to_owned());
        }
        Ok(true)
    }

    /// Takes everything that a file imports: beside itself, else from the first library that has it.
    fn follow(&mut self, path: &str) -> Result<(), JsonnetError> {
        let read = self.tree.blob(&self.needs.files[path]);
        let content = read.map_err(|source| JsonnetError::Read { path: path.to_owned(), source })?;
        for Import { line, is_code, text } in written(&content) {
            let text = text.ok_or_else(|| JsonnetError::Escaped { path: path.to_owned(), line })?;
            let outside = || JsonnetError::Outside { path: path.to_owned(), line, text: text.clone() };
            for folder in std::iter::once(parent(path).to_owned()).chain(self.needs.libs.clone()) {
                let place = join(&folder, &text).ok_or_else(outside)?;
                if self.take(&place, is_code)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// An import as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    line: usize,
    /// Whether what it imports may import more.
    is_code: bool,
    /// Nothing where it cannot be read as it is.
    text: Option<String>,
}

/// Every import of a file, and what looks like one.
fn written(content: &[u8]) -> Vec<Import> {
    let mut found = Vec::new();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (mut at, mut line) = (0, 1);
    while at < content.len() {
        if content[at] == b'\n' {
            line += 1;
        }
        let is_begin = content[at] == b'i' && !at.checked_sub(1).is_some_and(|before| is_word(&content[before]));
        if !is_begin {
            at += 1;
            continue;
        }
        let length = content[at..].iter().position(|byte| !is_word(byte)).unwrap_or(content.len() - at);
        let word = &content[at..at + length];
        at += length;
        if matches!(word, b"import" | b"importstr" | b"importbin")
            && let Some(text) = literal(skip_blank(&content[at..]))
        {
            found.push(Import { line, is_code: word == b"import", text });
        }
    }
    found
}

/// What follows blanks and comments.
fn skip_blank(mut rest: &[u8]) -> &[u8] {
    let after =
        |rest: &'_ [u8], end: &[u8]| rest.windows(end.len()).position(|part| part == end).map(|at| at + end.len());
    loop {
        let blank = rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
        rest = &rest[blank..];
        let comment = match rest {
            [b'#', ..] | [b'/', b'/', ..] => after(rest, b"\n"),
            [b'/', b'*', more @ ..] => after(more, b"*/").map(|at| at + 2),
            _ => return rest,
        };
        rest = &rest[comment.unwrap_or(rest.len())..];
    }
}

/// The literal that begins here, where one does; nothing in it where it has escapes.
fn literal(rest: &[u8]) -> Option<Option<String>> {
    let (is_verbatim, rest) = match rest {
        [b'@', more @ ..] => (true, more),
        _ => (false, rest),
    };
    let (quote, rest) = rest.split_first().filter(|(byte, _)| matches!(byte, b'"' | b'\''))?;
    let end = rest.iter().take(PATH_MAX).position(|byte| byte == quote)?;
    let (text, after) = (&rest[..end], &rest[end + 1..]);
    let is_doubled = is_verbatim && after.first() == Some(quote);
    let is_plain = !is_doubled && (is_verbatim || !text.contains(&b'\\'));
    Some(String::from_utf8(text.to_vec()).ok().filter(|_| is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn imports_are_found_however_they_are_written() {
        for (content, expected) in [
            ("local k = import 'k.libsonnet';", vec![(1, true, Some("k.libsonnet"))]),
            ("{\n a: importstr \"a.txt\",\n b: (importbin @'b\\c.bin') }", vec![(2, false, Some("a.txt")), (3, false, Some("b\\c.bin"))]),
            ("import/* x */ # y\n // z\n 'a'", vec![(1, true, Some("a"))]),
            ("import'a'+import'b'", vec![(1, true, Some("a")), (1, true, Some("b"))]),
            ("// import 'prose'", vec![(1, true, Some("prose"))]),
            ("reimport 'a'; imports 'b'; important; std.extVar('import')", vec![]),
            ("import '\\u002fetc/passwd'", vec![(1, true, None)]),
            ("import @'it''s'", vec![(1, true, None)]),
            ("import", vec![]),
            ("import 'open", vec![]),
            ("import /* open", vec![]),
        ] {
            let found = written(content.as_bytes());
            let found: Vec<_> = found.iter().map(|one| (one.line, one.is_code, one.text.as_deref())).collect();
            assert_eq!(found, expected, "{content}");
        }
    }
}
