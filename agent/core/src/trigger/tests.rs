//! Which tags are owed: tables, and what holds for any listings.

use proptest::prelude::*;

use super::*;
use crate::git::TagRef;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn rules(existing_tags: ExistingTags) -> TagRules {
    let (build, push) = (["build", "build-*", "build/*"], ["push", "push-*", "push/*"]);
    TagRules::new(&texts(&build), &texts(&push), existing_tags).unwrap()
}

/// A tag object and its commit, made of one digit each.
fn tag(object: char, commit: char) -> TagRef {
    let id = |digit: char| digit.to_string().repeat(40);
    TagRef { object: id(object).try_into().unwrap(), commit: Some(id(commit).parse().unwrap()) }
}

/// A repository with a branch and these tags.
fn tags(tags: &[(&str, TagRef)]) -> RefSnapshot {
    with(tags.iter().map(|(name, tag)| ((*name).to_owned(), tag.clone())).collect())
}

fn with(tags: BTreeMap<String, TagRef>) -> RefSnapshot {
    let main = ("main".to_owned(), "1".repeat(40).parse().unwrap());
    RefSnapshot { tags, branches: BTreeMap::from([main]), ..RefSnapshot::default() }
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
    let rules = rules(ExistingTags::Latest);
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
    let both = TagRules::new(&texts(&["v*"]), &texts(&["v[0-9].?"]), ExistingTags::None).unwrap();
    assert_eq!((both.kind_of("v1.2"), both.suffix("v1.2")), (Some(TriggerKind::Push), Some("1.2")));
    assert_eq!((both.kind_of("vx"), both.suffix("vx")), (Some(TriggerKind::Build), Some("x")));
}

#[test]
fn patterns_that_cannot_work_are_refused() {
    for text in ["", " ", "refs/tags/build-*", "build-[0-9", "*a*b*c*d*e"] {
        assert!(TagRules::new(&texts(&[text]), &[], ExistingTags::None).is_err(), "{text:?}");
    }
}

#[test]
fn existing_tags_takes_the_newest_of_each_kind() {
    let now = tags(&[
        ("build-1", tag('a', '1')),
        ("build-10", tag('b', '2')),
        ("build-9", tag('c', '3')),
        ("push-3", tag('d', '4')),
        ("push-2", tag('e', '5')),
        ("v1", tag('f', '6')),
    ]);
    for (choice, owes) in [
        (ExistingTags::Latest, vec!["push-3", "build-10"]),
        (ExistingTags::None, vec![]),
        (ExistingTags::All, vec!["build-1", "push-2", "push-3", "build-9", "build-10"]),
    ] {
        let decision = owed(&rules(choice), &now, None, time);
        assert_eq!(names(&decision), owes, "{choice:?}");
        assert_eq!(decision.seen.there.len(), 6, "all tags are seen, whatever they mean");
        let again = owed(&rules(choice), &now, Some(&decision.seen), time);
        assert_eq!(names(&again), [""; 0], "{choice:?}: nothing is owed twice");
    }
}

#[test]
fn new_moved_and_rewritten_tags_are_owed_and_deleted_ones_are_not() {
    let rules = rules(ExistingTags::Latest);
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
}

/// The names of what is owed by listings that follow each other, listing by listing.
fn told(rules: &TagRules, listings: &[RefSnapshot]) -> Vec<Vec<String>> {
    let mut seen: Option<Seen> = None;
    let mut all = Vec::new();
    for now in listings {
        let decision = owed(rules, now, seen.as_ref(), time);
        all.push(names(&decision).into_iter().map(str::to_owned).collect());
        seen = Some(decision.seen);
    }
    all
}

