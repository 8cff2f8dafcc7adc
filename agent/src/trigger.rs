//! Which runs are owed: tags now, tags seen before and the rules of an application go in, triggers come out. Pure.
//!
//! Nothing is remembered here and nothing is done. The caller keeps the tags it has seen beside the runs that it has
//! queued, in one step; so a poll that is lost or repeated (a crash, a webhook and a timer at once) owes the same runs.
//!
//! ```text
//! tags of the remote ─┐
//! tags seen before ───┼─► owed ─► runs (build: make the image; push: push the image of that very commit)
//! globs, first sight ─┘       └─► tags seen now
//! ```

mod image_tag;

use std::collections::BTreeMap;

use gix::bstr::BStr;
use gix::glob::wildmatch;
use jiff::Timestamp;
use quarterdeck_shared::application::FirstSight;
use quarterdeck_shared::revision::CommitId;
use serde::{Deserialize, Serialize};

use crate::source::{ObjectId, TagRef};

pub use image_tag::{TagTemplate, TemplateError, image_tag};

/// What a tag asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// Build the image of the tag's commit.
    Build,
    /// Push the image of the tag's commit, and build it first only if it is not there.
    Push,
}

/// A run that a tag asks for and that was not asked for before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// What to do.
    pub kind: TriggerKind,
    /// The name of the tag, without `refs/tags/`.
    pub tag: String,
    /// What the tag points at: with the name, the identity of this trigger.
    pub object: ObjectId,
    /// The commit to build.
    pub commit: CommitId,
}

/// What follows from a listing of tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The runs that are owed, oldest tag first, and builds before pushes of the same time.
    pub owed: Vec<Owed>,
    /// All tags of the repository, to be kept as seen together with the runs.
    pub seen: SeenTags,
    /// Tags that match a rule and point to no commit: they trigger nothing, and a person should know.
    pub without_commit: Vec<String>,
}

/// Tags by name, with what they pointed at.
pub type SeenTags = BTreeMap<String, ObjectId>;

/// Which tags mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRules {
    build: Vec<TagGlob>,
    push: Vec<TagGlob>,
    /// What the tags that are already there mean when a repository is first seen.
    first_sight: FirstSight,
}

/// A pattern for tags: `*` is any text, slashes too; `?` one character; `[a-z]` one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TagGlob(String);

/// A text that is no pattern for tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing can match it.
    #[error("an empty pattern matches no tag; leave it out, or write the name of a tag")]
    Empty,
    /// It names the ref and not the tag.
    #[error("`{0}` is matched against names such as `build-1.4.0`: leave `refs/tags/` out")]
    WholeRef(String),
    /// A bracket is open.
    #[error("`{0}` opens a `[` that is not closed")]
    OpenBracket(String),
    /// Matching could take for ever.
    #[error("`{0}` has more than {STARS_MAX} stars; a pattern for tags needs one or two")]
    TooManyStars(String),
}

/// The time of a match grows with the length of the name to the power of the stars, and the names are strangers'.
const STARS_MAX: usize = 4;

impl TagRules {
    /// Reads the patterns of an application.
    pub fn new(build: &[String], push: &[String], first_sight: FirstSight) -> Result<Self, GlobError> {
        let globs = |texts: &[String]| texts.iter().map(|text| TagGlob::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Self { build: globs(build)?, push: globs(push)?, first_sight })
    }

    /// What a tag asks for. A tag that matches both lists is a push, which builds where that is needed.
    pub fn kind_of(&self, tag: &str) -> Option<TriggerKind> {
        let any = |globs: &[TagGlob]| globs.iter().any(|glob| glob.matches(tag));
        match (any(&self.push), any(&self.build)) {
            (true, _) => Some(TriggerKind::Push),
            (false, true) => Some(TriggerKind::Build),
            (false, false) => None,
        }
    }

