//! `${…}` as `drone/envsubst` and Flux's fork of it read it, which is a part of what bash does.
//!
//! | expression | becomes |
//! | --- | --- |
//! | `${v}` | the value |
//! | `${v:-d}`, `${v:=d}`, `${v=d}` | the value, or `d` where it is not set or empty |
//! | `${v:p}`, `${v:p:n}` | the value from byte `p` on, `n` bytes of it; a negative `n` counts from its end |
//! | `${v/a/b}`, `${v//a/b}`, `${v/#a/b}`, `${v/%a/b}` | `b` for the first, each, a leading, a trailing `a` |
//! | `${v#g}`, `${v##g}`, `${v%g}`, `${v%%g}` | without the shortest or longest begin or end that the glob `g` matches |
//! | `${v^}`, `${v^^}`, `${v,}`, `${v,,}` | its first letter, or all, in upper or lower case |
//! | `${#v}` | its length in bytes |
//! | `$$` | `$`; a `$` before anything else stays |
//!
//! Arguments may hold expressions. `\/` and `\\` stand for themselves in `${v/…}`.

use regex::Regex;

/// Expressions in one another; people write two.
const DEPTH_MAX: usize = 10;

/// Bytes of a text that comes out: an API server takes objects of 1.5 MiB.
const BYTES_MAX: usize = 2 << 20;

/// Why a text has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// A variable is not set, and the expression has no default.
    #[error("the variable {0} is not set")]
    Unset(String),
    /// It is not understood.
    #[error("the expression {expression} is not understood: {why}")]
    Form {
        /// Its begin.
        expression: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It would be too much.
    #[error("its variables make it longer than {BYTES_MAX} bytes")]
    TooLong,
}

/// A text with the values of its variables.
///
/// # Errors
/// See [`ExpressionError`].
pub(super) fn expand<'v>(text: &str, value: &dyn Fn(&str) -> Option<&'v str>) -> Result<String, ExpressionError> {
    let mut reader = Reader { rest: text, value };
    let mut out = String::new();
    while let Some(at) = reader.rest.find('$') {
        out.push_str(&reader.rest[..at]);
        reader.rest = &reader.rest[at..];
        if reader.takes("$$") {
            out.push('$');
        } else if reader.rest.starts_with("${") {
            out.push_str(&reader.expression(0)?);
        } else {
            reader.takes("$");
            out.push('$');
        }
        if out.len() > BYTES_MAX {
            return Err(ExpressionError::TooLong);
        }
    }
    Ok(out + reader.rest)
}

/// What is still to be read.
struct Reader<'t, 'f, 'v> {
    rest: &'t str,
    value: &'f dyn Fn(&str) -> Option<&'v str>,
}

