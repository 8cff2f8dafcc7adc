//! Which version of a chart is wanted. Pure: the versions of a repository go in, one comes out.
//!
//! A version is wanted as it is written; a range as of images that are followed (see [`crate::follow`]): the newest version in
//! it, and a pre-release only where the range names one.

use semver::{Version, VersionReq};

use crate::follow::{PolicyError, natural, ranges, version};

/// Which versions of a chart are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// This one.
    Exact(String),
    /// The newest in one of these ranges.
    Range(Vec<VersionReq>),
}

impl Wanted {
    /// Reads a version or a range.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        match version(text) {
            Some(_) => Ok(Self::Exact(text.to_owned())),
            None => ranges(text).map(Self::Range),
        }
    }

    /// The version that is wanted of these; none where none is.
    pub fn choose<'t>(&self, versions: impl IntoIterator<Item = &'t str>) -> Option<&'t str> {
        let mut versions = versions.into_iter();
        match self {
            Self::Exact(wanted) => versions.find(|version| is_same(version, wanted)),
            Self::Range(ranges) => newest_of(
                versions.filter(|text| version(text).is_some_and(|one| ranges.iter().any(|range| range.matches(&one)))),
            ),
        }
    }
}

/// The newest of these; a pre-release where there is nothing else.
pub fn newest<'t>(versions: impl IntoIterator<Item = &'t str>) -> Option<&'t str> {
    let versions: Vec<&str> = versions.into_iter().filter(|text| version(text).is_some()).collect();
    let is_release = |text: &&str| version(text).is_some_and(|version| version.pre.is_empty());
    newest_of(versions.iter().copied().filter(is_release)).or_else(|| newest_of(versions.iter().copied()))
}

/// Whether both are one version, with or without a `v`.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || version(one).is_some_and(|one| version(other) == Some(one))
}

/// The tag of a version: a tag may have no `+`.
pub fn tag(version: &str) -> String {
    version.replace('+', "_")
}

/// The version of a tag.
pub fn of_tag(tag: &str) -> String {
    tag.replace('_', "+")
}

fn newest_of<'t>(versions: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let known = versions.filter_map(|text| Some((version(text)?, text)));
    let order = |(one, text): &(Version, &str), (other, other_text): &(Version, &str)| {
        one.cmp_precedence(other).then_with(|| natural(text, other_text))
    };
    known.max_by(order).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [&str; 9] =
        ["5.2.0", "6.7.0", "6.7.1", "6.10.0", "6.11.0-rc.1", "7.0.0", "8.0.0-beta.1", "v6.9.1", "latest"];

    #[test]
    fn the_newest_of_a_range_is_wanted_and_a_version_as_it_is_written() {
        for (wanted, chosen) in [
            ("6.7.1", Some("6.7.1")),
            ("6.9.1", Some("v6.9.1")),
            ("v6.7.0", Some("6.7.0")),
            ("6.8.0", None),
            ("6.11.0-rc.1", Some("6.11.0-rc.1")),
            ("6.x", Some("6.10.0")),
            ("6", Some("6.10.0")),
            (">=6.7 <7", Some("6.10.0")),
            ("~6.7.0", Some("6.7.1")),
            ("*", Some("7.0.0")),
            (">=6.11.0-0 <7", Some("6.11.0-rc.1")),
            ("^5 || ^7", Some("7.0.0")),
            ("9.x", None),
        ] {
            let read = Wanted::read(wanted).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            assert_eq!(read.choose(VERSIONS), chosen, "{wanted}");
        }
        for bad in ["", "newest", "6.x - 7", ">="] {
            assert!(Wanted::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_is_a_release_where_there_is_one() {
        assert_eq!(newest(VERSIONS), Some("7.0.0"));
        assert_eq!(newest(["1.0.0-rc.1", "1.0.0-rc.2"]), Some("1.0.0-rc.2"));
        assert_eq!(newest(["latest"]), None);
        assert_eq!((tag("1.0.0+a.b"), of_tag("1.0.0_a.b")), ("1.0.0_a.b".to_owned(), "1.0.0+a.b".to_owned()));
    }
}
