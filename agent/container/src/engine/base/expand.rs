//! Words of a Dockerfile and the variables in them (pure), by the rules of BuildKit's shell lexer
//! (<https://docs.docker.com/reference/dockerfile/#environment-replacement>).

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Names of images are at most 255 bytes and a tag long; what is longer is none, and a hostile file would let it grow.
const BYTES_MAX: usize = 512;

/// A pattern that is cut off a value; each costs its length times the square of the value's.
const PATTERN_BYTES_MAX: usize = 64;

/// Variables within the words of variables; a recursion needs an end.
const DEPTH_MAX: usize = 16;

type Variables = BTreeMap<String, String>;

/// The words of a line, with their quotes.
pub(super) fn words(line: &str, escape: char) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quote, mut chars) = (None, line.chars());
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is a word from the beginning");
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                words.push(String::new());
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (open, c) if c == escape && open != Some('\'') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A word without its quotes and with the values of its variables; none where it is not one, or too long to be a name.
pub(super) fn word(text: &str, escape: char, variables: &Variables) -> Option<String> {
    Reader { chars: text.chars().peekable(), escape, variables, depth: 0 }.until(None)
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    escape: char,
    variables: &'a Variables,
    depth: usize,
}

impl Reader<'_> {
    /// Up to this character, which is taken; none: to the end.
    fn until(&mut self, end: Option<char>) -> Option<String> {
        let mut out = String::new();
        let mut quoted = false;
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == end && !quoted => return Some(out),
                '"' => quoted = !quoted,
                '\'' if !quoted => loop {
                    match self.chars.next()? {
                        '\'' => break,
                        c => out.push(c),
                    }
                },
                '$' => out.push_str(&self.variable()?),
                c if c == self.escape => match self.chars.next() {
                    Some(next) if quoted && next != '"' && next != '$' && next != self.escape => out.extend([c, next]),
                    next => out.extend(next),
                },
                c => out.push(c),
            }
            if out.len() > BYTES_MAX {
                return None;
            }
        }
        (end.is_none() && !quoted).then_some(out)
    }

    /// What follows a `$`.
    fn variable(&mut self) -> Option<String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Some(match name.as_str() {
                "" => "$".to_owned(),
                name => self.variables.get(name).cloned().unwrap_or_default(),
            });
        }
        let name = self.name();
        if name.is_empty() || self.depth >= DEPTH_MAX {
            return None;
        }
        let value = self.variables.get(&name).cloned();
        self.depth += 1;
        let expanded = self.operated(value);
        self.depth -= 1;
        expanded
    }

    /// What follows the name in braces.
    fn operated(&mut self, value: Option<String>) -> Option<String> {
        let operator = self.chars.next()?;
        match operator {
            '}' => Some(value.unwrap_or_default()),
            ':' | '-' | '+' | '?' => {
                let (operator, value) = match operator {
                    ':' => (self.chars.next()?, value.filter(|value| !value.is_empty())),
                    operator => (operator, value),
                };
                let word = self.until(Some('}'))?;
                match operator {
                    '-' => Some(value.unwrap_or(word)),
                    '+' => Some(value.map_or_else(String::new, |_| word)),
                    '?' => value,
                    _ => None,
                }
            }
            '#' | '%' => {
                let longest = self.chars.next_if_eq(&operator).is_some();
                let pattern = self.until(Some('}'))?;
                Some(trimmed(&value.unwrap_or_default(), &pattern, operator == '#', longest))
            }
            '/' => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let pattern = self.until(Some('/'))?;
                let with = self.until(Some('}'))?;
                Some(replaced(&value.unwrap_or_default(), &pattern, &with, all))
            }
            _ => None,
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }
}

/// The value without the shortest or longest beginning, or end, of this pattern.
fn trimmed(value: &str, pattern: &str, at_begin: bool, longest: bool) -> String {
    let mut cuts: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    if at_begin == longest {
        cuts.reverse();
    }
    let fits = |cut: &usize| matches(pattern, if at_begin { &value[..*cut] } else { &value[*cut..] });
    match cuts.into_iter().find(fits) {
        Some(cut) => if at_begin { &value[cut..] } else { &value[..cut] }.to_owned(),
        None => value.to_owned(),
    }
}

/// The value with the first, or each, longest part of this pattern replaced.
fn replaced(value: &str, pattern: &str, with: &str, all: bool) -> String {
    let mut out = String::new();
    let mut rest = value;
    while !rest.is_empty() {
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        match ends.rev().find(|end| matches(pattern, &rest[..*end])) {
            Some(end) => {
                out.push_str(with);
                rest = &rest[end..];
                if !all {
                    break;
                }
            }
            None => {
                let end = rest.chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    out + rest
}

/// Whether the whole text is of the pattern: `*` and `?` as in a shell.
fn matches(pattern: &str, text: &str) -> bool {
    if pattern.len() > PATTERN_BYTES_MAX {
        return false;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables() -> Variables {
        let of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        [("A", "1"), ("EMPTY", ""), ("REG", "r.example"), ("TAG", "v1.2.3"), ("PATH_", "a/b/c")].map(of).into()
    }

    #[test]
    fn variables_are_expanded_as_buildkit_does() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("$A${A}$NO", Some("11")),
            ("'$A'\"$A\"\\$A", Some("$A1$A")),
            ("${NO:-${A}x}", Some("1x")),
            ("${EMPTY:-x}${EMPTY-y}${NO-z}", Some("xz")),
            ("${REG:+$REG/}x ${EMPTY:+no}${EMPTY+yes}${NO+no}", Some("r.example/x yes")),
            ("${A:?must}", Some("1")),
            ("${NO:?must}", None),
            ("${EMPTY?must}", Some("")),
            ("${TAG#v}", Some("1.2.3")),
            ("${TAG#*.}", Some("2.3")),
            ("${TAG##*.}", Some("3")),
            ("${TAG%.*}", Some("v1.2")),
            ("${TAG%%.*}", Some("v1")),
            ("${TAG%x}", Some("v1.2.3")),
            ("${PATH_/\\//-}", Some("a-b/c")),
            ("${PATH_//\\//-}", Some("a-b-c")),
            ("${PATH_//?/x}", Some("xxxxx")),
            ("$", Some("$")),
            ("${", None),
            ("${}", None),
            ("${A", None),
            ("${A^}", None),
            ("\"open", None),
        ] {
            assert_eq!(word(text, '\\', &variables()).as_deref(), expected, "{text}");
        }
        assert_eq!(word("`$A", '`', &variables()).as_deref(), Some("$A"));
    }

    #[test]
    fn words_are_parted_outside_of_quotes() {
        assert_eq!(words(" A=1  B=\"x y\" C='a \" b' D=e\\ f", '\\'), ["A=1", "B=\"x y\"", "C='a \" b'", "D=e\\ f"]);
        assert_eq!(words("", '\\'), [""; 0]);
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut all = Variables::from([("V0".to_owned(), "x".repeat(64))]);
        for n in 0..8 {
            if let Some(value) = word(&format!("$V{n}$V{n}$V{n}"), '\\', &all) {
                all.insert(format!("V{}", n + 1), value);
            }
        }
        assert!(all.values().all(|value| value.len() <= BYTES_MAX));
        let deep = format!("{}x{}", "${N:-".repeat(100), "}".repeat(100));
        assert_eq!(word(&deep, '\\', &all), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_word_or_none(text in r#"([a-c*?]|\$|\{|\}|:|-|\+|#|%|/|"|'|\\| |é){0,24}"#) {
            words(&text, '\\');
            word(&text, '\\', &variables());
        }
    }
}
