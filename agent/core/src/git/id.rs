//! The names git gives to objects: a hash in lower-case hex, 40 digits (SHA-1) or 64 (SHA-256).
//!
//! Three types for one text, so that a tree cannot be handed over where a commit is meant.

use std::fmt;

pub use quarterdeck_shared::revision::CommitId;
use serde::{Deserialize, Serialize};

/// A text that is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a git object id: expected 40 or 64 hexadecimal digits")]
pub struct BadId(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// All hexadecimal digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first `digits` hexadecimal digits.
            pub fn short(&self, digits: usize) -> &str {
                &self.0[..digits.min(self.0.len())]
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if hex && matches!(text.len(), 40 | 64) {
                    Ok(Self(text))
                } else {
                    Err(BadId(text.chars().take(80).flat_map(char::escape_default).collect()))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                text.to_ascii_lowercase().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Any object: a blob, a tree, a commit or a tag object.
    ObjectId
}
impl ObjectId {
    /// The id of no object, as git writes it.
    pub fn null() -> Self {
        Self("0".repeat(40))
    }
}

id! {
    /// A tree: equal ids mean equal files, whatever commit they come from.
    TreeId
}

impl From<CommitId> for ObjectId {
    fn from(id: CommitId) -> Self {
        ObjectId(id.into())
    }
}

impl From<TreeId> for ObjectId {
    fn from(id: TreeId) -> Self {
        ObjectId(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hex_of_one_of_two_lengths() {
        for (text, good) in [
            ("1f3c2a9000000000000000000000000000000000", true),
            ("1F3C2A9000000000000000000000000000000000", true),
            ("1f3c2a9", false),
            ("", false),
            ("zz3c2a9000000000000000000000000000000000", false),
            ("1f3c2a90000000000000000000000000000000000000000000000000000000ff", true),
        ] {
            assert_eq!(text.parse::<CommitId>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_bad_id_is_told_without_its_control_characters() {
        let error = "\x1b[31m".parse::<ObjectId>().unwrap_err();
        assert_eq!(error.to_string(), "`\\u{1b}[31m` is not a git object id: expected 40 or 64 hexadecimal digits");
    }
}
