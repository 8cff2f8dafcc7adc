//! Which tag of a git repository an environment is deployed from, where a pattern or a range chooses it.
//!
//! Nothing goes back by itself: where the tag that is deployed is gone, an older one does not take its place.

use quarterdeck_shared::application::TagPolicy;

use super::{PolicyError, Wanted};

/// Which tags of a repository are wanted, read.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedTag(Wanted);

/// What is to be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'t> {
    /// This tag.
    Tag(&'t str),
    /// The tag that is deployed is gone, and all others are older.
    Gone {
        /// The newest that is left.
        left: Option<&'t str>,
    },
    /// No tag is wanted.
    None,
}

impl WantedTag {
    /// The newest version in a range, of those that tags name with or without a `v`.
    ///
    /// # Errors
    /// Where it is no range.
    pub fn in_range(range: &str) -> Result<Self, PolicyError> {
        Wanted::read(&TagPolicy::Semver(range.to_owned())).map(Self)
    }

    /// The newest that matches a pattern, in natural order.
    ///
    /// # Errors
    /// Where it is no pattern.
    pub fn matching(pattern: &str) -> Result<Self, PolicyError> {
        Wanted::read(&TagPolicy::Newest(pattern.to_owned())).map(Self)
    }

    /// Chooses of these tags, beside the one that is `deployed`.
    pub fn choose<'t>(&self, tags: impl Iterator<Item = &'t str> + Clone, deployed: Option<&'t str>) -> Choice<'t> {
        let newest = self.0.newest(tags.clone());
        let gone = deployed.filter(|deployed| !tags.clone().any(|tag| tag == *deployed));
        match (gone, newest) {
            (Some(gone), _) if self.0.newest(newest.into_iter().chain([gone])) == Some(gone) => {
                Choice::Gone { left: newest }
            }
            (_, Some(newest)) => Choice::Tag(newest),
            (_, None) => Choice::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_is_wanted_and_none_that_is_older_than_what_is_deployed_and_gone() {
        let range = WantedTag::in_range(">=1.0 <2").unwrap();
        let pattern = WantedTag::matching("release/*").unwrap();
        let tags = ["v1.0.0", "v1.10.0", "1.9.0", "v2.0.0", "1.11.0-rc.1", "v1", "release/9", "release/10", "latest"];
        let without = |gone: &str| tags.into_iter().filter(|tag| *tag != gone).collect::<Vec<_>>();
        for (wanted, tags, deployed, choice) in [
            (&range, tags.to_vec(), None, Choice::Tag("v1.10.0")),
            (&range, tags.to_vec(), Some("1.9.0"), Choice::Tag("v1.10.0")),
            (&range, without("v1.10.0"), None, Choice::Tag("1.9.0")),
            (&range, without("v1.10.0"), Some("v1.10.0"), Choice::Gone { left: Some("1.9.0") }),
            (&range, without("1.9.0"), Some("1.9.0"), Choice::Tag("v1.10.0")),
            // What the range does not want any more is no reason to stay.
            (&range, without("v2.0.0"), Some("v2.0.0"), Choice::Tag("v1.10.0")),
            (&range, vec!["v2.0.0"], Some("v1.10.0"), Choice::Gone { left: None }),
            (&range, vec!["v2.0.0"], None, Choice::None),
            (&pattern, tags.to_vec(), None, Choice::Tag("release/10")),
            (&pattern, without("release/10"), Some("release/10"), Choice::Gone { left: Some("release/9") }),
            (&pattern, without("release/10"), Some("main"), Choice::Tag("release/9")),
        ] {
            assert_eq!(wanted.choose(tags.iter().copied(), deployed), choice, "{tags:?}, {deployed:?}");
        }
    }

    /// Tags of few versions, so that many are of one.
    fn tags() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("v?[01]\\.[0-3]\\.[0-9]", 0..8)
    }

    proptest! {
        #[test]
        fn tags_that_come_and_go_never_lead_back(before in tags(), after in tags()) {
            for wanted in [WantedTag::in_range(">=0.1.0").unwrap(), WantedTag::matching("*").unwrap()] {
                let Choice::Tag(deployed) = wanted.choose(before.iter().map(String::as_str), None) else { continue };
                let names = after.iter().map(String::as_str);
                match wanted.choose(names.clone(), Some(deployed)) {
                    // It is wanted beside what was deployed, unless a person took up what is older: that is there still.
                    Choice::Tag(tag) => {
                        let both = names.chain([deployed]);
                        prop_assert!(wanted.0.newest(both) == Some(tag));
                    }
                    Choice::Gone { left } => {
                        prop_assert!(!after.iter().any(|tag| tag == deployed));
                        prop_assert_eq!(left, wanted.0.newest(names));
                    }
                    Choice::None => prop_assert!(false, "what is deployed is wanted"),
                }
            }
        }

        #[test]
        fn the_order_of_the_tags_does_not_matter(mut tags in tags()) {
            let wanted = WantedTag::matching("*").unwrap();
            let one = format!("{:?}", wanted.choose(tags.iter().map(String::as_str), Some("v0.2.0")));
            tags.reverse();
            prop_assert_eq!(one, format!("{:?}", wanted.choose(tags.iter().map(String::as_str), Some("v0.2.0"))));
        }
    }
}
