//! What of the images of merge requests nobody needs any more in a registry. Pure.
//!
//! | a tag stays | since |
//! | --- | --- |
//! | that an environment runs, or ran before that | it is what a rollback goes to |
//! | of one of the newest commits of its merge request | somebody may look at it |
//! | that is younger than some days, or of which nobody says how old it is | as above |
//!
//! Whether a merge request is open is not asked: what is old of one that is open is made again by its next commit.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// A tag of a merge request in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewTag {
    /// `registry.example/ops/shop:merge-request-7-a6ca5a8f2c1b`
    pub name: String,
    /// The number of its merge request.
    pub merge_request: u64,
    /// When it was pushed, else when its image was made; none where neither is known.
    pub at: Option<Timestamp>,
    /// Whether an environment runs it, or ran it before.
    pub is_deployed: bool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The newest of each merge request.
    pub newest: usize,
    /// What is younger stays.
    pub age: SignedDuration,
}

/// Why a tag stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// An environment runs it, or ran it before.
    Deployed,
    /// It is young.
    Young,
    /// It is one of the newest of its merge request.
    Newest,
    /// Nobody says how old it is.
    Undated,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployed => "an environment runs it, or ran it before",
            Self::Young => "it is young",
            Self::Newest => "it is one of the newest of its merge request",
            Self::Undated => "its age is not known",
        })
    }
}

/// By the place of each tag why it stays; nothing where nobody needs it. The tags are those of one repository of a registry.
pub fn why_kept(tags: &[PreviewTag], rules: Rules, now: Timestamp) -> Vec<Option<Kept>> {
    let mut of: BTreeMap<u64, Vec<Timestamp>> = BTreeMap::new();
    for (number, at) in tags.iter().filter_map(|tag| Some((tag.merge_request, tag.at?))) {
        of.entry(number).or_default().push(at);
    }
    for times in of.values_mut() {
        times.sort_by(|one, other| other.cmp(one));
        times.truncate(rules.newest);
    }
    let why = |tag: &PreviewTag| match tag.at {
        _ if tag.is_deployed => Some(Kept::Deployed),
        None => Some(Kept::Undated),
        Some(at) if now.duration_since(at) < rules.age => Some(Kept::Young),
        Some(at) => of.get(&tag.merge_request).is_some_and(|newest| newest.contains(&at)).then_some(Kept::Newest),
    };
    tags.iter().map(why).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(merge_request: u64, day: i64) -> PreviewTag {
        let at = Some(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day));
        PreviewTag { name: format!("{merge_request} of {day}"), merge_request, at, is_deployed: false }
    }

    #[test]
    fn what_is_old_and_followed_by_newer_ones_goes() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 100);
        let rules = Rules { newest: 1, age: SignedDuration::from_hours(24 * 7) };
        let deployed = PreviewTag { is_deployed: true, ..tag(7, 1) };
        let undated = PreviewTag { at: None, ..tag(7, 1) };
        let tags = [tag(7, 10), tag(7, 20), tag(7, 95), tag(7, 99), tag(8, 3), tag(8, 2), deployed, undated];
        let kept = why_kept(&tags, rules, now);
        let (young, newest) = (Some(Kept::Young), Some(Kept::Newest));
        assert_eq!(kept, [None, None, young, young, newest, None, Some(Kept::Deployed), Some(Kept::Undated)]);
        let none = why_kept(&tags, Rules { newest: 0, ..rules }, now);
        assert_eq!(none[4], None, "with no newest ones a merge request that is over keeps nothing");
    }
}
