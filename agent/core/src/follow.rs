//! Which tag is wanted, of an image or of a repository of manifests. Pure: the tags go in, one comes out.
//!
//! Ranges are written as Helm, Flux and npm users write them: comparisons with spaces or commas between them, all of which
//! hold (`>=6.0 <7`), alternatives with `||`, `^`, `~`, and `x` or `*` for any number. Tags may begin with `v`. A pre-release
//! (`6.1.0-rc.1`) is wanted only where the range names one of the same version.

pub mod created;
pub mod revision;

use std::collections::BTreeSet;

use quarterdeck_shared::application::TagPolicy;
use semver::{Version, VersionReq};

use crate::trigger::{GlobError, NaturalKey, TagGlob};

/// Which tags are wanted, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The newest version in one of these ranges.
    Semver(Vec<VersionReq>),
    /// The newest that matches, in the natural order.
    Newest(TagGlob),
    /// The one of those that match whose image was created last.
    NewestCreated {
        /// Which.
        pattern: TagGlob,
        /// Those that the registry lists, the oldest first, once that was read. What is not among them is taken for newer:
        /// nothing goes back since a registry does not list it any more.
        oldest_first: Vec<String>,
    },
    /// This one.
    Tag(String),
}

/// A policy that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is no range.
    #[error("{range:?} is not a range of versions: {why}")]
    Range {
        /// As it is written.
        range: String,
        /// What of it.
        why: String,
    },
    /// It is no pattern.
    #[error(transparent)]
    Pattern(#[from] GlobError),
    /// It can be no tag.
    #[error("{0:?} cannot be the tag of an image")]
    Tag(String),
}

impl Wanted {
    /// Reads a policy.
    pub fn read(policy: &TagPolicy) -> Result<Self, PolicyError> {
        Ok(match policy {
            TagPolicy::Semver(range) => Self::Semver(ranges(range)?),
            TagPolicy::Newest(pattern) => Self::Newest(TagGlob::parse(pattern)?),
            TagPolicy::NewestCreated(pattern) => {
                Self::NewestCreated { pattern: TagGlob::parse(pattern)?, oldest_first: Vec::new() }
            }
            TagPolicy::Tag(tag) if is_tag(tag) => Self::Tag(tag.clone()),
            TagPolicy::Tag(tag) => return Err(PolicyError::Tag(tag.clone())),
        })
    }

    /// The tag that is wanted of these; none where none is.
    pub fn choose<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Option<&'t str> {
        self.newest(tags.into_iter().filter(|tag| is_tag(tag)))
    }

    /// The same of any names.
    fn newest<'t>(&self, mut tags: impl Iterator<Item = &'t str>) -> Option<&'t str> {
        match self {
            Self::Semver(ranges) => {
                let is_in = |version: &Version| ranges.iter().any(|range| range.matches(version));
                let versions = tags.filter_map(|tag| Some((version(tag).filter(&is_in)?, tag)));
                // Of two tags of one version (`1.4.0`, `v1.4.0`) it is always the same.
                versions
                    .max_by(|one, other| one.0.cmp_precedence(&other.0).then(natural(one.1, other.1)))
                    .map(|(_, tag)| tag)
            }
            Self::Newest(pattern) => tags.filter(|tag| pattern.matches(tag)).max_by(|one, other| natural(one, other)),
            Self::NewestCreated { pattern, oldest_first } => {
                let place = |tag: &str| oldest_first.iter().position(|one| one == tag).unwrap_or(usize::MAX);
                let matching = tags.filter(|tag| pattern.matches(tag)).map(|tag| (place(tag), tag));
                matching
                    .max_by(|(one, tag), (other, beside)| one.cmp(other).then_with(|| natural(tag, beside)))
                    .map(|(_, tag)| tag)
            }
            Self::Tag(wanted) => tags.find(|tag| tag == wanted),
        }
    }

    /// The tags that have to be looked at to choose one, where their names do not say which is the newest.
    pub fn to_be_read<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Option<BTreeSet<&'t str>> {
        let Self::NewestCreated { pattern, .. } = self else { return None };
        Some(tags.into_iter().filter(|tag| is_tag(tag) && pattern.matches(tag)).collect())
    }
}

pub(crate) fn natural(one: &str, other: &str) -> std::cmp::Ordering {
    NaturalKey::new(one).cmp(&NaturalKey::new(other))
}

/// A whole version, with or without a `v`. `1.4` and `latest` are none: such tags move.
pub(crate) fn version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// What the distribution specification takes for a tag.
fn is_tag(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && text.len() <= 128 && text.bytes().all(inner)
}

pub(crate) fn ranges(text: &str) -> Result<Vec<VersionReq>, PolicyError> {
    let wrong = |why: String| PolicyError::Range { range: text.to_owned(), why };
    text.split("||").map(|alternative| range(alternative).map_err(&wrong)).collect()
}

/// One alternative: its comparisons, as the library writes them.
fn range(text: &str) -> Result<VersionReq, String> {
    let mut comparisons = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        if word == "-" {
            return Err("it has a range with a dash".to_owned());
        }
        let version = word.trim_start_matches(['<', '>', '=', '^', '~', '!']);
        operator.push_str(&word[..word.len() - version.len()]);
        if version.is_empty() {
            continue;
        }
        comparisons.push(comparison(&std::mem::take(&mut operator), version.strip_prefix('v').unwrap_or(version)));
    }
    match (comparisons.is_empty(), operator.is_empty()) {
        (_, false) => Err(format!("nothing follows {operator:?}")),
        (true, true) => Err("it is empty".to_owned()),
        (false, true) => VersionReq::parse(&comparisons.join(", ")).map_err(|error| error.to_string()),
    }
}