    /// The part of a tag from the first wildcard of its pattern on: `1.4.0` of `build-1.4.0`. `None` if its pattern
    /// has no wildcard, or the wildcards matched nothing.
    fn suffix<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let globs = match self.kind_of(tag)? {
            TriggerKind::Build => &self.build,
            TriggerKind::Push => &self.push,
        };
        let glob = globs.iter().find(|glob| glob.matches(tag))?;
        tag.strip_prefix(glob.literal()).filter(|suffix| !suffix.is_empty())
    }
}

/// Decides what is owed. `seen` is `None` for a repository that this application has never seen; then `time_of` says
/// when a tag was made (that of the tag object, else of the commit), and `None` counts as the oldest.
pub fn owed(
    rules: &TagRules,
    now: &BTreeMap<String, TagRef>,
    seen: Option<&SeenTags>,
    time_of: impl Fn(&str) -> Option<Timestamp>,
) -> Decision {
    let mut decision = Decision::default();
    for (name, tag) in now {
        decision.seen.insert(name.clone(), tag.object.clone());
        // A moved tag points elsewhere than when it was seen; a deleted one is not in `now`, and comes back as new.
        let is_new = seen.is_none_or(|seen| seen.get(name) != Some(&tag.object));
        let Some(kind) = rules.kind_of(name).filter(|_| is_new) else { continue };
        match &tag.commit {
            Some(commit) => {
                let (object, commit) = (tag.object.clone(), commit.clone());
                decision.owed.push(Owed { kind, tag: name.clone(), object, commit });
            }
            None => decision.without_commit.push(name.clone()),
        }
    }
    decision.owed.sort_by_cached_key(|owed| (time_of(&owed.tag), owed.kind, owed.tag.clone()));
    if seen.is_none() {
        decision.owed = first_sight(rules.first_sight, decision.owed);
    }
    decision
}

/// What of the tags that were there before us is owed; `all` is sorted by time.
fn first_sight(choice: FirstSight, all: Vec<Owed>) -> Vec<Owed> {
    match choice {
        FirstSight::All => all,
        FirstSight::None => Vec::new(),
        FirstSight::Latest => {
            let newest = |kind| all.iter().rposition(|owed| owed.kind == kind);
            let kept = [newest(TriggerKind::Build), newest(TriggerKind::Push)];
            all.into_iter().enumerate().filter(|(at, _)| kept.contains(&Some(*at))).map(|(_, owed)| owed).collect()
        }
    }
}

impl TagGlob {
    fn parse(text: &str) -> Result<Self, GlobError> {
        let text = text.trim();
        let open = text.rfind('[').is_some_and(|open| !text[open..].contains(']'));
        match () {
            () if text.is_empty() => Err(GlobError::Empty),
            () if text.starts_with("refs/") => Err(GlobError::WholeRef(text.to_owned())),
            () if open => Err(GlobError::OpenBracket(text.to_owned())),
            () if text.matches('*').count() > STARS_MAX => Err(GlobError::TooManyStars(text.to_owned())),
            () => Ok(Self(text.to_owned())),
        }
    }

    fn matches(&self, tag: &str) -> bool {
        gix::glob::wildmatch(BStr::new(&self.0), BStr::new(tag), wildmatch::Mode::empty())
    }

