//! Ids of runs, syncs and events: `k7x2m-12`, the prefix of the history that gave it and a number that counts up there.
//!
//! Each history draws its prefix at random, so two agents never give the same id, and an id that is read in a commit, in
//! an annotation or in a log names one run of one agent. In one history the number alone says which is meant: people read
//! and type `12`. See [`TypedId`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a prefix is made of: no vowels, so that it spells no word, and nothing that looks like something else (0, 1, 3, l).
const ALPHABET: [u8; 26] = *b"bcdfghjkmnpqrstvwxz2456789";

/// 26^5 prefixes are 12 million: of a hundred histories two have the same with a chance of 1 in 2,400.
const LENGTH: usize = 5;

/// What sets the ids of one history apart from those of all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; LENGTH]);

impl Prefix {
    /// The prefix that a random number says.
    pub const fn of(random: u64) -> Self {
        let (mut letters, mut rest, mut place) = ([0; LENGTH], random, 0);
        while place < LENGTH {
            letters[place] = ALPHABET[(rest % ALPHABET.len() as u64) as usize];
            rest /= ALPHABET.len() as u64;
            place += 1;
        }
        Self(letters)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| fmt::Write::write_char(f, char::from(*letter)))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let letters = text.as_bytes().try_into().map_err(|_| InvalidId::new(text))?;
        if letters_are_known(&letters) { Ok(Self(letters)) } else { Err(InvalidId::new(text)) }
    }
}

fn letters_are_known(letters: &[u8; LENGTH]) -> bool {
    letters.iter().all(|letter| ALPHABET.contains(letter))
}

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid id {0:?}: use a number such as 12, or a whole id such as k7x2m-12")]
pub struct InvalidId(String);

impl InvalidId {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// An id as people type it: `12`, which one history understands, or `k7x2m-12`, which says of which history it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypedId {
    /// The history, where it was typed.
    pub history: Option<Prefix>,
    /// The number.
    pub number: u64,
}

impl fmt::Display for TypedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.history {
            Some(history) => write!(f, "{history}-{}", self.number),
            None => self.number.fmt(f),
        }
    }
}

impl FromStr for TypedId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new(text);
        let (history, digits) = match text.split_once('-') {
            Some((history, digits)) => (Some(history.parse().map_err(|_| invalid())?), digits),
            None => (None, text),
        };
        // A number is written in one way only, so that an id compares as a text, too.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let number = digits.parse().ok().filter(|_| is_number).ok_or_else(invalid)?;
        Ok(Self { history, number })
    }
}

/// As a text, on the wire and in the history.
macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Prefix);
as_text!(TypedId);

/// The id of one kind of thing.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Ordered by number: in one history that is the order in which they were given.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// Counts up in its history: what people see and type.
            pub number: u64,
            /// The history that gave it.
            pub history: Prefix,
        }

        impl $name {
            /// A number of a history.
            pub const fn new(history: Prefix, number: u64) -> Self {
                Self { number, history }
            }

            /// Whether a person who typed this means this one, in the history that it is in.
            pub fn is_meant_by(self, typed: TypedId) -> bool {
                typed.number == self.number && typed.history.is_none_or(|history| history == self.history)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                TypedId::from(*self).fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let TypedId { history, number } = text.parse()?;
                Ok(Self { number, history: history.ok_or_else(|| InvalidId::new(text))? })
            }
        }

        impl From<$name> for TypedId {
            fn from(id: $name) -> Self {
                Self { history: Some(id.history), number: id.number }
            }
        }

        as_text!($name);
    };
}

id! {
    /// Which run: of one history, over all applications.
    RunId
}

id! {
    /// Which sync: of one history, over all environments.
    SyncId
}

id! {
    /// Which event of one history.
    EventId
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(random: u64, number: u64) {
            let id = RunId::new(Prefix::of(random), number);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(&json, &format!("\"{id}\""));
            prop_assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), id);
            prop_assert_eq!(id.to_string().parse(), Ok(TypedId::from(id)));
            prop_assert_eq!(number.to_string().parse(), Ok(TypedId { history: None, number }));
        }

        /// What is read is written as it was read: no two texts name one run.
        #[test]
        fn an_id_is_written_in_one_way(text in "([a-z0-9]{4,6}-)?[+0-9]{0,21}|\\PC{0,12}") {
            if let Ok(typed) = text.parse::<TypedId>() {
                prop_assert_eq!(typed.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_id_is_refused_with_an_example() {
        for text in [
            "",
            "-",
            "k7x2m",
            "k7x2m-",
            "-12",
            "k7x2m-012",
            "k7x2m-+1",
            "+1",
            "K7X2M-1",
            "k7x2-1",
            "a7x2m-1",
            "k7x2m-1-2",
        ] {
            let told = text.parse::<TypedId>().unwrap_err().to_string();
            assert_eq!(told, format!("invalid id {text:?}: use a number such as 12, or a whole id such as k7x2m-12"));
        }
        assert!("12".parse::<RunId>().is_err(), "a number alone says nothing of its history");
    }

    #[test]
    fn a_number_means_any_history_and_a_whole_id_its_own() {
        let [one, other] = [Prefix::of(1), Prefix::of(2)].map(|history| SyncId::new(history, 12));
        let typed = |text: String| text.parse::<TypedId>().unwrap();
        for (text, means) in
            [("12".to_owned(), [true, true]), (one.to_string(), [true, false]), ("7".to_owned(), [false, false])]
        {
            assert_eq!([one, other].map(|id| id.is_meant_by(typed(text.clone()))), means, "{text}");
        }
        assert!(SyncId::new(other.history, 13) > one && one < other, "by number first");
    }
}