impl Reader<'_, '_, '_> {
    fn takes(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn takes_one_of<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().find(|word| self.takes(word)).copied()
    }

    /// An expression with its braces.
    fn expression(&mut self, depth: usize) -> Result<String, ExpressionError> {
        let whole = self.rest;
        let wrong = |why| ExpressionError::Form { expression: whole.chars().take(60).collect(), why };
        if depth > DEPTH_MAX {
            return Err(wrong("too many expressions in one another"));
        }
        self.takes("${");
        if self.takes("#") {
            let name = self.name().ok_or_else(|| wrong("`#` stands before a name"))?;
            self.ends().ok_or_else(|| wrong("a `}` is missing"))?;
            return Ok(self.required(&name)?.len().to_string());
        }
        let name = self.name().ok_or_else(|| wrong("a name has letters, digits and `_`"))?;
        if self.takes("}") {
            return self.required(&name);
        }
        if self.takes_one_of(&[":+", ":?"]).is_some() {
            return Err(wrong("`:+` and `:?` are not supported"));
        }
        if self.takes_one_of(&[":-", ":=", "="]).is_some() {
            let default = self.argument("", depth).ok_or_else(|| wrong("a `}` is missing"))??;
            self.takes("}");
            let value = (self.value)(&name).filter(|value| !value.is_empty());
            return Ok(value.map_or(default, str::to_owned));
        }
        let operators = [":", ",,", ",", "^^", "^", "//", "/#", "/%", "/", "##", "#", "%%", "%"];
        let operator = self.takes_one_of(&operators).ok_or_else(|| wrong("a `}` is missing"))?;
        let mut arguments = Vec::new();
        let mut argument = |reader: &mut Self, end: &str| match reader.argument(end, depth) {
            Some(argument) => argument.map(|argument| arguments.push(argument)),
            None => Err(wrong("a `}` is missing")),
        };
        match operator {
            "," | ",," | "^" | "^^" => {}
            ":" => {
                argument(self, ":")?;
                if self.takes(":") {
                    argument(self, "")?;
                }
            }
            "/" | "//" | "/#" | "/%" => {
                argument(self, "/")?;
                if !self.takes("/") {
                    return Err(wrong("a `/` is missing between what is replaced and what comes instead"));
                }
                argument(self, "/}")?;
            }
            _ => argument(self, "")?,
        }
        self.ends().ok_or_else(|| wrong("a `}` is missing"))?;
        if arguments.first().is_some_and(String::is_empty) {
            return Err(wrong("it says nothing of what to change"));
        }
        Ok(changed(&self.required(&name)?, operator, &arguments))
    }

    fn name(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn ends(&mut self) -> Option<()> {
        self.takes("}").then_some(())
    }

    fn required(&self, name: &str) -> Result<String, ExpressionError> {
        (self.value)(name).map(str::to_owned).ok_or_else(|| ExpressionError::Unset(name.to_owned()))
    }

    /// A word up to the end of the expression, or up to another sign before it: `:` or `/`. In what is replaced (`/` alone, up
    /// to which a `}` is a letter) and in what comes instead (`/}`, where a `/` is one) signs may be escaped. Nothing where the
    /// text ends before.
    fn argument(&mut self, end: &str, depth: usize) -> Option<Result<String, ExpressionError>> {
        let (ends, escapes) = match end {
            "" => ("}", false),
            ":" => (":}", false),
            "/" => ("/", true),
            _ => ("}", true),
        };
        let mut word = String::new();
        loop {
            if self.rest.starts_with("${") {
                match self.expression(depth + 1) {
                    Ok(inner) => word.push_str(&inner),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            }
            let escaped = if escapes { self.takes_one_of(&["\\/", "\\\\", "$$"]) } else { None };
            if let Some(escaped) = escaped {
                word.push_str(&escaped[1..]);
                continue;
            }
            let next = self.rest.chars().next()?;
            if ends.contains(next) {
                return Some(Ok(word));
            }
            word.push(next);
            self.rest = &self.rest[next.len_utf8()..];
        }
    }
}

fn changed(value: &str, operator: &str, arguments: &[String]) -> String {
    let argument = |place: usize| arguments.get(place).map_or("", String::as_str);
    let (first, second) = (argument(0), argument(1));
    let head = |change: fn(char) -> String| {
        let mut letters = value.chars();
        letters.next().map_or(String::new(), |first| change(first) + letters.as_str())
    };
    match operator {
        ",," => value.to_lowercase(),
        "^^" => value.to_uppercase(),
        "," => head(|c| c.to_lowercase().collect()),
        "^" => head(|c| c.to_uppercase().collect()),
        ":" => part(value, first, arguments.get(1).map(String::as_str)),
        "/" => value.replacen(first, second, 1),
        "//" => value.replace(first, second),
        "/#" => value.strip_prefix(first).map_or_else(|| value.to_owned(), |rest| format!("{second}{rest}")),
        "/%" => value.strip_suffix(first).map_or_else(|| value.to_owned(), |rest| format!("{rest}{second}")),
        "#" | "##" => {
            let begins = cuts(value).filter(|at| *at > 0);
            let at = matching(first, begins.map(|at| (at, &value[..at])), operator == "##");
            value[at.unwrap_or(0)..].to_owned()
        }
        _ => {
            let ends = cuts(value).rev().filter(|at| *at < value.len());
            let at = matching(first, ends.map(|at| (at, &value[at..])), operator == "%%");
            value[..at.unwrap_or(value.len())].to_owned()
        }
    }
}

/// Where a text may be cut, from its begin to its end.
fn cuts(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    (0..=text.len()).filter(|at| text.is_char_boundary(*at))
}

/// The place of the first part that a glob matches, or of the last; they come from the shortest to the longest.
fn matching<'p>(glob: &str, parts: impl Iterator<Item = (usize, &'p str)>, longest: bool) -> Option<usize> {
    let glob = regex_of(glob)?;
    let mut found = parts.filter(|(_, part)| glob.is_match(part)).map(|(at, _)| at);
    if longest { found.last() } else { found.next() }
}

/// A glob of the shell as an expression; nothing where it is not one.
fn regex_of(glob: &str) -> Option<Regex> {
    let mut regex = String::from("(?s)^");
    let mut signs = glob.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.push_str(&regex::escape(&signs.next()?.to_string())),
            '[' => {
                let class: String = signs.by_ref().take_while(|sign| *sign != ']').collect();
                let (not, class) = class.strip_prefix('^').map_or(("", &*class), |class| ("^", class));
                regex.push_str(&format!("[{not}{}]", class.replace('\\', "\\\\").replace('[', "\\[")));
            }
            sign => regex.push_str(&regex::escape(&sign.to_string())),
        }
    }
    Regex::new(&(regex + "$")).ok()
}

/// A part by bytes; what is no number leaves the value as it is, as in bash.
fn part(value: &str, from: &str, length: Option<&str>) -> String {
    let number = |text: &str| text.parse::<i64>().ok();
    let size = value.len() as i64;
    let Some(from) = number(from) else { return value.to_owned() };
    let from = if from < 0 { size.saturating_add(from).max(0) } else { from.min(size) };
    let end = match length.map(number) {
        None => size,
        Some(None) => return value.to_owned(),
        Some(Some(length)) if length < 0 => size.saturating_add(length),
        Some(Some(length)) => from.saturating_add(length).min(size),
    };
    let at = |place: i64| (0..=place.max(0) as usize).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    if end <= from { String::new() } else { value[at(from)..at(end)].to_owned() }
}
