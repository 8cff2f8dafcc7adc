//! Tags: whatever the patterns, the template and the tags of a repository, what is owed is owed once, and two commits
//! never get one image.
//!
//! A line each: first the template, then patterns for builds (`+`) and pushes (`!`), and tags, at a commit of their own
//! or at the one whose number stands after the last `@`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use quarterdeck_core::image_ref::check_tag;
use quarterdeck_core::trigger::{Owed, TagRules, TagTemplate, TriggerKind, image_tag, owed};
use quarterdeck_git::{RefSnapshot, TagRef};
use quarterdeck_shared::application::ExistingTags;
use quarterdeck_shared::revision::CommitId;

/// Each pair of tags is compared: beyond these a run is slow and shows nothing new.
const TAGS_MAX: usize = 16;
const GLOBS_MAX: usize = 8;

/// `data` is what the lines say.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let template = TagTemplate::parse(lines.next().unwrap_or_default());
    let (mut build, mut push, mut now) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (number, line) in lines.filter(|line| line.len() <= 300).enumerate() {
        if let Some(glob) = line.strip_prefix('+').filter(|_| build.len() < GLOBS_MAX) {
            build.push(glob.to_owned());
        } else if let Some(glob) = line.strip_prefix('!').filter(|_| push.len() < GLOBS_MAX) {
            push.push(glob.to_owned());
        } else if !line.is_empty() && now.len() < TAGS_MAX {
            let (name, at) = line.rsplit_once('@').unwrap_or((line, ""));
            now.insert(name.to_owned(), tag_at(at.parse::<u8>().map_or(number + 1000, usize::from)));
        }
    }
    let rules = |choice| TagRules::new(&build, &push, choice);
    let (Ok(none), Ok(latest), Ok(all)) =
        (rules(ExistingTags::None), rules(ExistingTags::Latest), rules(ExistingTags::All))
    else {
        return;
    };
    is_owed_once([&none, &latest, &all], &now);
    let Ok(template) = template else { return };
    for kind in [TriggerKind::Build, TriggerKind::Push] {
        names_images(&all, &template, kind, &now);
    }
}

/// A tag at the n-th commit; the digits that an image tag takes of a commit tell commits apart.
fn tag_at(number: usize) -> TagRef {
    let commit: CommitId = format!("{number:012x}{:028x}", 7).parse().expect("40 digits");
    TagRef { object: commit.as_str().parse().expect("40 digits"), commit: Some(commit) }
}

fn is_owed_once([none, latest, all]: [&TagRules; 3], now: &BTreeMap<String, TagRef>) {
    // Times in another order than the names, and one tag without.
    let time = |tag: &str| Timestamp::from_second(i64::from(*tag.as_bytes().last()?)).ok().filter(|_| tag != "v1");
    let refs = RefSnapshot { tags: now.clone(), ..RefSnapshot::default() };
    let decide = |rules: &TagRules| -> Vec<Owed> {
        let decision = owed(rules, &refs, None, time);
        assert!(decision.seen.there.keys().eq(now.keys()), "every tag is seen, whatever it means");
        assert_eq!(owed(rules, &refs, Some(&decision.seen), time).owed, [], "nothing is owed twice");
        let lost = owed(rules, &RefSnapshot::default(), Some(&decision.seen), time).seen;
        assert_eq!(owed(rules, &refs, Some(&lost), time).owed, [], "what a restore brings back is not owed");
        decision.owed
    };
    let (none, latest, owed_all) = (decide(none), decide(latest), decide(all));
    assert_eq!(none, []);
    assert!(latest.len() <= 2 && latest.iter().all(|owed| owed_all.contains(owed)));
    for (name, tag) in now {
        let owed: Vec<_> = owed_all.iter().filter(|owed| owed.tag == *name).collect();
        assert_eq!(owed.len(), usize::from(all.kind_of(name).is_some()), "{name}");
        assert!(
            owed.iter().all(|owed| Some(owed.kind) == all.kind_of(name) && Some(&owed.commit) == tag.commit.as_ref())
        );
    }
}

fn names_images(rules: &TagRules, template: &TagTemplate, kind: TriggerKind, now: &BTreeMap<String, TagRef>) {
    let mut taken: HashMap<String, &CommitId> = HashMap::new();
    for (name, at) in now.iter().filter(|(name, _)| rules.kind_of(name) == Some(kind)) {
        let commit = at.commit.as_ref().expect("each is made with one");
        let tag = image_tag(rules, template, name, commit, now);
        assert!(check_tag(&tag).is_ok(), "{name:?} gives {tag:?}, which no registry takes");
        let other = *taken.entry(tag.clone()).or_insert(commit);
        assert_eq!(other, commit, "{name:?} of {now:?} shares the image {tag}");
    }
}
