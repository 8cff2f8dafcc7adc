//! Code as text: what of it is code at all, and what of that is built for more than tests.

/// Code without its comments, and with nothing between the quotes of its literals. As many lines as before: those of a
/// literal are empty ones behind its end.
pub(super) fn bare(text: &str) -> String {
    read(text).0
}

/// The string literals of a code, read as the compiler reads them.
pub(super) fn literals(text: &str) -> Vec<String> {
    read(text).1
}

/// Bare code of what is built for more than tests.
pub(super) fn product(text: &str) -> String {
    bare(&without_tests(text))
}

/// A source without what is built for tests alone: the item after each `#[cfg(test)]`, which ends where something stands
/// as far to the left again.
pub(super) fn without_tests(text: &str) -> String {
    let bare = bare(text);
    let mut kept = String::new();
    let mut lines = text.lines().zip(bare.lines());
    while let Some((line, code)) = lines.next() {
        if code.trim() == "#[cfg(test)]" {
            _ = lines.find(|(_, next)| next.trim_end().ends_with([';', '}']) && margin(next) <= margin(code));
        } else {
            kept.extend([line, "\n"]);
        }
    }
    kept
}

fn margin(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What a piece of a source is.
enum Piece {
    Code,
    Comment,
    /// A string, with its quotes.
    Text,
    /// One in single quotes.
    Character,
}

/// The bare code and the string literals of a source.
fn read(text: &str) -> (String, Vec<String>) {
    let (mut bare, mut literals) = (String::new(), Vec::new());
    let (mut rest, mut passed) = (text, 0);
    while let Some((piece, length)) = first(rest, bare.ends_with(is_of_a_word)) {
        let (this, behind) = rest.split_at(length);
        match piece {
            Piece::Code if this == "\n" => bare.push_str(&"\n".repeat(1 + std::mem::take(&mut passed))),
            Piece::Code => bare.push_str(this),
            Piece::Comment => {}
            Piece::Character => bare.push_str("''"),
            Piece::Text => {
                bare.push_str("\"\"");
                passed += this.matches('\n').count();
                literals.push(value(this));
            }
        }
        rest = behind;
    }
    (bare, literals)
}

/// The first piece of a source and how long it is: one character of code, or the whole of something else.
fn first(source: &str, in_a_word: bool) -> Option<(Piece, usize)> {
    let char = source.chars().next()?;
    let raw = if in_a_word { None } else { raw(source) };
    Some(match (char, raw) {
        (_, Some(length)) => (Piece::Text, length),
        ('"', _) => (Piece::Text, quoted(source)),
        ('/', _) if source.starts_with("//") => (Piece::Comment, source.find('\n').unwrap_or(source.len())),
        ('\'', _) if is_character(source) => (Piece::Character, quoted(source)),
        _ => (Piece::Code, char.len_utf8()),
    })
}

/// How long what begins with a quote is, up to the next such that no backslash stands before.
fn quoted(source: &str) -> usize {
    let quote = source.chars().next();
    let mut escaped = false;
    let end = source.char_indices().skip(1).find(|(_, char)| {
        let is_end = Some(*char) == quote && !escaped;
        escaped = *char == '\\' && !escaped;
        is_end
    });
    end.map_or(source.len(), |(at, _)| at + 1)
}

/// How long a raw string is, where one begins here.
fn raw(source: &str) -> Option<usize> {
    let hashes = source.strip_prefix('r')?.find(|char| char != '#')?;
    let begin = source[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = begin.find(&end)?;
    Some(1 + hashes + 1 + length + end.len())
}

/// Whether a single quote begins a character, and no lifetime.
fn is_character(source: &str) -> bool {
    let mut chars = source.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// The text of a literal: what a backslash stands before is a word of its own.
fn value(literal: &str) -> String {
    if literal.starts_with('r') {
        return literal.trim_start_matches(['r', '#']).trim_end_matches('#').trim_matches('"').to_owned();
    }
    let inner = literal.trim_start_matches('"');
    let mut text = String::new();
    let mut chars = inner.strip_suffix('"').unwrap_or(inner).chars().peekable();
    while let Some(char) = chars.next() {
        match (char, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|char| char.is_whitespace()).is_some() {},
            ('\\', Some(_)) => text.extend([' '].into_iter().chain(chars.next())),
            (char, _) => text.push(char),
        }
    }
    text
}

fn is_of_a_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[test]
fn literals_are_found_and_read() {
    let code = "// a \"comment b\"\nlet a = \"one {name} \\\n    two\"; let b = ('\"', \"x\", '\\''); \
                fn f<'a>(c: &'a str) { \"three \\\"four\\\"\" } r#\"five \"six\" seven\"# r\"eight // nine\"";
    let found = ["one {name} two", "x", "three  \"four \"", "five \"six\" seven", "eight // nine"];
    assert_eq!(literals(code), found);
    let bare = bare(code);
    assert_eq!(bare, "\nlet a = \"\"; let b = ('', \"\", ''); fn f<'a>(c: &'a str) { \"\" } \"\" \"\"");
}

#[test]
fn what_is_for_tests_alone_is_told_apart() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n    fn c() { \"\n}\n\" }\n}\nfn d() {}\n";
    assert_eq!(without_tests(text), "use a;\nfn b() {}\nfn d() {}\n");
}