#[test]
fn a_tag_that_was_deleted_by_itself_is_asked_for_again_and_what_was_lost_is_not() {
    let rules = rules(ExistingTags::None);
    let (one, two, three) = (("push-1", tag('a', '1')), ("push-2", tag('b', '2')), ("build-3", tag('c', '3')));
    let all = tags(&[one.clone(), two.clone(), three.clone()]);
    let emptied = RefSnapshot::default();
    let moved = tags(&[("push-1", tag('f', '6')), two.clone(), three.clone()]);
    let newer = tags(&[one.clone(), two.clone(), three.clone(), ("push-9", tag('9', '9'))]);
    let alone = tags(std::slice::from_ref(&one));
    for (what, listings, owes) in [
        ("deleted by a person", vec![all.clone(), tags(&[two.clone(), three.clone()]), all.clone()], vec!["push-1"]),
        ("the only one, deleted by a person", vec![alone.clone(), tags(&[]), alone.clone()], vec!["push-1"]),
        ("all of them", vec![all.clone(), tags(&[]), all.clone()], vec![]),
        ("most of them", vec![all.clone(), alone.clone(), all.clone()], vec![]),
        ("all of them and the branches", vec![all.clone(), emptied.clone(), all.clone()], vec![]),
        ("the only one and the branches", vec![alone.clone(), emptied.clone(), alone.clone()], vec![]),
        ("lost, and back one by one", vec![all.clone(), emptied.clone(), alone.clone(), all.clone()], vec![]),
        (
            "some, and then the rest",
            vec![all.clone(), tags(&[two.clone(), three.clone()]), tags(&[]), all.clone()],
            vec![],
        ),
        ("most, and then the rest", vec![all.clone(), alone.clone(), tags(&[]), all.clone()], vec![]),
        (
            "most, and a person's much later",
            vec![all.clone(), alone.clone(), alone.clone(), tags(&[]), all.clone()],
            vec!["push-1"],
        ),
        (
            "one after another",
            vec![
                all.clone(),
                tags(&[two.clone(), three.clone()]),
                tags(std::slice::from_ref(&three)),
                tags(&[]),
                all.clone(),
            ],
            vec![],
        ),
        (
            "deleted by a person, long before the rest is lost",
            vec![
                all.clone(),
                tags(&[two.clone(), three.clone()]),
                tags(&[two.clone(), three.clone(), ("push-9", tag('9', '9'))]),
                tags(&[]),
                all.clone(),
            ],
            vec!["push-9", "push-1"],
        ),
        ("lost twice", vec![all.clone(), emptied.clone(), alone, emptied.clone(), all.clone()], vec![]),
        ("lost, and back elsewhere", vec![all.clone(), emptied.clone(), moved], vec!["push-1"]),
        ("lost, and back with a new one", vec![all.clone(), emptied, newer], vec!["push-9"]),
    ] {
        let told = told(&rules, &listings);
        assert_eq!(told.concat(), owes, "{what}");
    }
    let seen = owed(&rules, &all, None, time).seen;
    assert_eq!(owed(&rules, &tags(&[]), Some(&seen), time).lost, 3, "and a person is told");
    assert_eq!(owed(&rules, &tags(&[two, three]), Some(&seen), time).lost, 0);
}

#[test]
fn tags_of_one_second_are_done_as_people_count() {
    let numbers = ["push-10", "push-2", "build-11", "push-1.10", "push-1.9", "push-2-rc1"];
    let listing: Vec<_> = numbers.iter().map(|name| (*name, tag('a', '1'))).collect();
    let decision = owed(&rules(ExistingTags::All), &tags(&listing), None, |_| Timestamp::from_second(0).ok());
    assert_eq!(names(&decision), ["build-11", "push-1.9", "push-1.10", "push-2-rc1", "push-2", "push-10"]);
    let latest = owed(&rules(ExistingTags::Latest), &tags(&listing), None, |_| Timestamp::from_second(0).ok());
    assert_eq!(names(&latest), ["build-11", "push-10"]);
}

#[test]
fn a_new_pattern_does_not_wake_old_tags() {
    let now = tags(&[("v1", tag('a', '1')), ("build-1", tag('b', '2'))]);
    let seen = owed(&rules(ExistingTags::Latest), &now, None, time).seen;
    let wider = TagRules::new(&texts(&["v*"]), &[], ExistingTags::All).unwrap();
    assert_eq!(names(&owed(&wider, &now, Some(&seen), time)), [""; 0]);
}

#[test]
fn a_tag_without_a_commit_is_told() {
    let now = tags(&[("build-1", TagRef { commit: None, ..tag('a', '1') })]);
    let decision = owed(&rules(ExistingTags::All), &now, None, time);
    assert_eq!((names(&decision).len(), decision.without_commit), (0, texts(&["build-1"])));
}

