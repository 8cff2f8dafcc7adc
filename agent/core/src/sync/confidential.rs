//! What an environment has decrypted, so that it is hidden also where it is in no Secret: a value in a ConfigMap, an argument
//! of a container.
//!
//! A renderer may put a value anywhere, so it is known by itself and not by its place. A word that is shorter than six bytes
//! is hidden where it is a whole value; shorter than three it is hidden nowhere, since `on` or `80` is no secret and would
//! hide half of every diff.

use std::collections::BTreeSet;
use std::fmt;

use crate::secrets::SecretScrubber;

/// Values that are remembered; the newest. The applications of a large team have some hundred.
const VALUES_MAX: usize = 4_096;

/// A shorter value is no secret.
const VALUE_MIN: usize = 3;

/// A line of a value of several is known by itself where it is as long as this: keys and tokens are, and a line of
/// a configuration such as `server:` is not.
const LINE_MIN: usize = 16;

/// The values.
#[derive(Default)]
pub struct Confidential {
    values: BTreeSet<String>,
    /// Those that only Secrets have.
    quoted: BTreeSet<String>,
    within: SecretScrubber,
    /// Those above, and those that only Secrets have: what others say may quote any.
    in_messages: SecretScrubber,
}

impl PartialEq for Confidential {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

/// It is told by its size alone.
impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.values.len())
    }
}

impl Confidential {
    /// Remembers a value.
    pub fn keep(&mut self, value: &str) {
        let value = value.trim_end_matches(['\r', '\n']);
        if value.len() < VALUE_MIN || self.values.len() >= VALUES_MAX || !self.values.insert(value.to_owned()) {
            return;
        }
        lines(value).for_each(|line| self.within.keep(line));
        lines(value).for_each(|line| self.in_messages.keep(line));
    }

    /// Remembers a value that objects have where it is shown anyway to nobody, in the data of a Secret.
    pub fn keep_in_messages(&mut self, value: &str) {
        if self.quoted.len() < VALUES_MAX && !self.values.contains(value) {
            self.quoted.insert(value.to_owned());
        }
        lines(value).for_each(|line| self.in_messages.keep(line));
    }

    /// The same values, for another render.
    pub fn again(&self) -> Self {
        let mut again = Self::default();
        // A set that is full begins anew, and has what is current.
        if self.values.len() < VALUES_MAX {
            self.values.iter().for_each(|value| again.keep(value));
        }
        again
    }

    /// The values, and those that only messages are kept free of: for who seals them, and for nobody else.
    pub(crate) fn all(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        (self.values.iter().map(String::as_str), self.quoted.iter().map(String::as_str))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a text is one of them, or holds one.
    pub fn is_in(&self, text: &str) -> bool {
        self.values.contains(text.trim_end_matches(['\r', '\n'])) || self.within.scrub(text) != text
    }

    /// A text for people without them.
    pub fn scrub(&self, text: &str) -> String {
        if text.is_empty() { String::new() } else { self.in_messages.scrub(text).into_owned() }
    }
}

/// What of a value is looked for in other texts: all of it, or its long lines.
fn lines(value: &str) -> impl Iterator<Item = &str> {
    let is_one = !value.trim_end().contains('\n');
    value.lines().filter(move |line| is_one || line.trim().len() >= LINE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_itself_and_within_others() {
        let mut kept = Confidential::default();
        ["hunter22", "5432", "80", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkig\nshort: yes\n-----END KEY-----\n"]
            .iter()
            .for_each(|value| kept.keep(value));
        for (text, is_in) in [
            ("hunter22", true),
            ("postgres://shop@db/hunter22?x", true),
            ("aHVudGVyMjI=", true),
            ("5432", true),
            ("15432", false),
            ("80", false),
            ("key: MIIEvQIBADANBgkqhkig", true),
            ("short: yes", false),
            ("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkig\nshort: yes\n-----END KEY-----", true),
            ("", false),
        ] {
            assert_eq!(kept.is_in(text), is_in, "{text}");
            assert_eq!(kept.again().is_in(text), is_in, "{text}");
        }
        assert_eq!(kept.scrub("no route to hunter22:5432"), "no route to ***:5432");
        assert_eq!(format!("{kept:?}"), "3 values");
        kept.keep_in_messages("postgres");
        assert!(!kept.is_in("docker.io/postgres:16"), "it is the name of an image as well");
        assert_eq!(kept.scrub("no user postgres"), "no user ***");
    }

    #[test]
    fn the_set_is_bounded() {
        let mut kept = Confidential::default();
        (0..=VALUES_MAX).for_each(|number| kept.keep(&format!("value-{number:05}")));
        assert!(kept.is_in("value-00000") && !kept.is_in("value-04096"));
        assert!(kept.again().is_empty(), "what is full begins anew");
    }
}
