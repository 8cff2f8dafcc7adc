//! What an expression of a template asks for: a parameter, and what is done with it. `{{name}}`, and of Go's `{{ .name }}`,
//! `{{ index .path.segments 1 }}`, `{{ .path.basename | lower }}`. Anything else is not guessed.

use serde_json::{Map, Value};

use crate::generate::functions::Function;

/// A parameter, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    /// Where it is, from the top: one key in a plain template, whatever is in it.
    pub(super) keys: Vec<String>,
    /// In their order.
    pub(super) functions: Vec<Function>,
}

impl Expression {
    /// Reads one.
    pub(super) fn read(text: &str, is_go: bool) -> Option<Self> {
        if !is_go {
            return (!text.is_empty()).then(|| Self { keys: vec![text.to_owned()], functions: Vec::new() });
        }
        let mut parts = pieces(text)?.into_iter();
        let first = parts.next()?;
        let words: Vec<&str> = first.iter().map(|word| word.text.as_str()).collect();
        let (keys, mut functions) = match words[..] {
            [path] if !first[0].is_quoted => (keys(path)?, Vec::new()),
            ["index", path, ref places @ ..] if !places.is_empty() => {
                let mut keys = keys(path)?;
                keys.extend(places.iter().map(|place| (*place).to_owned()));
                (keys, Vec::new())
            }
            [.., path] if !first[first.len() - 1].is_quoted => {
                (keys(path)?, vec![function(&first[..first.len() - 1])?])
            }
            _ => return None,
        };
        functions.extend(parts.map(|words| function(&words)).collect::<Option<Vec<Function>>>()?);
        Some(Self { keys, functions })
    }

    /// Its keys as one: `metadata.labels.env`.
    pub(super) fn key(&self) -> String {
        self.keys.join(".")
    }

    /// What it is of these parameters.
    pub(super) fn evaluate(&self, parameters: &Map<String, Value>) -> Option<String> {
        let value = match &self.keys[..] {
            // `values.a` of a list is an element's map.
            [one] => parameters.get(one).or_else(|| within(parameters, &one.split('.').collect::<Vec<_>>())),
            // A key of a list may have dots.
            keys => within(parameters, &keys.iter().map(String::as_str).collect::<Vec<_>>())
                .or_else(|| parameters.get(&self.key())),
        };
        let text = shown(value?)?;
        Some(self.functions.iter().fold(text, |text, function| function.apply(&text)))
    }
}

/// A word, or a text in quotes.
struct Word {
    text: String,
    is_quoted: bool,
}

/// The words between `|`; nothing where a quote is not closed.
fn pieces(text: &str) -> Option<Vec<Vec<Word>>> {
    let mut pieces = vec![Vec::new()];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let word = if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"')?;
            rest = after;
            // Escapes are Go's: they are not read.
            (!inside.contains('\\')).then(|| Word { text: inside.to_owned(), is_quoted: true })?
        } else if let Some(after) = rest.strip_prefix('|') {
            rest = after.trim_start();
            pieces.push(Vec::new());
            continue;
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            Word { text: word.to_owned(), is_quoted: false }
        };
        pieces.last_mut()?.push(word);
        rest = rest.trim_start();
    }
    Some(pieces)
}

fn keys(path: &str) -> Option<Vec<String>> {
    let keys: Vec<String> = path.strip_prefix('.')?.split('.').map(str::to_owned).collect();
    keys.iter().all(|key| !key.is_empty() && !key.contains(['(', ')', '$'])).then_some(keys)
}

fn function(words: &[Word]) -> Option<Function> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    Some(match texts[..] {
        ["lower"] => Function::Lower,
        ["upper"] => Function::Upper,
        ["normalize"] => Function::Dns,
        ["trunc", count] => Function::First(count.parse().ok()?),
        ["replace", from, to] if words[1].is_quoted && words[2].is_quoted && !from.is_empty() => {
            Function::Replace(from.to_owned(), to.to_owned())
        }
        _ => return None,
    })
}

fn within<'a>(parameters: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    let below = |value: &'a Value, key: &&str| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        value => value.get(*key),
    };
    rest.iter().try_fold(parameters.get(*first)?, below)
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_parameter_with_functions_or_it_is_not_read() {
        for (text, is_go, wanted) in [
            ("name", false, Some("name")),
            ("path[1]", false, Some("path[1]")),
            (".name", true, Some("name")),
            (".path.basename", true, Some("path.basename")),
            ("index .path.segments 1", true, Some("path.segments.1")),
            ("index .metadata.labels \"a.b/c\"", true, Some("metadata.labels.a.b/c")),
            (".name|lower | replace \"_\" \"-\"", true, Some("name lower replace:_:-")),
            ("normalize .name", true, Some("name dns")),
            ("trunc 7 .head_sha", true, Some("head_sha first:7")),
            (".head_sha | trunc -7", true, None),
            (".name | default \"x\"", true, None),
            ("if .name", true, None),
            ("if eq .name \"x\"", true, None),
            ("end", true, None),
            ("\"text\"", true, None),
            ("printf \"%s\" .name", true, None),
            ("(.name)", true, None),
            ("$.name", true, None),
            (".name | replace \"_", true, None),
            ("", true, None),
        ] {
            let read = Expression::read(text, is_go).map(|one| {
                let functions: String = one.functions.iter().map(|function| format!(" {function}")).collect();
                one.key() + &functions
            });
            assert_eq!(read.as_deref(), wanted, "{text}");
        }
    }
}