/// A version alone is itself, and a part of one is all that begin so.
fn comparison(operator: &str, version: &str) -> String {
    let has_wildcard = version.split('.').any(|part| matches!(part, "x" | "X" | "*"));
    match operator {
        "" | "=" | "==" if has_wildcard => version.to_owned(),
        "" | "==" => format!("={version}"),
        operator => format!("{operator}{version}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn semver(range: &str) -> Wanted {
        Wanted::read(&TagPolicy::Semver(range.to_owned())).unwrap_or_else(|error| panic!("{error}"))
    }

    const TAGS: [&str; 14] = [
        "5.9.9",
        "6.0.0",
        "6.1.0",
        "6.1.2",
        "6.10.0",
        "6.2.0",
        "v6.9.1",
        "7.0.0-rc.1",
        "7.0.0",
        "7",
        "latest",
        "6.10.0-alpine",
        "sha256-1f.sig",
        "8.0.0-beta.2",
    ];

    #[test]
    fn the_newest_version_of_a_range_is_wanted() {
        for (range, wanted) in [
            (">=6.0 <7", Some("6.10.0")),
            (">= 6.0.0, < 7.0.0", Some("6.10.0")),
            ("^6.0", Some("6.10.0")),
            ("~6.1", Some("6.1.2")),
            ("6.1.x", Some("6.1.2")),
            ("6.1", Some("6.1.2")),
            ("6.x", Some("6.10.0")),
            ("v6.1.0", Some("6.1.0")),
            ("=6.9.1", Some("v6.9.1")),
            ("*", Some("7.0.0")),
            (">5", Some("7.0.0")),
            ("~5 || ~6.1", Some("6.1.2")),
            (">=7.0.0-0 <7.0.0", Some("7.0.0-rc.1")),
            (">=8.0.0-0", Some("8.0.0-beta.2")),
            (">=9", None),
        ] {
            assert_eq!(semver(range).choose(TAGS), wanted, "{range}");
        }
    }

    #[test]
    fn the_newest_of_a_pattern_is_wanted_as_people_count() {
        let tags = ["main-9", "main-10", "main-2", "dev-99", "main"];
        for (pattern, wanted) in [("main-*", Some("main-10")), ("dev-*", Some("dev-99")), ("prod-*", None)] {
            let policy = Wanted::read(&TagPolicy::Newest(pattern.to_owned())).unwrap();
            assert_eq!(policy.choose(tags), wanted, "{pattern}");
        }
        assert_eq!(Wanted::read(&TagPolicy::Tag("main".to_owned())).unwrap().choose(tags), Some("main"));
    }

    #[test]
    fn the_one_that_was_created_last_is_wanted_whatever_it_is_called() {
        let policy = Wanted::read(&TagPolicy::NewestCreated("main-*".to_owned())).unwrap();
        let tags = ["main-b7", "main-0f", "dev-1", "main-c3", "main-", "sha256-1f.sig"];
        let read = policy.to_be_read(tags).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), ["main-", "main-0f", "main-b7", "main-c3"]);
        assert_eq!(semver("*").to_be_read(tags), None);
        let Wanted::NewestCreated { pattern, .. } = policy else { panic!("another policy") };
        let oldest_first = ["main-c3", "main-b7", "main-0f"].map(str::to_owned).to_vec();
        let policy = Wanted::NewestCreated { pattern, oldest_first };
        for (listed, wanted) in [
            (&["main-b7", "main-0f", "dev-1", "main-c3"][..], Some("main-0f")),
            (&["main-c3", "main-b7"], Some("main-b7")),
            // One that was written and is not listed any more is not gone behind.
            (&["main-0f", "main-gone"], Some("main-gone")),
            (&["dev-1"], None),
        ] {
            assert_eq!(policy.choose(listed.iter().copied()), wanted, "{listed:?}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (policy, said) in [
            (TagPolicy::Semver(String::new()), "it is empty"),
            (TagPolicy::Semver(">=".to_owned()), "nothing follows \">=\""),
            (TagPolicy::Semver("1.2 - 1.4".to_owned()), "a range with a dash"),
            (TagPolicy::Semver("latest".to_owned()), "\"latest\" is not a range of versions"),
            (TagPolicy::Semver("!=1.2.0".to_owned()), "is not a range"),
            (TagPolicy::Newest(String::new()), "an empty pattern"),
            (TagPolicy::NewestCreated("main-[".to_owned()), "opens a `[`"),
            (TagPolicy::Tag("a b".to_owned()), "cannot be the tag"),
        ] {
            let error = Wanted::read(&policy).unwrap_err().to_string();
            assert!(error.contains(said), "{policy:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_listing_does_not_matter(mut tags in proptest::collection::vec("v?[0-3]\\.[0-3]\\.[0-9](-rc\\.[0-3])?", 0..12)) {
            let policy = semver(">=0.0.0-0");
            let one = policy.choose(tags.iter().map(String::as_str)).map(str::to_owned);
            tags.reverse();
            prop_assert_eq!(one.as_deref(), policy.choose(tags.iter().map(String::as_str)));
        }

        #[test]
        fn no_text_breaks_it(range in ".{0,40}", tag in ".{0,40}") {
            if let Ok(policy) = Wanted::read(&TagPolicy::Semver(range)) {
                policy.choose([tag.as_str()]);
            }
        }
    }
}
