//! `.dockerignore`, by its own rules (pure). They look like git's and are not:
//!
//! - patterns are seen from the root of the context, so `*.md` is not `docs/a.md` (that is `**/*.md`);
//! - the last pattern that matches a path, or a folder above it, decides, and `!` takes back also what is below an excluded folder;
//! - `**` is any number of folders.
//!
//! The behaviour is that of moby's `patternmatcher` (`MatchesOrParentMatches`), which Docker, BuildKit and Podman share, with its
//! oddities: `**x` at the front matches any name that ends in `x`, elsewhere `**` stands for whole folders.

/// A parsed ignore file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerignore {
    patterns: Vec<Pattern>,
}

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {pattern:?} is not a valid pattern: {why}")]
pub struct DockerignoreError {
    /// Counted from 1.
    pub line: usize,
    /// The text of the line.
    pub pattern: String,
    /// What is wrong with it.
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `!`: what matches is sent after all.
    sends: bool,
    shape: Shape,
}

/// How a pattern is held against a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Plain text: the path itself. Most patterns are.
    Exact(String),
    /// `**` in front of plain text: the end of the path.
    Suffix(String),
    /// Plain text before a final `**`: the beginning of the path.
    Prefix(String),
    /// Everything else, a piece at a time.
    Pieces(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`: one character of a name.
    One,
    /// `*`: any characters of a name.
    Name,
    /// `**` with more behind it: nothing, or any folders with their slash.
    Folders,
    /// `**` at the end: all that is left.
    Rest,
    /// `[a-z]`, `[^x]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Dockerignore {
    /// Reads an ignore file. Comments begin with `#` in the first column.
    pub fn parse(text: &str) -> Result<Self, DockerignoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let fault = |why| DockerignoreError { line: index + 1, pattern: line.trim().to_owned(), why };
            patterns.push(Pattern::parse(line.trim()).map_err(fault)?);
        }
        Ok(Self { patterns })
    }

    /// Is the file at `path` (seen from the context, with slashes) left out?
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for pattern in &self.patterns {
            // Only a pattern that would change the verdict needs a look.
            if pattern.sends == excluded
                && (pattern.matches(path) || parents(path).any(|folder| pattern.matches(folder)))
            {
                excluded = !pattern.sends;
            }
        }
        excluded
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (sends, text) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
        if text.is_empty() {
            return Err("nothing follows the exclamation mark");
        }
        let text = clean(text);
        let pieces = pieces(&text)?;
        let plain = |pieces: &[Piece]| {
            pieces.iter().map(|p| if let Piece::Char(c) = p { Some(*c) } else { None }).collect::<Option<String>>()
        };
        // Where a class, an escape or a wildcard is in the text, moby goes the way of the regular expression.
        let escaped = text.contains('\\');
        let shape = match pieces.as_slice() {
            all if plain(all).is_some() => Shape::Exact(plain(all).unwrap_or_default()),
            [Piece::Folders | Piece::Rest, rest @ ..] if !escaped && plain(rest).is_some() => {
                Shape::Suffix(text.trim_start_matches("**").to_owned())
            }
            [rest @ .., Piece::Rest] if !escaped && plain(rest).is_some() => {
                Shape::Prefix(text.trim_end_matches('*').to_owned())
            }
            _ => Shape::Pieces(pieces),
        };
        Ok(Self { sends, shape })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.shape {
            Shape::Exact(text) => path == text,
            Shape::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path),
            Shape::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Shape::Pieces(pieces) => {
                let path: Vec<char> = path.chars().collect();
                fits(pieces, &path)
            }
        }
    }
}

/// `a`, `a/b` of `a/b/c`.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Without `.` and empty parts, `..` resolved, and no slash in front.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            // A path above the root is the root; a relative one stays as it is, and matches nothing.
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        pieces.push(match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                // `**/` is `**` with its slash.
                rest.next_if_eq(&'/');
                if rest.peek().is_none() { Piece::Rest } else { Piece::Folders }
            }
            '*' => Piece::Name,
            '?' => Piece::One,
            '[' => class(&mut rest)?,
            '\\' => Piece::Char(rest.next().ok_or("it ends in a backslash")?),
            character => Piece::Char(character),
        });
    }
    Ok(pieces)
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Piece, &'static str> {
    const OPEN: &str = "a [ has no ]";
    const SHAPE: &str = "invalid range in [ ]; write \\ before - and ]";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let one = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next().ok_or(OPEN)? {
            '\\' => rest.next().ok_or(OPEN),
            '-' | ']' => Err(SHAPE),
            character => Ok(character),
        };
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Piece::Class { negated, ranges });
        }
        let low = one(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { one(rest)? } else { low };
        ranges.push((low, high));
    }
}

