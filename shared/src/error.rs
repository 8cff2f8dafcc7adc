//! A failure for people: its text with those of its causes in one line, and apart from it what to do next.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// An error that may know what to do next.
///
/// The text of an error says what failed; what a person can do is said here, in lower case and without a period, so that
/// each place sets the two apart. Where there is nothing to say but what its cause says, an error gives the hint of its
/// cause.
pub trait Hint: Error {
    /// What to do next; empty where the text says all that is known.
    fn hint(&self) -> Cow<'_, str>;
}

/// What failed, with its causes, and what to do next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// In one line.
    pub message: String,
    /// In one line; may be empty.
    pub hint: String,
}

impl Failure {
    /// Of an error: its chain and its hint.
    pub fn of(error: &impl Hint) -> Self {
        Self { message: chain(error), hint: error.hint().into_owned() }
    }

    /// What failed, where nothing is known that helps.
    pub fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: String::new() }
    }

    /// The same with a hint where it has none.
    #[must_use]
    pub fn or_hint(mut self, hint: &str) -> Self {
        if self.hint.is_empty() {
            hint.clone_into(&mut self.hint);
        }
        self
    }
}

impl<T: Into<String>> From<T> for Failure {
    fn from(message: T) -> Self {
        Self::text(message)
    }
}

/// The message, and below it the hint.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n{}", hint_line(&self.hint)) }
    }
}

/// A hint as a line below what it is about, the same in both programs.
pub fn hint_line(hint: &str) -> String {
    format!("hint: {hint}")
}

/// The lines that a program prints on standard error when it fails: `PROGRAM: MESSAGE`, and one for each hint.
///
/// They carry no colour, so that a terminal, a log and a pipe get the same.
pub fn lines<H: AsRef<str>>(program: &str, message: &str, hints: &[H]) -> Vec<String> {
    let hints = hints.iter().map(H::as_ref).filter(|hint| !hint.is_empty()).map(hint_line);
    std::iter::once(format!("{program}: {message}")).chain(hints).collect()
}

/// An error with all its causes: `cannot read x: permission denied`. A cause that the text says already is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    impl Hint for Layer {
        fn hint(&self) -> Cow<'_, str> {
            self.1.as_ref().map_or("".into(), |_| "try it again".into())
        }
    }

    #[test]
    fn a_failure_is_printed_with_its_hint_below() {
        let inner = || Layer("permission denied", None);
        assert_eq!(Failure::of(&inner()).to_string(), "permission denied");
        let outer = Failure::of(&Layer("cannot read x", Some(Box::new(inner()))));
        assert_eq!(outer.to_string(), "cannot read x: permission denied\nhint: try it again");
        assert_eq!(outer.or_hint("another").hint, "try it again");
        assert_eq!(Failure::text("gone").or_hint("another").to_string(), "gone\nhint: another");
    }

    #[test]
    fn a_program_prints_each_hint_on_a_line() {
        assert_eq!(lines("qd", "gone", &["wait", "", "look"]), ["qd: gone", "hint: wait", "hint: look"]);
        assert_eq!(lines("qd", "gone", &[""]), ["qd: gone"]);
    }

    #[test]
    fn causes_follow_and_are_not_repeated() {
        let layers = |texts: &[&'static str]| {
            texts.iter().rev().fold(None, |inner, text| Some(Box::new(Layer(text, inner)))).expect("at least one")
        };
        for (texts, told) in [
            (&["cannot read x"][..], "cannot read x"),
            (&["cannot read x", "permission denied"], "cannot read x: permission denied"),
            (&["cannot read x: permission denied", "permission denied", "os"], "cannot read x: permission denied: os"),
        ] {
            assert_eq!(chain(&layers(texts)), told);
        }
    }
}
