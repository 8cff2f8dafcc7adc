//! What is done with a value before it is filled in: `{path.basename|dns}`, `{branch|replace:/:-|lower}`. Few, and each is one that
//! templates of others have too.

use std::fmt;

/// Bytes of a name in DNS (RFC 1123).
const DNS_NAME_MAX: usize = 253;

/// A function of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// `lower`: small letters.
    Lower,
    /// `upper`: capitals.
    Upper,
    /// `dns`: small letters, digits, `-` and `.`; what is anything else is a hyphen, and none is at an end.
    Dns,
    /// `first:8`: this many characters of the beginning.
    First(usize),
    /// `replace:_:-`: each of the one becomes the other.
    Replace(String, String),
}

impl Function {
    /// Reads what stands behind `|`; nothing where that is no function.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let function = match (parts.next()?, parts.next(), parts.next()) {
            ("lower", None, None) => Self::Lower,
            ("upper", None, None) => Self::Upper,
            ("dns", None, None) => Self::Dns,
            ("first", Some(count), None) => Self::First(count.parse().ok()?),
            ("replace", Some(from), Some(to)) if !from.is_empty() => Self::Replace(from.to_owned(), to.to_owned()),
            _ => return None,
        };
        parts.next().is_none().then_some(function)
    }

    /// Whether it can be written as a function of a placeholder.
    pub fn can_be_written(&self) -> bool {
        Self::parse(&self.to_string()).as_ref() == Some(self) && !self.to_string().contains(['{', '}', '|', '"', '\\'])
    }

    /// What it makes of a text.
    pub fn apply(&self, text: &str) -> String {
        match self {
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Dns => dns(text),
            Self::First(count) => text.chars().take(*count).collect(),
            Self::Replace(from, to) => text.replace(from.as_str(), to),
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lower => out.write_str("lower"),
            Self::Upper => out.write_str("upper"),
            Self::Dns => out.write_str("dns"),
            Self::First(count) => write!(out, "first:{count}"),
            Self::Replace(from, to) => write!(out, "replace:{from}:{to}"),
        }
    }
}

/// A text as a name in DNS.
pub fn dns(text: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' };
    let name: String = text.to_lowercase().chars().map(word).take(DNS_NAME_MAX).collect();
    name.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_and_does_what_it_says() {
        for (written, text, wanted) in [
            ("lower", "My_App", Some("my_app")),
            ("upper", "My_App", Some("MY_APP")),
            ("dns", "_My_App.x/y.", Some("my-app.x-y")),
            ("dns", "---", Some("")),
            ("first:8", "0123456789", Some("01234567")),
            ("first:8", "0123", Some("0123")),
            ("replace:_:-", "a_b_c", Some("a-b-c")),
            ("replace:-v:", "a-v1", Some("a1")),
            ("replace::x", "a", None),
            ("replace:a", "a", None),
            ("replace:a:b:c", "a", None),
            ("first:x", "a", None),
            ("lower:2", "a", None),
            ("trim", "a", None),
            ("", "a", None),
        ] {
            let function = Function::parse(written);
            assert_eq!(function.as_ref().map(|function| function.apply(text)).as_deref(), wanted, "{written}");
            if let Some(function) = function {
                assert_eq!((function.to_string().as_str(), function.can_be_written()), (written, true));
            }
        }
        assert!(!Function::Replace(":".to_owned(), "-".to_owned()).can_be_written());
        assert!(!Function::Replace("}".to_owned(), "-".to_owned()).can_be_written());
    }
}
