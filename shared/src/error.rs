//! How an error is told: its text and those of its causes, in one line.

use std::error::Error;

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
