//! Names of repositories of one's own. Pure.
//!
//! A name becomes a folder below the data directory and comes from whoever holds a key, so it consists of few characters: nothing
//! in it climbs, hides, is read as an option, or lies inside of another repository.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gix_glob::wildmatch;
use quarterdeck_shared::error::Hint;

/// The longest name: with the longest data directory in practice it stays far below the 4,096 bytes of a path.
const NAME_MAX: usize = 200;

/// The longest part of a name: with `.git` behind it, it fits every file system's 143 to 255 bytes.
const PART_MAX: usize = 100;

/// What a folder of a repository ends with, and a name does not.
const ENDING: &str = ".git";

/// The time of a match grows with the length of the name to the power of the stars.
const STARS_MAX: usize = 4;

/// Characters of a wrong name that a message shows: enough to know it by.
const SHOWN_MAX: usize = 80;

/// The name of a repository: `shop`, `team/shop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryName(String);

/// Why a text is not the name of a repository, or no pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("the name of the repository is empty")]
    Empty,
    /// It is longer than any name.
    #[error(
        "the name of a repository has more than {NAME_MAX} characters, or more than {PART_MAX} between two slashes"
    )]
    Long,
    /// It is not a name.
    #[error("invalid name of a repository `{shown}`: {why}")]
    Invalid {
        /// Its beginning, without control characters.
        shown: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Hint for NameError {
    fn hint(&self) -> Cow<'_, str> {
        "names consist of a-z, 0-9, `.`, `_` and `-`, with `/` between folders: shop, team/shop".into()
    }
}

impl RepositoryName {
    /// Where it is below the folder of repositories: `team/shop.git`.
    pub fn folder(&self) -> PathBuf {
        format!("{}{ENDING}", self.0).into()
    }

    /// The name whose repository is in this folder below the folder of repositories; nothing where that is no such folder.
    pub fn of_folder(folder: &str) -> Option<Self> {
        folder.parse().ok().filter(|name: &Self| name.folder() == Path::new(folder))
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    /// Reads a name as people and git write it: with or without `.git`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        checked(text, is_of_a_name).map(Self)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A name, or a pattern of names: `*` is any text, slashes too. `team/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether it means this repository.
    pub fn matches(&self, name: &RepositoryName) -> bool {
        gix_glob::wildmatch(self.0.as_str().into(), name.0.as_str().into(), wildmatch::Mode::empty())
    }
}

impl FromStr for NamePattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let pattern = checked(text, |c| is_of_a_name(c) || c == '*')?;
        if pattern.matches('*').count() > STARS_MAX {
            return Err(invalid(text, format!("it has more than {STARS_MAX} stars")));
        }
        Ok(Self(pattern))
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)
}

/// A name without its ending, where each of its parts may be one.
fn checked(text: &str, is_allowed: impl Fn(char) -> bool) -> Result<String, NameError> {
    let name = text.strip_suffix(ENDING).unwrap_or(text);
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_MAX || name.split('/').any(|part| part.len() > PART_MAX) {
        return Err(NameError::Long);
    }
    for part in name.split('/') {
        let stranger = part.chars().find(|c| !is_allowed(*c));
        let why = match part {
            "" => "a part of it is empty".to_owned(),
            _ if stranger.is_some() => format!("it contains {:?}", stranger.unwrap_or_default()),
            _ if part.contains("..") => "it contains `..`".to_owned(),
            _ if part.starts_with(['.', '-']) => "a part of it begins with `.` or `-`".to_owned(),
            _ if part.ends_with(ENDING) => format!("a part of it ends with `{ENDING}`"),
            _ => continue,
        };
        return Err(invalid(text, why));
    }
    Ok(name.to_owned())
}

fn invalid(text: &str, why: String) -> NameError {
    NameError::Invalid { shown: shown(text), why }
}

/// The beginning of a text from elsewhere, fit for a message.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_written_with_or_without_its_ending() {
        for (text, folder) in [
            ("shop", "shop.git"),
            ("shop.git", "shop.git"),
            ("team/shop", "team/shop.git"),
            ("a.b_c-1", "a.b_c-1.git"),
            ("2", "2.git"),
        ] {
            let name: RepositoryName = text.parse().unwrap();
            assert_eq!(name.folder(), PathBuf::from(folder), "{text}");
            assert_eq!(RepositoryName::of_folder(folder), Some(name), "{text}");
        }
        for folder in ["shop", "shop.git.git", ".git", "Shop.git", ".new-1.git"] {
            assert_eq!(RepositoryName::of_folder(folder), None, "{folder}");
        }
    }

    #[test]
    fn nothing_in_a_name_climbs_hides_or_lies_inside_of_another() {
        for (text, why) in [
            ("/etc/passwd", "a part of it is empty"),
            ("team//shop", "a part of it is empty"),
            ("team/", "a part of it is empty"),
            ("../shop", "it contains `..`"),
            ("team/../../shop", "it contains `..`"),
            ("a..b", "it contains `..`"),
            (".", "a part of it begins with `.` or `-`"),
            (".ssh/authorized_keys", "a part of it begins with `.` or `-`"),
            ("team/.git", "a part of it is empty"),
            ("-u", "a part of it begins with `.` or `-`"),
            ("--upload-pack=touch", "it contains '='"),
            ("shop.git/hooks", "a part of it ends with `.git`"),
            ("shop.git.git", "a part of it ends with `.git`"),
            ("Shop", "it contains 'S'"),
            ("shop\nrm", "it contains '\\n'"),
            ("sh op", "it contains ' '"),
            ("shöp", "it contains 'ö'"),
            ("~root/shop", "it contains '~'"),
            ("a\\b", "it contains '\\\\'"),
            ("*", "it contains '*'"),
        ] {
            let NameError::Invalid { why: said, .. } = text.parse::<RepositoryName>().unwrap_err() else {
                panic!("{text}")
            };
            assert_eq!(said, why, "{text}");
        }
        for text in ["", ".git"] {
            assert_eq!(text.parse::<RepositoryName>(), Err(NameError::Empty));
        }
        for long in ["a".repeat(101), vec!["ab"; 70].join("/")] {
            assert_eq!(long.parse::<RepositoryName>(), Err(NameError::Long));
        }
        let message = format!("{}\u{1b}", "a".repeat(79)).parse::<RepositoryName>().unwrap_err().to_string();
        assert!(message.contains("a?`: it contains '\\u{1b}'"), "{message}");
    }

    #[test]
    fn a_pattern_means_what_its_stars_leave_open() {
        for (pattern, name, matches) in [
            ("shop", "shop", true),
            ("shop.git", "shop", true),
            ("shop", "shop2", false),
            ("team/*", "team/shop", true),
            ("team/*", "team/web/shop", true),
            ("team/*", "teams/shop", false),
            ("*", "team/shop", true),
            ("s.op", "shop", false),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&name.parse().unwrap()), matches, "{pattern:?} {name}");
        }
        for wrong in ["", "../*", "team/?", "[a-z]*", "*/*/*/*/*"] {
            assert!(wrong.parse::<NamePattern>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Whatever is a name leads to a folder below, by no part that is special.
        #[test]
        fn a_name_leads_below(text in "[a-z0-9./_-]{0,30}|\\PC{0,20}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                let folder = name.folder();
                let normal = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(folder.components().all(normal) && folder.is_relative(), "{}", folder.display());
                prop_assert_eq!(RepositoryName::of_folder(folder.to_str().unwrap()), Some(name));
            }
        }
    }
}