    /// What stands before the first wildcard.
    fn literal(&self) -> &str {
        let end = self.0.find(['*', '?', '[', '\\']).unwrap_or(self.0.len());
        &self.0[..end]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rules(first_sight: FirstSight) -> TagRules {
        let (build, push) = (["build", "build-*", "build/*"], ["push", "push-*", "push/*"]);
        TagRules::new(&texts(&build), &texts(&push), first_sight).unwrap()
    }

    /// A tag object and its commit, made of one digit each.
    fn tag(object: char, commit: char) -> TagRef {
        let id = |digit: char| digit.to_string().repeat(40);
        TagRef { object: id(object).try_into().unwrap(), commit: Some(id(commit).parse().unwrap()) }
    }

    fn tags(tags: &[(&str, TagRef)]) -> BTreeMap<String, TagRef> {
        tags.iter().map(|(name, tag)| ((*name).to_owned(), tag.clone())).collect()
    }

    /// The second of a tag is the number at its end.
    fn time(tag: &str) -> Option<Timestamp> {
        let number: String = tag.chars().rev().take_while(char::is_ascii_digit).collect();
        Timestamp::from_second(number.chars().rev().collect::<String>().parse().ok()?).ok()
    }

    fn names(decision: &Decision) -> Vec<&str> {
        decision.owed.iter().map(|owed| owed.tag.as_str()).collect()
    }

    #[test]
    fn tags_are_told_apart_by_their_patterns() {
        let rules = rules(FirstSight::Latest);
        for (tag, kind, suffix) in [
            ("build", Some(TriggerKind::Build), None),
            ("build-1.4.0", Some(TriggerKind::Build), Some("1.4.0")),
            ("build/1.4.0", Some(TriggerKind::Build), Some("1.4.0")),
            ("build/a/b", Some(TriggerKind::Build), Some("a/b")),
            ("build-", Some(TriggerKind::Build), None),
            ("push", Some(TriggerKind::Push), None),
            ("push-1.4.0", Some(TriggerKind::Push), Some("1.4.0")),
            ("builds", None, None),
            ("rebuild-1", None, None),
            ("Build-1", None, None),
            ("v1.4.0", None, None),
        ] {
            assert_eq!((rules.kind_of(tag), rules.suffix(tag)), (kind, suffix), "{tag}");
        }
        let both = TagRules::new(&texts(&["v*"]), &texts(&["v[0-9].?"]), FirstSight::None).unwrap();
        assert_eq!((both.kind_of("v1.2"), both.suffix("v1.2")), (Some(TriggerKind::Push), Some("1.2")));
        assert_eq!((both.kind_of("vx"), both.suffix("vx")), (Some(TriggerKind::Build), Some("x")));
    }

    #[test]
    fn patterns_that_cannot_work_are_refused() {
        for text in ["", " ", "refs/tags/build-*", "build-[0-9", "*a*b*c*d*e"] {
            assert!(TagRules::new(&texts(&[text]), &[], FirstSight::None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn first_sight_takes_the_newest_of_each_kind() {
        let now = tags(&[
            ("build-1", tag('a', '1')),
            ("build-10", tag('b', '2')),
            ("build-9", tag('c', '3')),
            ("push-3", tag('d', '4')),
            ("push-2", tag('e', '5')),
            ("v1", tag('f', '6')),
        ]);
        for (choice, owes) in [
            (FirstSight::Latest, vec!["push-3", "build-10"]),
            (FirstSight::None, vec![]),
            (FirstSight::All, vec!["build-1", "push-2", "push-3", "build-9", "build-10"]),
        ] {
            let decision = owed(&rules(choice), &now, None, time);
            assert_eq!(names(&decision), owes, "{choice:?}");
            assert_eq!(decision.seen.len(), 6, "all tags are seen, whatever they mean");
            let again = owed(&rules(choice), &now, Some(&decision.seen), time);
            assert_eq!(names(&again), [""; 0], "{choice:?}: nothing is owed twice");
        }
    }

    #[test]
    fn new_moved_and_rewritten_tags_are_owed_and_deleted_ones_are_not() {
        let rules = rules(FirstSight::Latest);
        let before = tags(&[("build-1", tag('a', '1')), ("build-2", tag('b', '2')), ("push-1", tag('c', '1'))]);
        let seen = owed(&rules, &before, None, time).seen;
        let now = tags(&[
            ("build-1", tag('f', '6')),
            ("push-1", tag('9', '1')),
            ("push-6", tag('f', '6')),
            ("build-6", tag('f', '6')),
            ("other", tag('d', '4')),
        ]);
        let decision = owed(&rules, &now, Some(&seen), time);
        assert_eq!(names(&decision), ["build-1", "push-1", "build-6", "push-6"]);
        assert_eq!(decision.owed[0].commit.as_str(), "6".repeat(40));
        // Deleted, then made again at the same place: somebody asks again.
        let gone = owed(&rules, &tags(&[]), Some(&decision.seen), time);
        assert_eq!((names(&gone).len(), gone.seen.len()), (0, 0));
        assert_eq!(names(&owed(&rules, &now, Some(&gone.seen), time)).len(), 4);
    }

    #[test]
    fn a_new_pattern_does_not_wake_old_tags() {
        let now = tags(&[("v1", tag('a', '1')), ("build-1", tag('b', '2'))]);
        let seen = owed(&rules(FirstSight::Latest), &now, None, time).seen;
        let wider = TagRules::new(&texts(&["v*"]), &[], FirstSight::All).unwrap();
        assert_eq!(names(&owed(&wider, &now, Some(&seen), time)), [""; 0]);
    }

    #[test]
    fn a_tag_without_a_commit_is_told() {
        let now = tags(&[("build-1", TagRef { commit: None, ..tag('a', '1') })]);
        let decision = owed(&rules(FirstSight::All), &now, None, time);
        assert_eq!((names(&decision).len(), decision.without_commit), (0, texts(&["build-1"])));
    }

    /// Tags of both kinds and of none, some of them without a commit.
    fn listing() -> impl Strategy<Value = BTreeMap<String, TagRef>> {
        let names = "(build|push|v)(-[0-9])?";
        let of = ("[a-f]", "[1-9]", any::<bool>()).prop_map(|(object, commit, is_commit)| {
            let digit = |text: &str| text.chars().next().unwrap_or('a');
            let tag = tag(digit(&object), digit(&commit));
            TagRef { commit: tag.commit.filter(|_| is_commit), ..tag }
        });
        proptest::collection::btree_map(names, of, 0..10)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_was_seen_is_owed_once(
            before in listing(),
            now in listing(),
            choice in prop_oneof![Just(FirstSight::Latest), Just(FirstSight::None), Just(FirstSight::All)],
        ) {
            let rules = rules(choice);
            let first = owed(&rules, &before, None, time);
            prop_assert_eq!(owed(&rules, &before, Some(&first.seen), time).owed, vec![]);
            let second = owed(&rules, &now, Some(&first.seen), time);
            prop_assert_eq!(&second.seen, &now.iter().map(|(name, tag)| (name.clone(), tag.object.clone())).collect());
            prop_assert_eq!(owed(&rules, &now, Some(&second.seen), time).owed, vec![]);
            // Each that is owed is there, is a trigger, and was not seen at this place; and each of these is owed.
            let new = now.iter().filter(|(name, tag)| {
                rules.kind_of(name).is_some() && tag.commit.is_some() && first.seen.get(*name) != Some(&tag.object)
            });
            let mut names: Vec<&str> = second.owed.iter().map(|owed| owed.tag.as_str()).collect();
            names.sort_unstable();
            prop_assert_eq!(names, new.map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        }

        /// Tags come one after another, in one poll or in several: the same runs are owed, whichever comes first.
        #[test]
        fn the_order_in_which_tags_come_does_not_matter(
            all in listing(),
            order in proptest::collection::vec(any::<u32>(), 10),
        ) {
            let rules = rules(FirstSight::Latest);
            let seen = SeenTags::new();
            let at_once = owed(&rules, &all, Some(&seen), time);
            let mut names: Vec<&String> = all.keys().collect();
            names.sort_by_key(|name| order[all.keys().position(|key| key == *name).unwrap_or(0)]);
            let (mut there, mut seen, mut one_by_one) = (BTreeMap::new(), seen, Vec::new());
            for name in names {
                there.insert(name.clone(), all[name].clone());
                let decision = owed(&rules, &there, Some(&seen), time);
                one_by_one.extend(decision.owed);
                seen = decision.seen;
            }
            one_by_one.sort_by_cached_key(|owed| (time(&owed.tag), owed.kind, owed.tag.clone()));
            prop_assert_eq!(one_by_one, at_once.owed);
            prop_assert_eq!(seen, at_once.seen);
        }
    }
}
