//! The natural order of tags: 1.9 before 1.10, `push-2` before `push-10`, and a pre-release before its release. Pure.
//!
//! It decides where times do not: commits that a script makes, or tags of one push, are often of one second.
//!
//! A tag is read as a row of [`Token`]s, and rows are compared token by token; so the order is total, and the same on
//! every machine. Numbers count as numbers of any length. What is taken for a pre-release: what follows the `-` of a
//! whole semantic version (`1.4.0-7`, semver 2.0 §9), what follows a `~` (as Debian has it), and what begins with one
//! of the [`PRE`] words (`1.4rc1`).

/// Words that begin a pre-release behind a number, as semver, PEP 440, Maven and npm users write them.
const PRE: [&str; 12] =
    ["alpha", "beta", "rc", "cr", "pre", "preview", "dev", "snapshot", "milestone", "nightly", "canary", "next"];

/// A part of a tag. The order of the variants is the order at one place: `1.4.0-rc.1`, `1.4.0`, `1.4.0.1`, `1.4.0+x`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    /// What follows comes before the release that stands before it.
    PreRelease,
    /// Nothing follows.
    End,
    /// A number: how many digits it has without leading zeros, and these.
    Number(usize, String),
    /// Anything else.
    Text(String),
}

/// A key by which tags sort naturally. Tags that read alike (`1.0` and `1.00`) sort by their text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NaturalKey(Vec<Token>, String);

impl NaturalKey {
    /// Reads a tag.
    pub fn new(tag: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = tag;
        while let Some(first) = rest.chars().next() {
            let is_number = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if is_number {
                let digits = part.trim_start_matches('0');
                tokens.push(Token::Number(digits.len(), digits.to_owned()));
            } else {
                if is_pre_release(&tokens, part) {
                    tokens.push(Token::PreRelease);
                }
                tokens.push(Token::Text(part.to_owned()));
            }
            rest = after;
        }
        tokens.push(Token::End);
        Self(tokens, tag.to_owned())
    }
}

/// Whether this text, behind these tokens, begins a pre-release.
fn is_pre_release(before: &[Token], text: &str) -> bool {
    let dot = |token: &Token| matches!(token, Token::Text(text) if text == ".");
    let number = |token: &Token| matches!(token, Token::Number(..));
    if !before.last().is_some_and(number) {
        return false;
    }
    let is_semver = match before {
        [.., major, first, minor, second, _] => number(major) && dot(first) && number(minor) && dot(second),
        _ => false,
    };
    let word = text.trim_start_matches(['-', '.', '_']).to_ascii_lowercase();
    let is_word =
        |pre: &str| word.strip_prefix(pre).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()));
    text.starts_with('~') || is_semver && text.starts_with('-') || PRE.iter().any(|pre| is_word(pre))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_sort_as_people_count() {
        for row in [
            &["push-1.9", "push-1.10", "push-1.100", "push-2"][..],
            &["push-1", "push-2", "push-10", "push-10.1"],
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
            ],
            &["v1.4.0-7", "v1.4.0", "v1.4.0+build.3", "v1.4.1-rc1", "v1.4.1"],
            &["1.4rc1", "1.4rc2", "1.4", "1.4-1", "1.4-hotfix", "1.4.1"],
            &["1.0-SNAPSHOT", "1.0", "1.0-nextcloud"],
            &["2.0~rc1", "2.0"],
            &["build-99999999999999999999998", "build-99999999999999999999999"],
            &["2026-11-09", "2026-11-10", "2026-12-01"],
            &["push", "push-1"],
            &["push-1.0", "push-1.00"],
        ] {
            let mut sorted = row.to_vec();
            sorted.reverse();
            sorted.sort_by_key(|tag| NaturalKey::new(tag));
            assert_eq!(sorted, row);
        }
    }

    proptest! {
        #[test]
        fn a_later_number_is_later(prefix in "[a-z]{0,4}-?", one in any::<u32>(), other in any::<u32>()) {
            let key = |number: u32| NaturalKey::new(&format!("{prefix}{number}"));
            prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
        }

        #[test]
        fn no_two_tags_are_one(one in "[a-z0-9.~+-]{0,8}", other in "[a-z0-9.~+-]{0,8}") {
            prop_assert_eq!(NaturalKey::new(&one) == NaturalKey::new(&other), one == other);
        }
    }
}