/// Tags of both kinds and of none, some of them without a commit.
fn listing() -> impl Strategy<Value = RefSnapshot> {
    let names = "(build|push|v)(-[0-9])?";
    let of = ("[a-f]", "[1-9]", any::<bool>()).prop_map(|(object, commit, is_commit)| {
        let digit = |text: &str| text.chars().next().unwrap_or('a');
        let tag = tag(digit(&object), digit(&commit));
        TagRef { commit: tag.commit.filter(|_| is_commit), ..tag }
    });
    proptest::collection::btree_map(names, of, 0..10).prop_map(with)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_seen_is_owed_once(
        before in listing(),
        now in listing(),
        choice in prop_oneof![Just(ExistingTags::Latest), Just(ExistingTags::None), Just(ExistingTags::All)],
    ) {
        let rules = rules(choice);
        let first = owed(&rules, &before, None, time);
        prop_assert_eq!(owed(&rules, &before, Some(&first.seen), time).owed, vec![]);
        let second = owed(&rules, &now, Some(&first.seen), time);
        prop_assert_eq!(&second.seen.there, &now.tags.iter().map(|(name, tag)| (name.clone(), tag.object.clone())).collect());
        prop_assert_eq!(owed(&rules, &now, Some(&second.seen), time).owed, vec![]);
        // Each that is owed is there, is a trigger, and was not seen at this place; and each of these is owed.
        let new = now.tags.iter().filter(|(name, tag)| {
            rules.kind_of(name).is_some() && tag.commit.is_some() && first.seen.there.get(*name) != Some(&tag.object)
        });
        let mut names: Vec<&str> = second.owed.iter().map(|owed| owed.tag.as_str()).collect();
        names.sort_unstable();
        prop_assert_eq!(names, new.map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    }

    /// However many listings see them go until none is left, and however many see them come back: nothing is owed.
    #[test]
    fn what_is_lost_in_any_steps_asks_for_nothing_when_it_is_back(
        all in listing().prop_filter("a single tag that goes is a person's", |all| all.tags.len() > 1),
        goes in proptest::collection::vec(1_u8..5, 10),
        comes in proptest::collection::vec(0_u8..4, 10),
    ) {
        let rules = rules(ExistingTags::All);
        let part = |which: &dyn Fn(u8) -> bool, when: &[u8]| {
            with(all.tags.iter().zip(when).filter(|(_, when)| which(**when)).map(|(tag, _)| (tag.0.clone(), tag.1.clone())).collect())
        };
        let mut seen = owed(&rules, &all, None, time).seen;
        // In each step some go: a pause between two would end what is one loss.
        let mut steps: Vec<u8> = goes[..all.tags.len()].to_vec();
        steps.sort_unstable();
        steps.dedup();
        let there = steps.iter().map(|step| part(&|when| when > *step, &goes));
        let back = (0..4).map(|step| part(&|when| when <= step, &comes));
        for now in there.chain(back) {
            let decision = owed(&rules, &now, Some(&seen), time);
            prop_assert_eq!(decision.owed, vec![]);
            seen = decision.seen;
        }
        prop_assert_eq!(seen.there.len(), all.tags.len());
    }

    /// Tags come one after another, in one poll or in several: the same runs are owed, whichever comes first.
    #[test]
    fn the_order_in_which_tags_come_does_not_matter(
        all in listing(),
        order in proptest::collection::vec(any::<u32>(), 10),
    ) {
        let rules = rules(ExistingTags::Latest);
        let seen = Seen::default();
        let at_once = owed(&rules, &all, Some(&seen), time);
        let mut names: Vec<&String> = all.tags.keys().collect();
        names.sort_by_key(|name| order[all.tags.keys().position(|key| key == *name).unwrap_or(0)]);
        let (mut there, mut seen, mut one_by_one) = (with(BTreeMap::new()), seen, Vec::new());
        for name in names {
            there.tags.insert(name.clone(), all.tags[name].clone());
            let decision = owed(&rules, &there, Some(&seen), time);
            one_by_one.extend(decision.owed);
            seen = decision.seen;
        }
        one_by_one.sort_by_cached_key(|owed| super::order(time(&owed.tag), owed.kind, &owed.tag));
        prop_assert_eq!(one_by_one, at_once.owed);
        prop_assert_eq!(seen, at_once.seen);
    }
}