/// Holds pieces against a path, all ways at once: `at[i]` says whether the pieces so far can end before character `i`. So the
/// time is the product of both lengths, whatever a hostile pattern holds.
fn fits(pieces: &[Piece], path: &[char]) -> bool {
    let mut at = vec![false; path.len() + 1];
    at[0] = true;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        let mut begun = false;
        for i in 0..=path.len() {
            let before = i.checked_sub(1).map(|before| path[before]);
            next[i] = match piece {
                Piece::Rest => begun || at[i],
                Piece::Folders => at[i] || (begun && before == Some('/')),
                Piece::Name => at[i] || before.is_some_and(|c| c != '/' && next[i - 1]),
                Piece::One => before.is_some_and(|c| c != '/' && at[i - 1]),
                Piece::Char(wanted) => before.is_some_and(|c| c == *wanted && at[i - 1]),
                Piece::Class { negated, ranges } => before.is_some_and(|c| {
                    at[i - 1] && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
                }),
            };
            begun |= at[i];
        }
        at = next;
    }
    at[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(patterns: &[&str], path: &str) -> bool {
        Dockerignore::parse(&patterns.join("\n")).unwrap().excludes(path)
    }

    /// The cases of moby's own table: pattern, path, excluded.
    #[test]
    #[rustfmt::skip]
    fn single_patterns_match_as_in_moby() {
        for (pattern, path, want) in [
            ("**", "file", true), ("**/", "file", true), ("**", "dir/file", true), ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true), ("dir/**", "dir/dir2/file", true), ("**/dir", "dir", true), ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true), ("**/dir2/**", "dir/dir2/dir3/file", true), ("**file", "file", true),
            ("**file", "dir/file", true), ("**/file", "dir/file", true), ("**file", "dir/dir/file", true), ("**/file*", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true), ("**/file*txt", "dir/dir/file.txt", true), ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true), ("**/**/*.txt2", "dir/dir/file.txt", false), ("**/*.txt", "file.txt", true),
            ("**/**/*.txt", "file.txt", true), ("a**/*.txt", "a/file.txt", true), ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false), ("a/*.txt", "a/file.txt", true), ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ae", false), ("a[b-d]e", "ace", true), ("a[b-d]e", "aae", false), ("a[^b-d]e", "aze", true),
            (".*", ".foo", true), (".*", "foo", false), ("abc.def", "abcdef", false), ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true), ("abc?def", "abcdef", false), ("**/foo/bar", "foo/bar", true), ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc", false), ("abc/**", "abc/def/ghi", true), ("**/.foo", ".foo", true), ("**/.foo", "bar.foo", false),
            ("a(b)c/def", "a(b)c/def", true), ("a(b)c/def", "a(b)c/xyz", false), ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("a\\\\", "a\\", true), ("a\\*b", "a*b", true), ("a\\*b", "ab", false),
            ("*", "abc", true), ("*c", "abc", true), ("a*", "ab/c", true), ("a*/b", "abc/b", true), ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true), ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false), ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false), ("ab[e-g]", "abc", false), ("ab[^c]", "abc", false), ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true), ("a???b", "a☺b", false), ("[a-ζ]*", "α", true), ("*[a-ζ]", "A", false), ("a?b", "a/b", false),
            ("a*b", "a/b", false), ("[\\]a]", "]", true), ("[x\\-]", "-", true), ("[x\\-]", "z", false), ("*x", "xxx", true),
            // Seen from the root of the context, however it is written.
            ("/docs", "docs/a", true), ("./docs/", "docs/a", true), ("docs/../src", "src/a", true), ("README.md", "docs/README.md", false),
            ("../secret", "secret", false),
        ] {
            assert_eq!(excluded(&[pattern], path), want, "{pattern} against {path}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        for (patterns, path, want) in [
            (&["docs", "!docs/README.md"][..], "docs/README.md", false),
            (&["docs/", "!docs/README.md"], "docs/README.md", false),
            (&["docs/*", "!docs/README.md"], "docs/a.md", true),
            (&["!fileutils.go", "*.go"], "fileutils.go", true),
            (&["*.go", "!fileutils.go"], "fileutils.go", false),
            (&["**", "!util/docker/web"], "util/docker/web/foo", false),
            (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
            (&["**", "!dist/*.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", false),
            (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
            (&["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
            (&["docs", "  !docs/README.md  "], "docs/README.md", false),
            (&[], "any/path", false),
        ] {
            assert_eq!(excluded(patterns, path), want, "{patterns:?} against {path}");
        }
    }

    #[test]
    fn comments_blanks_and_the_byte_order_mark_are_skipped() {
        let ignore = Dockerignore::parse("\u{feff}# comment\n\n  \n\r\nnode_modules\r\n #not-a-comment\n").unwrap();
        assert!(
            ignore.excludes("node_modules/x") && ignore.excludes("#not-a-comment") && !ignore.excludes("# comment")
        );
    }

    #[test]
    fn bad_patterns_are_told_with_their_line() {
        for text in ["ok\n!", "ok\n[", "ok\na[", "ok\n[]a]", "ok\n[x-]", "ok\n[-x]", "ok\n[a-b-c]", "ok\n\\"] {
            let error = Dockerignore::parse(text).unwrap_err();
            assert_eq!(error.line, 2, "{text}");
            assert!(error.to_string().starts_with("line 2: "), "{error}");
        }
    }
}
